"""The loop: from noise to data, step by step. It exists once, here, for every sampler and modality."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor

from ..contract import check_tensor
from ..errors import ConfigError
from ..registration.kinds import kind_of
from .brownian import BrownianPath
from .combination import scaled
from .inspection import Inspection
from .level import Level
from .levels import levels_from
from .noise import Draws, Key, keys_of
from .process import Process
from .transition import Variance

__all__ = [
    "Denoise",
    "Grid",
    "Noise",
    "Observer",
    "Sampler",
    "SamplingStep",
    "StepNoise",
    "levels_from",
    "part_of",
    "sample",
]

Denoise = Callable[[Tensor, Level[float]], Tensor]
"""``(x_t, level) -> x0``. One of a model that learns the variance has ``variance(here, next)`` as well: that of x at
``next`` (batch, \\*item) given the x last denoised, at ``here``."""


class Noise(Protocol):
    """Standard normal numbers like x, keyed by each row's seed, the purpose and the step."""

    def __call__(self, purpose: str = "step") -> Tensor: ...

    def between(self, here: Level[float], next: Level[float]) -> Tensor:
        """Return standard normal numbers keyed by the interval: the increment of one Brownian path for each row.

        So a finer grid follows the same path. See :class:`~.brownian.BrownianPath`.
        """


class Grid(Protocol):
    """Which times are visited."""

    def times(self, process: Process, steps: int) -> Tensor:
        """Return float64 times (steps + 1,), strictly decreasing, the last one 0."""


class Sampler(Protocol):
    """How one step is made.

    Attributes:
        order: order of convergence of the final sample in the step size; for stochastic ones, in distribution, and 0
            where more steps bring it no closer.
        stochastic: whether it asks for noise.
        nfe_per_step: calls of ``denoise`` in a step (the last step may take fewer).
        nfe_varies: True where a step may take more calls than that, as it finds out; it may be left out.
        needs_variance: True where it asks for ``denoise.variance``, which only some models have; it may be left out.
    """

    order: int
    stochastic: bool
    nfe_per_step: int

    def init(self, x: Tensor) -> object:
        """Return the state before the first step: any value."""

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: object
    ) -> tuple[Tensor, object]:
        """Return (x at ``next``, new state), given x (batch, \\*item) at ``here``.

        ``denoise`` answers alike in all steps of a run, but need not be one object.
        """


@dataclass(frozen=True, slots=True)
class SamplingStep:
    """What an observer is shown after a step.

    Attributes:
        index: number of the step, from 0.
        steps: how many there are.
        here: level before the step.
        next: level after it.
        x: the items at ``next`` (batch, \\*item).
        x0: the clean items as the step's last call of the denoiser saw them, for observers with ``needs_x0``.
        calls: of the denoiser, since the first step began.
        seconds: what the steps took, since then; what observers took is not in it.
    """

    index: int
    steps: int
    here: Level[float]
    next: Level[float]
    x: Tensor
    x0: Tensor | None
    calls: int = 0
    seconds: float = 0.0


class Observer(Protocol):
    """Watches a run and changes nothing.

    Attributes:
        every: called after each so many steps, and after the last one.
        needs_x0: whether it wants the predicted clean items.
    """

    every: int
    needs_x0: bool

    def __call__(self, step: SamplingStep) -> None: ...


def sample(
    denoise: Denoise,
    *,
    process: Process | str,
    sampler: Sampler | str,
    grid: Grid | str,
    steps: int,
    shape: Sequence[int] | None = None,
    seeds: Sequence[int | Key] | None = None,
    x: Tensor | None = None,
    start: float = 1.0,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    observers: Sequence[Observer] = (),
) -> Tensor:
    """Return samples ``(rows, *shape)`` made from noise by one run of a sampler.

    Args:
        denoise: ``(x_t, level) -> x0``, the ideal clean items for noisy ones.
        process: how data was destroyed: a process or its name, as with the following.
        sampler: how one step is made.
        grid: which times are visited.
        steps: number of steps, at least 1.
        shape: shape of one item, where no ``x`` is given.
        seeds: a seed or :class:`Key` for each row; its draws depend on nothing else. If omitted with ``x``: 0, 1, 2, …
        x: items at the first time to start from, one row per seed, instead of drawn noise.
        start: the time at which to begin: there, then at those times of the grid that come after it.
        dtype: of the items, where no ``x`` is given.
        device: likewise.
        observers: see :class:`Observer`.

    Raises:
        ConfigError: steps, shape, seeds and x do not fit together, the grid's times do not fall, or there is no part of
            such a name.
        NumericError: a step gave NaN or infinite values; the message names the step.
        PluginError: a step gave another shape or dtype than it got.

    Example:
        >>> mixture = GaussianMixture([[-1.0], [1.0]], [0.1, 0.1])
        >>> x0 = sample(mixture, process="vp-linear", sampler=build("sampler", "ddim", eta=0.5), grid="log-snr",
        ...             steps=20, shape=(1,), seeds=[0, 1, 2])
    """
    levels = levels_from(part_of("process", process), part_of("grid", grid), steps, start)
    steps = len(levels) - 1
    method: Sampler = part_of("sampler", sampler)
    draws = Draws()
    numbers = x.dtype if isinstance(x, Tensor) else dtype
    if not isinstance(numbers, torch.dtype) or not numbers.is_floating_point:
        raise ConfigError(f"sample: dtype: expected one of floating-point numbers, got {numbers!r:.80}")
    if x is None:
        if shape is None or seeds is None:
            raise ConfigError("sample: give x, or shape and seeds")
        shape, keys = _shape(shape), keys_of(seeds)
        noise_at_start = draws.normal(keys, shape, purpose="prior", dtype=dtype, device=device)
        x = scaled(noise_at_start, levels[0].sigma)
    elif not isinstance(x, Tensor):
        raise ConfigError(f"sample: x: expected a tensor with one row for each item, got {x!r:.80}")
    else:
        keys = keys_of(range(len(x)) if seeds is None else seeds)
        if len(keys) != len(x):
            raise ConfigError(f"sample: x has {len(x)} rows but there are {len(keys)} seeds; give one for each row")
    noise = StepNoise(draws, keys, x)
    checked = _Checked(denoise)
    observed = bool(observers)
    watched = _Watched(checked) if any(getattr(one, "needs_x0", False) for one in observers) else None
    seen: Denoise = checked if watched is None else watched
    with torch.no_grad():
        seconds, since = 0.0, time.perf_counter()
        inspection = Inspection(method, levels, x)
        state = method.init(x)
        for index, (here, next) in enumerate(pairwise(levels)):
            noise.step = index
            try:
                made = method.step(x, here, next, seen, noise, state)
            except Exception as error:
                inspection.failed(error)
                raise
            if type(made) is not tuple or len(made) != 2 or not isinstance(made[0], Tensor):
                inspection.refuse(made)
            x, state = made
            last = index + 1 == steps
            inspection.take(x, last or observed)
            if not observed:
                if checked.sure:
                    seen = denoise
                continue
            seconds += time.perf_counter() - since
            for observer in observers:
                if (index + 1) % getattr(observer, "every", 1) == 0 or last:
                    # Copies: an observer watches, and what it does to its tensors changes nothing.
                    x0 = None if watched is None or watched.x0 is None else watched.x0.clone()
                    observer(SamplingStep(index, steps, here, next, x.clone(), x0, checked.calls, seconds))
            since = time.perf_counter()
    return x


def _shape(given: object) -> tuple[int, ...]:
    """Return the shape of an item, if it is one."""
    if isinstance(given, Sequence) and all(type(size) is int and size > 0 for size in given):
        return tuple(given)
    raise ConfigError(f"sample: shape: expected the sizes of one item, such as (2,) or (3, 64, 64), got {given!r:.80}")


def part_of(kind: str, given: Any, **params: object) -> Any:
    """Return a part that is given as itself, or by its name with its parameters."""
    if isinstance(given, str):
        from ..registration.build import build  # the loop itself needs no registry

        return build(kind, given, **params)
    if isinstance(given, type):
        name = given.__name__
        raise ConfigError(f"sample: {kind}: expected a {kind} or its name, got the class {name}; make one: {name}()")
    missing = [name for name in kind_of(kind).contract if not hasattr(given, name)]
    if missing:
        raise ConfigError(f"sample: {kind}: expected a {kind} or its name, got {given!r:.80} without {missing[0]}")
    return given


class StepNoise:
    """The keyed noise of the step that a loop stands at.

    Args:
        draws: draws it.
        keys: whose it is, one for each row.
        x: the items, for their shape, dtype and device.

    Attributes:
        step: number of the step, for the loop to set.
    """

    def __init__(self, draws: Draws, keys: Sequence[Key], x: Tensor) -> None:
        self._draws, self._keys, self._shape = draws, keys, tuple(x.shape[1:])
        self._dtype, self._device = x.dtype, ("cpu" if x.device.type == "cpu" else x.device)
        self._path: BrownianPath | None = None
        self.step = 0

    def __call__(self, purpose: str = "step") -> Tensor:
        return self._draws.normal(
            self._keys, self._shape, purpose=purpose, step=self.step, dtype=self._dtype, device=self._device
        )

    def between(self, here: Level[float], next: Level[float]) -> Tensor:
        if self._path is None:
            self._path = BrownianPath(self._at_node)
        return self._path.between(here, next).to(dtype=self._dtype, device=self._device)

    def _at_node(self, node: int) -> Tensor:
        return self._draws.normal(self._keys, self._shape, purpose="path", step=node, dtype=torch.float64)


class _Seen:
    """A denoiser with something around it."""

    def __init__(self, denoise: Denoise) -> None:
        self._denoise = denoise

    @property
    def variance(self) -> Variance:
        """That of the denoiser, if it has one."""
        variance: Variance = self._denoise.variance  # type: ignore[attr-defined]
        return variance


class _Checked(_Seen):
    """A denoiser whose first answer is held against the items; what holds for it holds for all. It counts its calls."""

    sure = False
    calls = 0

    def __call__(self, x: Tensor, level: Level[float]) -> Tensor:
        x0 = self._denoise(x, level)
        self.calls += 1
        if not self.sure:
            check_tensor(x0, x.shape, of="denoise", device=x.device)
            self.sure = True
        return x0


class _Watched(_Seen):
    """A denoiser that remembers what it last said, for observers."""

    x0: Tensor | None = None

    def __call__(self, x: Tensor, level: Level[float]) -> Tensor:
        self.x0 = self._denoise(x, level)
        return self.x0
