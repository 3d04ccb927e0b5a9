"""The suite of parts that answer at once, without a network: each of their numbers must change the answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...errors import NoiseformError
from ...registration.build import made_of
from ...registration.parameters import Parameter, describe
from ..finding import Finding, holds
from ..suite import Suite

__all__ = ["AnsweringSuite"]


class AnsweringSuite(Suite, ABC):
    """Holds a part to its parameters: there is none that does nothing.

    Attributes:
        idle: parameters without effect on what the suite tries, such as those that another one switches on.
    """

    idle: ClassVar[Sequence[str]] = ()

    @abstractmethod
    def answer(self, made: Any) -> Tensor:
        """Return what a part says when it is tried in short."""

    def test_numbers_change_something(self) -> None:
        """Another value of a parameter that is a number, of those that it takes, leads to another answer."""
        factory = self.part().load()
        assert callable(factory)
        plain = self.answer(self.made(**self.host()))
        for parameter in describe(factory):
            if not parameter.host and parameter.name not in self.idle:
                given = self.parameters.get(parameter.name, parameter.default)
                others = dict.fromkeys(_others(parameter, given))
                tried = [value for value in others if self._takes(parameter.name, value)]
                moved = any(self._differs({parameter.name: value}, plain) for value in tried)
                told = f"parameter {parameter.name!r}: {' and '.join(map(str, tried))} change nothing beside {given!r}"
                holds(moved or not tried, f"{told}; use it, or say idle = ({parameter.name!r},) in the suite")

    def _takes(self, name: str, value: object) -> bool:
        try:
            self._with({name: value})
        except NoiseformError:
            return False
        return True

    def _differs(self, changed: Mapping[str, object], plain: Tensor) -> bool:
        try:
            answer = self.answer(self._with(changed))
        except (Finding, NoiseformError):  # which it did not come to before
            return True
        return not torch.equal(answer, plain)

    def _with(self, changed: Mapping[str, object]) -> Any:
        """Return the part with some of its parameters changed."""
        return made_of(self.part(), {**self.parameters, **changed}, self.host())


def _others(parameter: Parameter, given: object) -> Iterator[float]:
    """Give other values of a parameter, where it is a number."""
    schemas: Any = [parameter.schema, *_choices(parameter.schema)]
    kinds = {schema.get("type") for schema in schemas if "enum" not in schema}
    at = given if isinstance(given, int | float) and not isinstance(given, bool) else 1
    if "number" in kinds:
        yield from (value for value in (at / 4, 3 * at, at + 0.1, at - 0.1) if value != given)
    elif "integer" in kinds:
        yield from (value for value in (int(at) + 1, int(at) - 1, 2 * int(at)) if value != given)


def _choices(schema: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    choices: Sequence[Mapping[str, Any]] = schema.get("anyOf", ())
    return choices
