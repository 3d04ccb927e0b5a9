"""How far work is that takes long: told to whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Tell", "Work", "untold"]


@dataclass(frozen=True)
class Work:
    """A piece of work and how far it is.

    Attributes:
        what: is being done.
        done: how many of its units are.
        of: how many there are, or at most will be; the piece ends with ``done == of``.
        unit: what is counted, such as ``items``.
    """

    what: str
    done: int
    of: int
    unit: str


Tell = Callable[[Work], None]


def untold(work: Work) -> None:
    """Tell nobody."""
