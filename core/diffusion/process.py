"""The process: how data is destroyed, ``x_t = alpha(t) * x0 + sigma(t) * eps``.

A process is any object with ``alpha(t)`` and ``sigma(t)``. What else a run needs follows from these two, and
:func:`complete` adds what an object does not bring itself: derivatives, log-SNR and its inverse. For the SDE view see
:mod:`~.sde`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Protocol, TypeGuard, runtime_checkable

import torch
from torch import Tensor

from .level import FIELDS, Level

__all__ = ["CompleteProcess", "Process", "complete", "level_at", "levels_at", "never_changes"]

NEGLIGIBLE = 1e-9
"""Share of the other below which alpha or sigma counts as 0: far below what float32 resolves, far above rounding."""

_OWN = __name__.partition(".")[0] + "."
"""What the names of noiseform's own modules begin with."""

_NEXT = 1e-9
"""How near to an end its limits are taken."""


@runtime_checkable
class Process(Protocol):
    """What a plugin author must write: two functions of time.

    ``t`` is a float64 tensor of any shape in [0, 1], 0 = data, 1 = noise; both return t's shape in float64.
    ``alpha(0) = 1`` and ``sigma(0) = 0``; the signal-to-noise ratio falls strictly.
    """

    def alpha(self, t: Tensor) -> Tensor: ...

    def sigma(self, t: Tensor) -> Tensor: ...


@runtime_checkable
class CompleteProcess(Process, Protocol):
    """A process with everything that a run asks for; :func:`complete` makes one of any :class:`Process`."""

    def d_alpha(self, t: Tensor) -> Tensor: ...

    def d_sigma(self, t: Tensor) -> Tensor: ...

    def log_snr(self, t: Tensor) -> Tensor: ...

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor: ...


def complete(process: Process) -> CompleteProcess:
    """Return the process itself if it brings everything, else the process with the missing functions derived."""
    return process if isinstance(process, CompleteProcess) else _Derived(process)


class _Derived:
    """A process whose missing functions come from alpha and sigma: autograd for derivatives, bisection for t."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def __getattr__(self, name: str) -> object:
        if name.startswith("__") or name == "_process":  # what copying asks of an object that is not filled yet
            raise AttributeError(name)
        return getattr(self._process, name)

    def __repr__(self) -> str:
        return repr(self._process)

    def alpha(self, t: Tensor) -> Tensor:
        return self._process.alpha(t)

    def sigma(self, t: Tensor) -> Tensor:
        return self._process.sigma(t)

    def d_alpha(self, t: Tensor) -> Tensor:
        own = getattr(self._process, "d_alpha", None)
        return own(t) if own else _derivative(self._process.alpha, t)

    def d_sigma(self, t: Tensor) -> Tensor:
        own = getattr(self._process, "d_sigma", None)
        return own(t) if own else _derivative(self._process.sigma, t)

    def log_snr(self, t: Tensor) -> Tensor:
        own = getattr(self._process, "log_snr", None)
        return own(t) if own else 2 * (torch.log(self.alpha(t)) - torch.log(self.sigma(t)))

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        own = getattr(self._process, "t_of_log_snr", None)
        return own(log_snr) if own else _bisect(self.log_snr, log_snr)


def _derivative(function: Callable[[Tensor], Tensor], t: Tensor) -> Tensor:
    slope = _slope(function, t)
    # At an end autograd may multiply 0 by infinity, as in the cosine of a root; the limit is what stands next to it.
    return (
        torch.where(slope.isnan(), _slope(function, t.clamp(_NEXT, 1 - _NEXT)), slope) if slope.isnan().any() else slope
    )


def _slope(function: Callable[[Tensor], Tensor], t: Tensor) -> Tensor:
    with torch.enable_grad():
        at = t.detach().clone().requires_grad_()
        value = function(at)
        if not value.requires_grad:  # constant in t
            return torch.zeros_like(t)
        (slope,) = torch.autograd.grad(value.sum(), at)
    return slope


def _bisect(log_snr: Callable[[Tensor], Tensor], wanted: Tensor) -> Tensor:
    low, high = torch.zeros_like(wanted), torch.ones_like(wanted)
    for _ in range(64):  # halves [0, 1] until float64 cannot tell the ends apart
        middle = (low + high) / 2
        noisier = log_snr(middle) < wanted
        high = torch.where(noisier, middle, high)
        low = torch.where(noisier, low, middle)
    return (low + high) / 2


def level_at(process: CompleteProcess, t: Tensor) -> Level[Tensor]:
    """Return the level of each item at its own time ``t`` (batch,), as float64 tensors of that shape.

    Of alpha and sigma, what is less than 1e-9 of the other counts as 0, and log_snr as infinite: rounding leaves 6e-17
    of cos(pi / 2), and a sampler that divided by it would be lost.
    """
    t = t.to(torch.float64)
    alpha, sigma, log_snr = process.alpha(t), process.sigma(t), process.log_snr(t)
    noise, data = alpha.abs() < NEGLIGIBLE * sigma, sigma.abs() < NEGLIGIBLE * alpha
    alpha, sigma = alpha.masked_fill(noise, 0.0), sigma.masked_fill(data, 0.0)
    log_snr = log_snr.masked_fill(noise, -math.inf).masked_fill(data, math.inf)
    return Level(t, alpha, sigma, process.d_alpha(t), process.d_sigma(t), log_snr)


def levels_at(process: CompleteProcess, times: Tensor) -> tuple[Level[float], ...]:
    """Return one level of plain floats for each of ``times`` (steps + 1,); see :func:`level_at`."""
    level, moments = level_at(process, times), (_Kept if never_changes(process) else _Moments)(process)
    columns = (getattr(level, name).tolist() for name in FIELDS)
    return tuple(Level(*row, moments=moments) for row in zip(*columns, strict=True))


@dataclass(frozen=True, slots=True)
class _Moments:
    """Every moment of one process, as levels of plain floats."""

    process: CompleteProcess

    def at(self, t: float) -> Level[float]:
        (level,) = levels_at(self.process, torch.tensor([t], dtype=torch.float64))
        return level

    def at_log_snr(self, log_snr: float) -> Level[float]:
        return _at_log_snr(self.process, log_snr)


class _Kept(_Moments):
    """Those of a process that never changes: runs on the same grid ask for the same."""

    def at_log_snr(self, log_snr: float) -> Level[float]:
        return _kept_at_log_snr(self.process, log_snr)  # type: ignore[arg-type] # what never changes can be hashed


def _at_log_snr(process: CompleteProcess, log_snr: float) -> Level[float]:
    t = process.t_of_log_snr(torch.tensor(log_snr, dtype=torch.float64)).clamp(0, 1)
    (level,) = levels_at(process, t.reshape(1))
    return level


_kept_at_log_snr = lru_cache(maxsize=4096)(_at_log_snr)
"""The same, kept: some tensors of one number take longer than a step."""


def never_changes(part: object) -> TypeGuard[Hashable]:
    """Return whether a part is nothing but some numbers and texts that cannot be set anew, as most built-in ones are.

    That is a frozen dataclass of noiseform's own, whose fields are all there is of it and all count where two are
    compared. What it answers once, equal ones always answer, so that it may be kept. Of others nobody knows: one may
    read a file.
    """
    kind: Any = type(part)
    names = _only_fields(kind) if kind.__module__.startswith(_OWN) else None
    return (
        names is not None
        and getattr(part, "__dict__", {}).keys() <= names
        and all(isinstance(getattr(part, name), float | int | str) for name in names)
    )


@lru_cache(maxsize=256)
def _only_fields(kind: type) -> frozenset[str] | None:
    """Return the names of the fields of a frozen dataclass if they tell whether two are equal, else None."""
    params = vars(kind).get("__dataclass_params__")  # not those of a class that it is derived from
    if params is None or not (params.frozen and params.eq and issubclass(kind, Hashable)):
        return None
    those = fields(kind)
    told = all(each.compare and each.hash is not False for each in those)
    return frozenset(each.name for each in those) if told else None
