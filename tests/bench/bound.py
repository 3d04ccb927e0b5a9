"""How near a sampler of some calls could come: ``python tests/bench/bound.py SEED,... NFE,... [DIMENSION,...]``.

``bound.py rule NFE,...`` fits one rule to many mixtures, and ``bound.py speech CLIPS`` the embedded speech model.

Every sampler that is linear in x and the answers of the denoiser, whatever its name, ends at
``a x_1 + sum_j c_j x0_j``, and asks at states of the same form. Here all these numbers, and the times at which the
denoiser is asked, are fitted
to the problem itself: on one half of the starts, and measured on the other. A rule that never sees the problem can
hardly come nearer, so this is what it is to be held against. Nearer to it is one set of numbers for all: fitted to some
mixtures, and measured on others.

On mixtures of Gaussians the end's error is brought down by its gradient. On the embedded speech model, whose gradient
costs too much, each state is fitted to the fine solution by least squares, and times are tried.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from typing import Any

import torch
from caught import caught
from diffusers_samplers import diffusers_errors, diffusers_names
from mixtures import PROCESS, Problem, ours
from noiseform import audio, build, sample
from noiseform.core.diffusion.level import Level
from noiseform.core.diffusion.noise import Draws, keys_of
from noiseform.core.diffusion.process import complete, levels_at
from noiseform.core.diffusion.sampling import Denoise, SamplingStep
from torch import Tensor

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")

ROUNDS = 400
"""Rounds of gradient descent; twice as many bring the error down by 2 % more."""

ALL = slice(None)

LAST = levels_at(PROCESS, torch.ones(1, dtype=torch.float64))[0]
FIRST = math.atan2(LAST.sigma, LAST.alpha)
"""The angle at which the starts stand."""

QUINTIC = build("sampler", "spline", integrations=2)


class Linear:
    """A sampler with every number free: times and, for each state, a factor of x_1 and of each answer before it."""

    def __init__(self, calls: int) -> None:
        angles, self._factors = traced(calls)
        self._places = torch.logit(2 / math.pi * torch.tensor(angles, dtype=torch.float64))
        for one in self.numbers:
            one.requires_grad_()

    @property
    def numbers(self) -> list[Tensor]:
        """All that is fitted."""
        return [self._places, *self._factors]

    def error(self, problem: Problem, rows: slice = ALL) -> Tensor:
        """Return the mean square error of where some of the starts of a problem are taken."""
        answers: list[Tensor] = []
        angles = math.pi / 2 * torch.sigmoid(self._places)
        for k, theta in enumerate(angles):
            level = Level(0.0, torch.cos(theta), torch.sin(theta), 0.0, 0.0, 0.0)
            answers.append(problem.mixture(self._state(k, theta, problem.starts[rows], answers), level))
        end = self._state(len(answers), torch.zeros_like(angles[0]), problem.starts[rows], answers)
        return (end - problem.ends[rows]).square().mean()

    def _state(self, k: int, theta: Tensor, x_1: Tensor, answers: Sequence[Tensor]) -> Tensor:
        of_x_1, factors = self._factors_at(k, theta)
        x = of_x_1 * x_1
        for factor, answer in zip(factors, answers, strict=True):
            x = x + factor * answer
        return x

    def _factors_at(self, k: int, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Return the factors of the state with a number, at an angle: of x_1, and of each answer before it."""
        return self._factors[k][0], self._factors[k][1 : k + 1]

    def fitted(self, problem: Problem) -> float:
        """Fit all numbers on the first half of the starts, and return the RMS error of the other half."""
        descent = torch.optim.LBFGS(
            self.numbers, lr=0.5, max_iter=ROUNDS, history_size=40, line_search_fn="strong_wolfe"
        )
        half = len(problem.starts) // 2

        def error() -> Tensor:
            descent.zero_grad()
            wrong = self.error(problem, slice(0, half))
            wrong.backward()
            return wrong

        descent.step(error)
        with torch.no_grad():
            return self.error(problem, slice(half, None)).sqrt().item()

    def fitted_to_all(self, problems: Sequence[Problem]) -> None:
        """Fit all numbers to many problems: to the mean logarithm of their errors, so that all count alike."""
        for rate in (0.03, 0.01, 0.003):
            descent = torch.optim.Adam(self.numbers, lr=rate, betas=(0.9, 0.99))
            falling = torch.optim.lr_scheduler.CosineAnnealingLR(descent, ROUNDS // 2)
            for _ in range(ROUNDS // 2):
                descent.zero_grad()
                for problem in problems:
                    (self.error(problem).log() / 2 / len(problems)).backward()
                descent.step()
                falling.step()


class Even(Linear):
    """The same, of those that treat all data alike: where data are moved, what is made moves with them.

    So their factors are exact where the clean item is the same all the way. (The first state is x_1 itself, which a
    spline takes for pure noise.)
    """

    def _factors_at(self, k: int, theta: Tensor) -> tuple[Tensor, Tensor]:
        of_x_1, factors = super()._factors_at(k, theta)
        if not k:
            return torch.ones_like(of_x_1), factors
        of_x_1 = torch.sin(theta) / math.sin(FIRST)
        missing = torch.cos(theta) - of_x_1 * math.cos(FIRST) - factors.sum()
        return of_x_1, factors + missing / k


def traced(calls: int) -> tuple[list[float], list[Tensor]]:
    """Return where a spline asks, and the factors of each of its states: it is run on numbers that stand for them.

    It is the quintic one, from which the fits begin: the default looks at the answers, so that its factors are none.

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
    end = sample(denoise, process=PROCESS, sampler=QUINTIC, grid="default", steps=calls, x=x_1)
    return angles, [*states, end[0]]


def on_mixtures(seeds: Sequence[int], calls: Sequence[int], dimensions: Sequence[int] = (2, 64)) -> None:
    """Print errors in parts of diffusers' best: of ours, and of the fitted one where ours is above a half.

    The fitted one, and ours beside it, are measured on more starts than the goal names, or a single one decided.
    """
    sampler, usual = build("sampler", "default"), build("grid", "default")

    def best(problem: Problem, nfe: int) -> float:
        return min(diffusers_errors(problem, name, nfe).rms for name in diffusers_names())

    for dimension, nfe, seed in product(dimensions, calls, seeds):
        problem = Problem(dimension, seed)
        share = ours(problem, sampler, usual, nfe).rms / best(problem, nfe)
        line = f"{dimension}-D  NFE {nfe}  seed {seed}  default {share:.2f}"
        if share > 0.5:
            problem = Problem(dimension, seed, starts=2048)
            peer, there = best(problem, nfe), ours(problem, sampler, usual, nfe)
            fitted = Linear(nfe).fitted(problem)
            line += (
                f"; of 2,048 starts: default {there.rms / peer:.2f} ({there.elsewhere} elsewhere), "
                f"fitted to this mixture {fitted / peer:.2f}"
            )
        print(line, flush=True)


def one_rule(
    calls: Sequence[int], learnt: Sequence[int] = range(100, 116), other: Sequence[int] = range(2001, 2013)
) -> None:
    """Print errors of rules that are fitted to mixtures, and of ours, on others, in parts of diffusers' best."""
    sampler, usual = build("sampler", "default"), build("grid", "default")
    problems = [Problem(dimension, seed) for dimension in (2, 64) for seed in learnt]
    for nfe in calls:
        rules = {"one fitted rule": Linear(nfe), "one that treats all data alike": Even(nfe)}
        for rule in rules.values():
            rule.fitted_to_all(problems)
        for dimension in (2, 64):
            shares: dict[str, list[float]] = {name: [] for name in (*rules, "default")}
            for seed in other:
                problem = Problem(dimension, seed)
                best = min(diffusers_errors(problem, name, nfe).rms for name in diffusers_names())
                shares["default"].append(ours(problem, sampler, usual, nfe).rms / best)
                for name, rule in rules.items():
                    with torch.no_grad():
                        shares[name].append(rule.error(problem).sqrt().item() / best)
            for name, column in shares.items():
                mean, under = statistics.geometric_mean(column), sum(share <= 0.5 for share in column)
                print(
                    f"{dimension}-D  NFE {nfe}  {name}: geometric mean {mean:.2f}, largest {max(column):.2f}, "
                    f"at most half on {under} of {len(column)}",
                    flush=True,
                )


def runs_of(clips: int) -> list[tuple[Denoise, Mapping[str, Any]]]:
    """Return what ``sample`` is given for each clip of ``spoken-digits``."""
    found = []
    for clip in range(clips):
        label = [DIGITS[clip % 10], SPEAKERS[clip % 6]]
        found += caught(lambda label=label, clip=clip: audio.generate("spoken-digits", label=label, seed=300 + clip))
    return found


class Speech:
    """The embedded speech model, its fine solution from some starts, and linear samplers fitted to half of them.

    Args:
        clips: how many starts.
    """

    def __init__(self, clips: int) -> None:
        self._runs = runs_of(clips)
        first = self._runs[0][1]
        self._process = complete(first["process"])
        draws = [(keys_of(given["seeds"]), given["shape"]) for _, given in self._runs]
        self.x_1 = torch.cat([Draws().normal(*one, purpose="prior", dtype=torch.float32) for one in draws])
        self._path = [(math.pi / 2, self.x_1)]
        self.end = self.ended("heun", "log-snr", 60, observers=[self._seen])

    def _seen(self, step: SamplingStep) -> None:
        size = math.hypot(step.next.alpha, step.next.sigma)
        self._path.append((math.atan2(step.next.sigma, step.next.alpha), step.x / size))

    def _denoise(self, x: Tensor, level: Level[float]) -> Tensor:
        return torch.cat([denoise(x[row : row + 1], level) for row, (denoise, _) in enumerate(self._runs)])

    def ended(self, sampler: str, grid: str, steps: int, **more: Any) -> Tensor:
        """Return the clips' latents by a sampler of ours."""
        x = self.x_1 * levels_at(self._process, torch.ones(1, dtype=torch.float64))[0].sigma
        return sample(self._denoise, process=self._process, sampler=sampler, grid=grid, steps=steps, x=x, **more)

    def fitted(self, angles: Sequence[float]) -> Tensor:
        """Return where a sampler ends that asks at these angles, each of its states fitted to the fine solution."""
        made: list[Tensor] = [self.x_1]
        for angle in angles:
            y = self._nearest(made, self._at(angle)) if angle < math.pi / 2 else self.x_1
            log_snr = torch.tensor([-2 * math.log(math.tan(min(angle, math.pi / 2 - 1e-6)))], dtype=torch.float64)
            (level,) = levels_at(self._process, self._process.t_of_log_snr(log_snr).clamp(0, 1))
            with torch.no_grad():
                made.append(self._denoise(y * math.hypot(level.alpha, level.sigma), level))
        return self._nearest(made, self.end)

    def _at(self, angle: float) -> Tensor:
        """Return the fine solution at an angle, by a straight line between its steps."""
        (before, one), (after, other) = next(pair for pair in pairwise(self._path) if pair[1][0] <= angle <= pair[0][0])
        share = (before - angle) / (before - after)
        return (1 - share) * one + share * other

    def _nearest(self, made: Sequence[Tensor], wanted: Tensor) -> Tensor:
        half = len(self.x_1) // 2
        columns = torch.stack([one[:half].double().flatten() for one in made], 1)
        factors = torch.linalg.lstsq(columns, wanted[:half].double().reshape(-1, 1)).solution[:, 0].tolist()
        return sum((factor * one for factor, one in zip(factors, made, strict=True)), torch.zeros_like(self.x_1))

    def told(self, name: str, reached: Tensor) -> float:
        """Print how far clips are from the fine solution; return the mean of those that were fitted to."""
        each = (reached - self.end).flatten(1).square().mean(1).sqrt()
        fitted, other = each.tensor_split(2)
        print(
            f"{name}: mean {other.mean():.3f}, median {other.median():.3f} (fitted to: {fitted.mean():.3f})", flush=True
        )
        return fitted.mean().item()


def on_speech(clips: int, tries: int = 40) -> None:
    """Print distances from the fine solution: of our samplers, and of fitted ones with ever better times."""
    speech, draw = Speech(clips), random.Random(0)
    for sampler, grid, steps in (("dpmpp-2m", "log-snr", 4), ("dpmpp-2m", "log-snr", 8), ("spline", "angle", 4)):
        speech.told(f"{sampler} on {grid}, {steps} steps", speech.ended(sampler, grid, steps))
    best, places = math.inf, [0.93, 0.7, 0.42, 0.18]
    for _ in range(tries):
        tried = sorted((min(1.0, max(0.03, one * math.exp(draw.gauss(0, 0.12)))) for one in places), reverse=True)
        reached = speech.fitted([math.pi / 2 * one for one in tried])
        mean = (reached - speech.end).flatten(1).square().mean(1).sqrt()[: clips // 2].mean().item()
        if mean < best:
            best, places = mean, tried
            speech.told(f"fitted, asked at {', '.join(f'{one:.2f}' for one in tried)} of a right angle", reached)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "speech":
        on_speech(int(sys.argv[2]))
    elif sys.argv[1] == "rule":
        one_rule([int(number) for number in sys.argv[2].split(",")])
    else:
        on_mixtures(*([int(number) for number in given.split(",")] for given in sys.argv[1:]))
