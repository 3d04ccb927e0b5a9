"""A sampler's loop turned inside out: it is told what the denoiser says, instead of asking.

A sampler calls ``denoise`` in the middle of its step; a pipeline of diffusers calls its network and then asks what
comes of it. So a step is made again from its beginning with the answers that there are, and left at the first question
that has none: that question is what the network is to be called on. A step makes few calls and little arithmetic, its
noise is the same for the same question and its state a value, so making it again gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...core.diffusion.level import Level
from ...core.diffusion.noise import Key
from ...core.diffusion.process import CompleteProcess
from ...core.diffusion.sampling import Noise, Sampler, SamplingStep, sample
from ...core.diffusion.transition import Variance, transition
from ...core.errors import ConfigError, PluginError

__all__ = ["Answer", "Call", "SteppedNoise", "Unrolled", "calls_of", "gain"]


@dataclass(frozen=True)
class Call:
    """One call of the network.

    Attributes:
        step: number of the step that makes it.
        level: the moment that it is made at.
    """

    step: int
    level: Level[float]


@dataclass(frozen=True)
class Answer:
    """What the denoiser says.

    Attributes:
        x0: the clean items (batch, \\*item).
        variance: that of a step, where the network learns one.
    """

    x0: Tensor
    variance: Variance | None = None


class SteppedNoise(Noise, Protocol):
    """Noise that is told which step it is for, and gives the same to the same question of a step."""

    step: int


def calls_of(process: CompleteProcess, sampler: Sampler, levels: Sequence[Level[float]]) -> tuple[Call, ...]:
    """Return every call that a run along levels makes of its denoiser, in order.

    Found by running it on a few numbers, twice, with denoisers that say different things.

    Raises:
        ConfigError: the calls depend on what the denoiser says, so nobody can know them beforehand.
    """
    grid = _Visited(torch.tensor([level.t for level in levels], dtype=torch.float64))
    x = levels[0].sigma * torch.linspace(-1.5, 1.3, 8, dtype=torch.float64).reshape(2, 4)
    found = []
    for says in (torch.zeros_like, torch.cos):
        record = _Record(says)
        sample(
            record,
            process=process,
            sampler=sampler,
            grid=grid,
            steps=len(levels) - 1,
            x=x,
            seeds=[Key(0), Key(1)],
            observers=[record.closes],
        )
        found.append(tuple(record.calls))
    moments = [[(call.step, call.level.t) for call in calls] for calls in found]
    if moments[0] != moments[1]:
        raise ConfigError(
            f"sampler {type(sampler).__name__}: when it calls the network depends on what the network says, and a "
            "pipeline of diffusers has to know it beforehand; choose another sampler"
        )
    return found[0]


def gain(sampler: Sampler, here: Level[float], next: Level[float], state: object) -> float:
    """Return by how much a step scales x before its first call of the network; noise may come on top of it."""

    def ask(x: Tensor, level: Level[float]) -> Tensor:
        raise _AskedError(x)

    try:
        sampler.step(torch.ones(1, 1, dtype=torch.float64), here, next, ask, _Silence(), state)
    except _AskedError as asked:
        return asked.x.item()
    return 1.0


class _Silence:
    """Noise of strength 0."""

    def __call__(self, purpose: str = "step") -> Tensor:
        return torch.zeros(1, 1, dtype=torch.float64)

    def between(self, here: Level[float], next: Level[float]) -> Tensor:
        return self()


@dataclass(frozen=True)
class _Visited:
    """The grid of times that are known."""

    known: Tensor

    def times(self, process: object, steps: int) -> Tensor:
        return self.known


class _Record:
    """A denoiser that remembers when it was called."""

    def __init__(self, says: Callable[[Tensor], Tensor]) -> None:
        self._says = says
        self.calls: list[Call] = []
        self.closes = _StepCount()

    def __call__(self, x: Tensor, level: Level[float]) -> Tensor:
        self.calls.append(Call(self.closes.step, level))
        return self._says(x)

    def variance(self, here: Level[float], next: Level[float]) -> Tensor:
        return torch.tensor(max(transition(here, next).small, 0.0), dtype=torch.float64)


class _StepCount:
    """An observer that counts steps."""

    every, needs_x0 = 1, False

    def __init__(self) -> None:
        self.step = 0

    def __call__(self, step: SamplingStep) -> None:
        self.step = step.index + 1


class Unrolled:
    """A run of a sampler that gives, for each answer, what the network is to be called on next.

    Args:
        sampler: makes the steps.
        levels: those that the run visits.
        calls: those that it makes, from `calls_of`.
        first: number of the call that it begins with, the first of a step.
        noise: of the steps.
        x: items (batch, \\*item) that the network has been called on, at the level of the first call.

    Attributes:
        at: number of the call whose answer is due.
        asked: what the network is to be called on for it; once the run is over, the finished items.
    """

    def __init__(
        self,
        sampler: Sampler,
        levels: Sequence[Level[float]],
        calls: Sequence[Call],
        first: int,
        noise: SteppedNoise,
        x: Tensor,
    ) -> None:
        self._sampler, self._levels, self._calls, self._noise = sampler, levels, calls, noise
        self.at, self._step = first, calls[first].step
        self._x, self._state = x, sampler.init(x)
        self._answers: list[Answer] = []
        self.asked = self._advance()
        if not torch.equal(self.asked, x):
            self.moved(x)

    @property
    def over(self) -> bool:
        """Whether all answers have been given."""
        return self.at == len(self._calls)

    @property
    def call(self) -> Call:
        """The call whose answer is due."""
        return self._calls[self.at]

    def moved(self, x: Tensor) -> None:
        """Say that the network was called on ``x`` in the place of ``asked``.

        So do pipelines that hold a part of an item. Between steps the sampler goes on from there; within a step it has
        gone on already, and only the answer is that of ``x``.
        """
        if not self._answers:
            # Before its first call a step scales x and adds noise at most.
            here, next = self._levels[self._step : self._step + 2]
            back = 1 / gain(self._sampler, here, next, self._state)
            self._x = x if self.asked is self._x else torch.add(self._x, x - self.asked, alpha=back)
        self.asked = x

    def answer(self, answer: Answer) -> Tensor:
        """Return what the network is to be called on next, or after the last call the finished items."""
        self._answers.append(answer)
        self.at += 1
        self.asked = self._advance()
        return self.asked

    def _advance(self) -> Tensor:
        """Make steps as far as the answers go."""
        while self._step < len(self._levels) - 1:
            self._noise.step = self._step
            told = _Told(self._answers, [call for call in self._calls if call.step == self._step])
            here, next = self._levels[self._step : self._step + 2]
            try:
                x, state = self._sampler.step(self._x, here, next, told, self._noise, self._state)
            except _AskedError as asked:
                return asked.x
            told.end()
            self._x, self._state, self._answers = x, state, []
            self._step += 1
        return self._x


class _AskedError(BaseException):  # not an Exception: no sampler may take it for a fault
    """A sampler asked what has no answer yet."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.x = x


class _Told:
    """A denoiser that knows the first answers of a step, and all its calls."""

    def __init__(self, answers: Sequence[Answer], calls: Sequence[Call]) -> None:
        self._answers, self._calls = answers, calls
        self._count = 0

    def __call__(self, x: Tensor, level: Level[float]) -> Tensor:
        if self._count == len(self._calls) or abs(self._calls[self._count].level.t - level.t) > 1e-9:
            raise self._astray()
        if self._count == len(self._answers):
            raise _AskedError(x)
        self._count += 1
        return self._answers[self._count - 1].x0.clone()  # a sampler may write to it, and it is needed again

    @property
    def variance(self) -> Variance:
        """That of the last answer, if it has one."""
        variance = self._answers[self._count - 1].variance if self._count else None
        if variance is None:
            raise AttributeError("variance")
        return variance

    def end(self) -> None:
        """Say that the step has ended."""
        if self._count < len(self._calls):
            raise self._astray()

    def _astray(self) -> PluginError:
        return PluginError(
            "sampling: the sampler calls the network at other moments than it did when it was tried: they depend on "
            "what the network says, and a pipeline of diffusers has to know them beforehand; choose another sampler"
        )
