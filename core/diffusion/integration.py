"""Ordinary differential equations by embedded Runge-Kutta pairs, the error of each row of a batch held by itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..errors import NumericError
from .combination import added_to, plus

__all__ = ["PAIRS", "Pair", "Slope", "State", "Walk", "excess", "integrated"]

State = tuple[Tensor, ...]
"""What is integrated: tensors (batch, ...) side by side."""

Slope = Callable[[float, State], State]
"""(variable, state) -> its derivative by the variable, of the same shapes."""

WHOLE = 1 << 48
"""Smallest steps in a stretch, about what float64 tells apart."""

TRIES = 5_000
"""Steps that are tried in a stretch at most: a number by taste, far beyond what a smooth equation takes."""

_SAFETY, _LEAST, _MOST = (
    0.9,
    0.2,
    5.0,
)  # Hairer, Nørsett and Wanner 1993, equation II.4.13: how a step follows its error


@dataclass(frozen=True)
class Pair:
    """An embedded pair of Runge-Kutta methods whose last stage is the first one of the step that follows.

    Attributes:
        order: of the method that goes on; that of the other, which tells the error, is one less.
        nodes: where in the step each stage but the first stands.
        stages: factors of the slopes before, for each stage but the first; those of the last one make the step.
        wrong: factors of all slopes in what the two methods differ by.
    """

    order: int
    nodes: tuple[float, ...]
    stages: tuple[tuple[float, ...], ...]
    wrong: tuple[float, ...]

    @property
    def calls(self) -> int:
        """Evaluations of the slope in a step."""
        return len(self.nodes)

    def step(self, slope: Slope, places: Sequence[float], h: float, state: State, first: State) -> tuple[State, ...]:
        """Return the state after a step, the slope there, and what is wrong with it.

        Args:
            slope: the equation.
            places: the variable at each of ``nodes``.
            h: length of the step.
            state: before it.
            first: the slope there.
        """
        slopes = [first]
        moved = state
        for place, factors in zip(places, self.stages, strict=True):
            moved = _added(state, h, factors, slopes)
            slopes.append(slope(place, moved))
        nothing = tuple(torch.zeros_like(one) for one in state)
        return moved, slopes[-1], _added(nothing, h, self.wrong, slopes)


PAIRS = {
    3: Pair(3, (1 / 2, 3 / 4, 1.0), ((1 / 2,), (0.0, 3 / 4), (2 / 9, 1 / 3, 4 / 9)), (-5 / 72, 1 / 12, 1 / 9, -1 / 8)),
    5: Pair(
        5,
        (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0),
        (
            (1 / 5,),
            (3 / 40, 9 / 40),
            (44 / 45, -56 / 15, 32 / 9),
            (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
            (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
            (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
        ),
        (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
    ),
}
"""By their order. Source: Bogacki and Shampine 1989 (3); Dormand and Prince 1980, RK5(4)7M (5)."""


@dataclass
class Walk:
    """Where the rows of a batch are.

    Attributes:
        state: of each row.
        slope: there.
        strides: how far each row will step next, if it may.
    """

    state: State
    slope: State
    strides: list[float] = field(default_factory=list)


def integrated(
    slope: Slope,
    walk: Walk,
    start: float,
    end: float,
    *,
    pair: Pair,
    error: Callable[[State, State, State], Tensor],
    longest: Callable[[float], float] = lambda place: math.inf,
) -> Walk:
    """Return where rows are at ``end``, having started at ``start``.

    A row's steps follow its own error and nothing else, so that it does not depend on the batch. Yet the slope is asked
    at one place for the whole batch, of which a row that is not there takes no notice: steps are halves of halves of
    the stretch, so that rows of about the same error meet, and a batch costs little more than the worst of its rows.
    A row that is not finite whatever its steps ends as NaN.

    Args:
        slope: the equation.
        walk: where the rows are at ``start``.
        start: the variable there.
        end: the variable at the end, above or below.
        pair: makes a step.
        error: (before, after, wrong) -> how many times as large as tolerated the error of each row is (batch,).
        longest: variable -> the longest step from there, so that nothing is passed over that no stage sees.

    Raises:
        NumericError: a row's steps came to nothing, or there are too many.

    Source: Hairer, Nørsett and Wanner 1993, section II.4; McMillan 1986 (steps of a power of two for each of many
    bodies).
    """
    length = end - start
    count = len(walk.state[0])
    place = [0] * count
    state, first, strides = walk.state, walk.slope, list(walk.strides)
    tries, excesses = 0, [0.0] * count
    while (at := min(place, default=WHOLE)) < WHOLE:
        most = longest(start + length * at / WHOLE)
        sizes = {row: _size(at, min(strides[row], most) / abs(length)) for row in range(count) if place[row] == at}
        size = max(sizes.values())
        tries += 1
        lost = [row for row in sizes if not sizes[row] and not math.isfinite(excesses[row])]
        if lost:  # whatever its steps, a row is not finite: it ends so, and whoever called tells what was being done
            gone = [row in lost for row in range(count)]
            state = _chosen(gone, tuple(torch.full_like(one, math.nan) for one in state), state)
            for row in lost:
                place[row] = WHOLE
            continue
        if not size or tries > TRIES:
            raise NumericError(
                f"integration: the error cannot be brought down to its tolerance at {start + length * at / WHOLE:.4g} "
                f"(in {tries} steps); raise rtol and atol, or use float64"
            )
        places = [
            end if at + node * size == WHOLE else start + length * (at + node * size) / WHOLE for node in pair.nodes
        ]
        after, last, wrong = pair.step(slope, places, length * size / WHOLE, state, first)
        measured = error(state, after, wrong).tolist()
        there = [False] * count
        for row in (row for row in sizes if sizes[row] == size):
            excesses[row] = measured[row]
            there[row] = excesses[row] <= 1  # which NaN is not
            growth = _growth(excesses[row], pair.order)
            if there[row]:
                place[row] = at + size
            else:
                growth = min(growth, 0.5)
            strides[row] = growth * abs(length) * size / WHOLE
        state, first = _chosen(there, after, state), _chosen(there, last, first)
    return Walk(state, first, strides)


def excess(before: Tensor, after: Tensor, wrong: Tensor, *, rtol: float, atol: float) -> Tensor:
    """Return how many times as large as tolerated the error of each row is (batch,), in root mean square.

    Args:
        before: rows (batch, \\*item) before the step.
        after: rows after it.
        wrong: what is wrong with them.
        rtol: tolerated share of a number.
        atol: tolerated beside it.
    """
    allowed = torch.maximum(before.abs(), after.abs()).mul_(rtol).add_(atol)
    wrong = (wrong / allowed).flatten(1)
    return torch.linalg.vector_norm(wrong, dim=1).div_(wrong.shape[1] ** 0.5)


def _size(at: int, wished: float) -> int:
    """Return the largest power of two up to a share ``wished`` of the whole whose multiple ``at`` is; 0 for none."""
    if not wished * WHOLE >= 1:
        return 0
    fitting = at & -at or WHOLE
    return min(fitting, 1 << min(int(math.log2(wished * WHOLE)), WHOLE.bit_length() - 1))


def _growth(excess: float, order: int) -> float:
    """Return how many times as long the next step may be."""
    if not math.isfinite(excess):
        return _LEAST
    return min(max(_SAFETY * max(excess, 1e-30) ** (-1 / order), _LEAST), _MOST)


def _added(state: State, h: float, factors: Sequence[float], slopes: Sequence[State]) -> State:
    """Return ``state + h * sum of factor * slope``, of which at least one factor is not 0."""
    (share, slope), *others = [(h * factor, slope) for factor, slope in zip(factors, slopes, strict=True) if factor]
    moved = tuple([plus(one, its, share) for one, its in zip(state, slope, strict=True)])
    for share, slope in others:
        for one, its in zip(moved, slope, strict=True):
            added_to(one, its, share)
    return moved


def _chosen(rows: Sequence[bool], one: State, other: State) -> State:
    """Return the rows of ``one`` that are chosen, and those of ``other``."""
    if all(rows):
        return one
    chosen = torch.tensor(rows, device=other[0].device)
    return tuple(
        torch.where(chosen.reshape(-1, *(1,) * (its.ndim - 1)), its, theirs)
        for its, theirs in zip(one, other, strict=True)
    )
