"""A descent without derivatives, for values that each cost a run of a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

__all__ = ["descended"]

_WIDEST = 2.0  # a parabola is trusted this many steps beyond its points


def descended(
    value: Callable[[tuple[float, ...]], float],
    start: Sequence[float],
    best: float,
    step: float,
    *,
    rounds: int = 4,
    gain: float = 1e-3,
) -> tuple[tuple[float, ...], float]:
    """Return a point of small value, and its value: coordinate by coordinate to the bottom of a parabola.

    Each coordinate is tried a step forth and a step back, and where the parabola through the three values has its
    bottom; its step is halved where that lies within. It ends after some rounds, or with one that gained next to
    nothing at steps that are a quarter of the first.

    Args:
        value: of a point; infinite where it is none.
        start: the first point.
        best: its value.
        step: the first step, of every coordinate.
        rounds: most rounds over all coordinates.
        gain: smallest gain that is worth a move, well above what rounding does to a value.
    """
    here = tuple(start)
    steps = [step] * len(here)
    for _ in range(rounds):
        before = best
        for axis, width in enumerate(steps):

            def moved(by: float, here: tuple[float, ...] = here, axis: int = axis) -> tuple[float, ...]:
                return (*here[:axis], here[axis] + by, *here[axis + 1 :])

            tried = {by: value(moved(by)) for by in (width, -width)}
            if not all(map(math.isfinite, tried.values())):
                bottom = 0.0
            else:
                bottom = _bottom(tried[-width], best, tried[width]) * width
            if abs(bottom) > 0.05 * width and bottom not in tried:
                tried[bottom] = value(moved(bottom))
            by, reached = min(tried.items(), key=lambda one: one[1])
            if reached < best - gain:
                here, best = moved(by), reached
            else:
                by = 0.0
            if abs(by) <= width:
                steps[axis] = width / 2
        if best > before - gain and max(steps) <= step / 4:
            break
    return here, best


def _bottom(back: float, here: float, forth: float) -> float:
    """Return where the parabola through the values at -1, 0 and 1 is lowest; the far end where it has no bottom."""
    curvature = back + forth - 2 * here
    if curvature <= 0:
        return math.copysign(_WIDEST, back - forth)
    return max(-_WIDEST, min(_WIDEST, (back - forth) / (2 * curvature)))
