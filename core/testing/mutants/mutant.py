"""One part that is wrong in one way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["Mutant"]


@dataclass(frozen=True)
class Mutant:
    """A part that is wrong in one way.

    Attributes:
        name: what is wrong with it, in a few words.
        factory: makes it.
        caught_by: the check that must fail; None for an original, on which every check must pass.
        claims: what its suite says of it, as attributes of the test class.
    """

    name: str
    factory: Callable[..., object]
    caught_by: str | None
    claims: Mapping[str, object] = field(default_factory=dict)
