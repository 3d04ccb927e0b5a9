"""A moment of a process: how much of the data and how much noise an item holds there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FIELDS", "Level", "Moments", "Numbers", "expand"]

Scalar = TypeVar("Scalar", float, "Tensor")

Numbers: TypeAlias = tuple[Scalar, Scalar, Scalar, Scalar, Scalar, Scalar]

FIELDS = ("t", "alpha", "sigma", "d_alpha", "d_sigma", "log_snr")
"""What a level tells of its moment."""


class Moments(Protocol):
    """Every moment of one process."""

    def at(self, t: float) -> Level[float]: ...

    def at_log_snr(self, log_snr: float) -> Level[float]: ...


@dataclass(frozen=True, slots=True)
class Level(Generic[Scalar]):
    """A moment of a process, ``x_t = alpha * x0 + sigma * eps``.

    In sampling all items stand at one moment and the fields are plain floats, which keeps a step at microseconds;
    in training each item has its own, and they are float64 tensors of shape ``(batch,)``.

    Attributes:
        t: time in [0, 1]; 0 is data, 1 is noise.
        alpha: factor of the clean item.
        sigma: standard deviation of the noise.
        d_alpha: derivative of alpha by t.
        d_sigma: derivative of sigma by t; infinite at t = 0 where sigma starts like a square root.
        log_snr: ``log(alpha**2 / sigma**2)``; infinite at the ends where sigma or alpha is 0.
        moments: the other moments of the process, where one is known; see :meth:`at`.
        numbers: all of these but the last, a key for what is kept of a level: it holds on to no process.
    """

    t: Scalar
    alpha: Scalar
    sigma: Scalar
    d_alpha: Scalar
    d_sigma: Scalar
    log_snr: Scalar
    moments: Moments | None = field(default=None, repr=False, compare=False, kw_only=True)
    numbers: Numbers[Scalar] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        numbers = (self.t, self.alpha, self.sigma, self.d_alpha, self.d_sigma, self.log_snr)
        object.__setattr__(self, "numbers", numbers)

    def at(self, t: float) -> Level[float]:
        """Return the moment ``t`` in [0, 1] of the same process, for samplers that stop between two times of a grid."""
        assert self.moments is not None, "a level made by hand belongs to no process"
        return self.moments.at(t)

    def at_log_snr(self, log_snr: float) -> Level[float]:
        """Return the moment of the same process that has this log-SNR, as near as the process comes to it."""
        assert self.moments is not None, "a level made by hand belongs to no process"
        return self.moments.at_log_snr(log_snr)

    def like(self, x: Tensor) -> Level[Tensor]:
        """Return this level of ``(batch,)`` tensors, shaped and typed to broadcast against ``x`` (batch, \\*item)."""
        return Level(*(expand(getattr(self, name), x) for name in FIELDS))


def expand(value: Tensor, x: Tensor) -> Tensor:
    """Shape one value per item, ``(batch,)``, so that it broadcasts against ``x`` (batch, \\*item), in x's dtype."""
    return value.to(dtype=x.dtype, device=x.device).reshape(-1, *(1,) * (x.ndim - 1))
