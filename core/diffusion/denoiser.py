"""The denoiser: a network and what it predicts, wrapped into one function ``denoise(x_t, level, cond) -> x0``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from ..contract import check_tensor
from .combination import combined, scaled
from .level import Level
from .prediction import Prediction
from .transition import Variance, learnt_variance

__all__ = ["Cond", "Conditioned", "Denoiser", "Guidance", "Network"]

Cond = Mapping[str, Tensor]

Network = Callable[[Tensor, Tensor, Cond], Tensor]


class Conditioned(Protocol):
    """A denoiser that is told its conditioning: ``(x_t, level, cond) -> x0``."""

    def __call__(self, x: Tensor, level: Level[float], cond: Cond) -> Tensor: ...


class Guidance(Protocol):
    """Wraps a conditioned denoiser into one that needs only (x, level).

    One that asks a trained model of its own says which by its class attribute ``guide``: ``"classifier"`` or
    ``"denoiser"``. It is then called with that model as a further argument, see the guide on plugins. One that does not
    look at ``null`` says so by ``negative = False``; a negative prompt is then refused.
    """

    def wrap(self, denoise: Conditioned, cond: Cond, null: Cond):  # type: ignore[no-untyped-def]
        """Return ``denoise(x, level) -> x0``.

        Args:
            denoise: takes the conditioning to use, with one row per row of x.
            cond: the conditioning asked for, tensors (batch, ...).
            null: the conditioning that says nothing, or what is not wanted, of the same shapes.
        """


class Denoiser:
    """Reads a network's output as clean items and counts its calls.

    Args:
        network: ``(x, time, cond) -> output``; x (batch, \\*item), time (batch,) float32.
        prediction: how the output is read.
        dtype: what the network computes in; x keeps its own dtype.

    Attributes:
        rows: network forward passes so far, one for each row of each call. NFE is rows per item.
        learns_variance: whether the network says how uncertain a step is.
        spread: what the last call's output says of the variance, like x; None where the network learns none.
    """

    def __init__(self, network: Network, prediction: Prediction, *, dtype: torch.dtype = torch.float32) -> None:
        self._network = network
        self._prediction = prediction
        self._dtype = dtype
        self._ones = torch.empty(0)
        self.rows = 0
        self.learns_variance = prediction.learns_variance
        self.spread: Tensor | None = None

    def __call__(self, x: Tensor, level: Level[float], cond: Cond | None = None) -> Tensor:
        prediction, rows = self._prediction, x.shape[0]
        scale, told, of_x, of_output = prediction.reading(level)
        shown = x if abs(scale - 1) < 1e-7 else scaled(x, scale)  # variance-preserving processes skip a pass over x
        # After some milliseconds of network the first call of its kind is cold, ten times as dear: times are made as
        # sums are, and nothing in vain.
        if self._ones.shape[0] != rows or self._ones.device != x.device:
            self._ones = torch.ones(rows, dtype=torch.float32, device=x.device)
        time = scaled(self._ones, told)
        if shown.dtype != self._dtype:
            shown = shown.to(self._dtype)
        output = self._network(shown, time, cond or {})
        if not self.rows:  # what holds for the first call holds for all
            expected = prediction.output_shape(x.shape)
            check_tensor(output, expected, of=f"network {type(self._network).__name__}", device=x.device)
        self.rows += rows
        if prediction.learns_variance:
            output, spread = output.chunk(2, 1)
            self.spread = spread.to(torch.promote_types(x.dtype, torch.float32))  # variances are small
        if output.dtype != x.dtype:
            output = output.to(x.dtype)
        return combined(x, of_x, output, of_output)

    @property
    def variance(self) -> Variance:
        """``(here, next) -> variance`` (batch, \\*item) of x at ``next``, given the x last denoised, at ``here``.

        Raises:
            AttributeError: the network learns none, or has not been called yet.
        """
        spread = self.spread
        if spread is None:
            raise AttributeError("variance")
        return partial(learnt_variance, spread)
