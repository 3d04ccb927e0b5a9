"""Times of several things in turn, round after round, so that a busy machine is busy for all of them alike."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["PROCESSOR", "Row", "ratio", "rounds_of", "row"]

PROCESSOR = "BENCH_PROCESSOR"
"""Variable of the environment that is set where time of the processor is taken in place of the clock's."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        group: what is measured.
        name: whose time it is.
        value: the median over the rounds.
        unit: its unit.
        best: the best round; far below the median where the machine was busy.
        ratio: median over the rounds of its time in parts of the reference's, or None.
        reference: name of the reference.
        goal: what is wanted, in words, and whether it is met.
        met: whether it is; None where there is no goal.
    """

    group: str
    name: str
    value: float
    unit: str
    best: float
    ratio: float | None = None
    reference: str = ""
    goal: str = ""
    met: bool | None = None


def rounds_of(things: Mapping[str, Callable[[], object]], *, rounds: int, warm: int = 2) -> dict[str, list[float]]:
    """Return the seconds of each thing in each round; things take turns, and the order turns too."""
    for thing in things.values():
        for _ in range(warm):
            thing()
    taken: dict[str, list[float]] = {name: [] for name in things}
    names = list(things)
    clock = _processor if os.environ.get(PROCESSOR) else time.perf_counter
    for index in range(rounds):
        for name in names[index % len(names) :] + names[: index % len(names)]:
            begun = clock()
            things[name]()
            taken[name].append(clock() - begun)
    return taken


def _processor() -> float:
    """Return the seconds that processors gave to this process, its threads and the programs that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def row(group: str, name: str, seconds: list[float], unit: str, *, each: float = 1.0, **more: object) -> Row:
    """Return a row of what was measured; ``each`` turns seconds into the unit."""
    return Row(group, name, statistics.median(seconds) * each, unit, min(seconds) * each, **more)


def ratio(taken: Mapping[str, list[float]], name: str, reference: str) -> float:
    """Return the median over the rounds of one thing's time in parts of another's in the same round."""
    return statistics.median(one / other for one, other in zip(taken[name], taken[reference], strict=True))
