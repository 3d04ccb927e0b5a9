"""A class as its number, for networks that learn a vector of their own for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import torch
from annotated_types import MinLen
from torch import Tensor

from ...core.errors import ConfigError

__all__ = ["ClassNumber"]


class ClassNumber:
    """The number of an item's class, counted from 0; the number of classes stands for none.

    A class is asked for by its number, ``--label 207``, or by one of its names.

    Args:
        classes: the names of each class; several are separated by commas, as ImageNet has them.

    Attributes:
        names: the labels that it knows: numbers and names.
        outputs: ``{"vector": 1}``.
    """

    claims: ClassVar[Mapping[str, object]] = {
        "parameters": {"classes": ["tench, goldfish", "hen"]},
        "examples": ({"labels": ("0",)}, {"labels": ("hen",)}),
    }

    def __init__(self, classes: Annotated[Sequence[str], MinLen(1)]) -> None:
        self._count = len(classes)
        self._numbers: dict[str, list[int]] = {str(number): [number] for number in range(len(classes))}
        for number, names in enumerate(classes):
            for name in filter(None, map(str.strip, names.split(","))):
                if not name.isdecimal():
                    self._numbers.setdefault(name, []).append(number)
        self.names = tuple(self._numbers)
        self.outputs: Mapping[str, int] = {"vector": 1}

    def encode(self, conditions: Sequence[Mapping[str, object]]) -> dict[str, Tensor]:
        """Return {"number": (items, 1)}.

        Raises:
            ConfigError: an item carries several classes, or a name that several have.
        """
        return {"number": torch.tensor([[self._number(one)] for one in conditions], dtype=torch.float32).reshape(-1, 1)}

    def _number(self, condition: Mapping[str, object]) -> int:
        wanted = condition.get("labels") or ()
        mine = [label for label in wanted if label in self._numbers]  # type: ignore[attr-defined]
        if len(mine) > 1:
            raise ConfigError(f"label: {mine[0]!r} and {mine[1]!r} exclude each other; give one of them")
        numbers = self._numbers[mine[0]] if mine else [self._count]
        if len(numbers) > 1:
            shown = " and ".join(map(str, numbers[:3])) + (" and more" if len(numbers) > 3 else "")
            raise ConfigError(f"label: {mine[0]!r} is the name of the classes {shown}; give one of the numbers")
        return numbers[0]

    def forward(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return {"vector": (items, 1)}."""
        return {"vector": raw["number"]}

    __call__ = forward

    def null(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the encoding of as many items without a class."""
        return {"number": torch.full_like(raw["number"], self._count)}
