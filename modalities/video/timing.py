"""When frames stand on the screen: the rate of a film by its time stamps, and films brought to another rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TypeVar

__all__ = ["RATES", "as_fraction", "at_rate", "constant_rate"]

RATES = (0.1, 240.0)
"""Least and most frames per second."""

T = TypeVar("T")


def as_fraction(fps: float) -> Fraction:
    """Return a rate as the fraction that it is meant to be: 29.97002997… is 30000/1001."""
    return Fraction(fps).limit_denominator(1001)


def constant_rate(times: Sequence[Fraction], tick: Fraction, declared: Fraction | None = None) -> Fraction | None:
    """Return the one rate that explains all time stamps of a film, or None where its rate varies.

    Time stamps are whole numbers of ticks, so a constant rate is seen in them up to rounding. The declared rate is
    taken where it agrees with them to a tick; otherwise the simplest fraction that agrees to half a tick.

    Args:
        times: seconds at which frames begin, the first of them 0; the end of the last may follow.
        tick: of the clock, in seconds.
        declared: frames per second by the file's header.
    """
    later = list(enumerate(times))[1:]
    if declared and all(abs(time - number / declared) <= tick for number, time in later):
        return declared
    if not later or any(time <= 0 for _, time in later):
        return None
    exact = 1 / later[0][1]
    if all(time * exact == number for number, time in later):
        return exact
    low = max(number / (time + tick / 2) for number, time in later)
    high = min(number / (time - tick / 2) if time > tick / 2 else Fraction(10**9) for number, time in later)
    return _simplest(low, high) if low <= high else None


def _simplest(low: Fraction, high: Fraction) -> Fraction:
    """Return the fraction of the least denominator in [low, high], by their continued fractions."""
    whole = math.ceil(low)
    if whole <= high:
        return Fraction(whole)
    part = math.floor(low)
    return part + 1 / _simplest(1 / (high - part), 1 / (low - part))


def at_rate(shown: Iterable[tuple[Fraction, Fraction, T]], fps: Fraction) -> Iterator[T]:
    """Yield a film at another rate: what stands on the screen when each new frame begins; at least one frame.

    The moment that is looked at lies half a frame later, of the shorter frames of the two, so that time stamps that are
    rounded change nothing where one rate is a multiple of the other.

    Args:
        shown: when each frame begins and for how long it lasts, in seconds, and the frame.
        fps: frames per second wanted.
    """
    number, end, offset = 0, Fraction(0), Fraction(0)
    before: T | None = None
    for time, lasting, one in shown:
        if before is None:
            offset = min(lasting, 1 / fps) / 2
        while before is not None and number / fps + offset < time:
            yield before
            number += 1
        before, end = one, time + lasting
    while before is not None and (number == 0 or number / fps + offset < end):
        yield before
        number += 1
