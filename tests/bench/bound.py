"""How near a sampler of so many calls could come at all: ``python tests/bench/bound.py SEED,... NFE,...``.

Every sampler that is linear in x and the answers of the denoiser, whatever its name, ends at
``a x_1 + sum_j c_j x0_j``, and asks at states of the same form. Here all these numbers, and the times at which the
denoiser is asked, are fitted
to the problem itself: on one half of the starts, and measured on the other. A rule that never sees the problem can
hardly come nearer, so this is what it is to be held against.

On mixtures of Gaussians the end's error is brought down by its gradient. On the embedded speech model, whose gradient
costs too much, each state is fitted to the fine solution by least squares, and times are tried.
"""

from __future__ import annotations

import math
import os
import statistics
import sys
from collections.abc import Sequence

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported: spinning threads disturb each other

import torch
from diffusers_samplers import diffusers_errors, diffusers_names
from mixtures import PROCESS, Problem, ours
from noiseform import build, sample
from noiseform.core.diffusion.level import Level
from torch import Tensor

ROUNDS = 400
"""Rounds of gradient descent; twice as many bring the error down by 2 % more."""


class Linear:
    """A sampler with every number free: times and, for each state, a factor of x_1 and of each answer before it."""

    def __init__(self, problem: Problem, calls: int) -> None:
        self._problem, self._half = problem, len(problem.starts) // 2
        angles, self.factors = traced(calls)
        self.places = torch.logit(2 / math.pi * torch.tensor(angles, dtype=torch.float64))

    def _state(self, k: int, answers: Sequence[Tensor], rows: slice) -> Tensor:
        x = self.factors[k][0] * self._problem.starts[rows]
        for factor, answer in zip(self.factors[k][1:], answers, strict=False):
            x = x + factor * answer
        return x

    def _answer(self, k: int, x: Tensor) -> Tensor:
        theta = math.pi / 2 * torch.sigmoid(self.places[k])
        level = Level(0.0, torch.cos(theta), torch.sin(theta), 0.0, 0.0, 0.0)
        return self._problem.mixture(x, level)

    def ends(self, rows: slice) -> Tensor:
        """Return where the sampler takes some of the starts."""
        answers: list[Tensor] = []
        for k in range(len(self.places)):
            answers.append(self._answer(k, self._state(k, answers, rows)))
        return self._state(len(self.places), answers, rows)

    def fitted(self) -> float:
        """Fit all numbers on the first half of the starts, and return the RMS error of the other half."""
        numbers = [self.places, *self.factors]
        for one in numbers:
            one.requires_grad_()
        descent = torch.optim.LBFGS(numbers, lr=0.5, max_iter=ROUNDS, history_size=40, line_search_fn="strong_wolfe")
        learnt, other = slice(0, self._half), slice(self._half, None)

        def error() -> Tensor:
            descent.zero_grad()
            wrong = (self.ends(learnt) - self._problem.ends[learnt]).square().mean()
            wrong.backward()
            return wrong

        descent.step(error)
        with torch.no_grad():
            return (self.ends(other) - self._problem.ends[other]).square().mean().sqrt().item()


def traced(calls: int) -> tuple[list[float], list[Tensor]]:
    """Return where the default asks, and the factors of each of its states: it is run on numbers that stand for them.

    x_1 is one axis, and each answer the next one, so that every x says what it is made of. (On PROCESS, alpha**2 +
    sigma**2 is 1, up to which states are the same in every process.)
    """
    angles: list[float] = []
    states: list[Tensor] = []

    def denoise(x: Tensor, level: Level[float]) -> Tensor:
        angles.append(min(math.atan2(level.sigma, level.alpha), math.pi / 2 - 1e-6))
        states.append(x[0, : len(angles)].clone())
        return torch.nn.functional.one_hot(torch.tensor([len(angles)]), calls + 1).double()

    x_1 = torch.nn.functional.one_hot(torch.tensor([0]), calls + 1).double()
    end = sample(denoise, process=PROCESS, sampler="default", grid="default", steps=calls, x=x_1)
    return angles, [*states, end[0]]


def on_mixtures(seeds: Sequence[int], calls: Sequence[int]) -> None:
    """Print errors in parts of diffusers' best, for each mixture and number of calls: of the fitted one and of ours."""
    sampler, usual = build("sampler", "default"), build("grid", "default")
    for dimension in (2, 64):
        for nfe in calls:
            rows = []
            for seed in seeds:
                problem = Problem(dimension, seed, starts=1024 if dimension == 2 else 4096)
                best = min(diffusers_errors(problem, name, nfe).rms for name in diffusers_names())
                rows.append((Linear(problem, nfe).fitted() / best, ours(problem, sampler, usual, nfe).rms / best))
                print(
                    f"{dimension}-D  seed {seed}  NFE {nfe}  fitted {rows[-1][0]:.2f}  default {rows[-1][1]:.2f}",
                    flush=True,
                )
            fitted, default = (statistics.geometric_mean(column) for column in zip(*rows, strict=True))
            print(f"{dimension}-D  NFE {nfe}  geometric mean: fitted {fitted:.2f}, default {default:.2f}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    on_mixtures([int(x) for x in sys.argv[1].split(",")], [int(x) for x in sys.argv[2].split(",")])
