"""Labels as sums of learnt vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le, MinLen
from torch import Tensor, nn

from ...core.errors import ConfigError

__all__ = ["Labels"]


class Labels(nn.Module):
    """One learnt vector for each label; an item's labels are summed, and no label is a learnt vector too.

    Give several of these for several kinds of labels (a digit and a speaker): their vectors add up, and each kind can
    be left out on its own.

    Args:
        names: the labels that it knows.
        width: of the vectors.
        several: whether an item may carry more than one of these labels.

    Attributes:
        names: the labels that it knows.
        outputs: ``{"vector": width}``.
    """

    claims: ClassVar[Mapping[str, object]] = {"parameters": {"names": ["one", "two"], "width": 4}}

    def __init__(
        self,
        names: Annotated[Sequence[str], MinLen(1)],
        width: Annotated[int, Ge(1), Le(8192)] = 128,
        several: bool = False,
    ) -> None:
        super().__init__()
        if len(set(names)) < len(names):
            raise ConfigError("conditioner labels: names: a label stands there twice; remove one")
        self.names = tuple(names)
        self.several = several
        self.outputs: Mapping[str, int] = {"vector": width}
        self.vectors = nn.Parameter(torch.zeros(len(names) + 1, width))  # the last one stands for no label
        nn.init.normal_(self.vectors, std=0.5)

    def encode(self, conditions: Sequence[Mapping[str, object]]) -> dict[str, Tensor]:
        """Return {"counts": (items, names + 1)}: which labels each item carries.

        Labels that it does not know are another conditioner's.

        Raises:
            ConfigError: an item carries two of its labels though ``several`` is off.
        """
        counts = torch.zeros(len(conditions), len(self.names) + 1)
        for row, condition in zip(counts, conditions, strict=True):
            wanted = condition.get("labels") or ()
            mine = [label for label in wanted if label in self.names]  # type: ignore[attr-defined]
            if len(mine) > 1 and not self.several:
                raise ConfigError(
                    f"label: {mine[0]!r} and {mine[1]!r} exclude each other; give one of them (a model that is trained "
                    "on both has a conditioner for each kind of label, or one with several = true)"
                )
            for label in mine:
                row[self.names.index(label)] += 1
            row[-1] = 0.0 if mine else 1.0
        return {"counts": counts}

    def forward(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return {"vector": (items, width)}."""
        return {"vector": raw["counts"].to(self.vectors) @ self.vectors}

    def null(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the encoding of as many items without labels."""
        counts = torch.zeros_like(raw["counts"])
        counts[:, -1] = 1.0
        return {"counts": counts}
