"""The ideal network of a mixture of Gaussians, in any prediction: what a perfectly trained one would say."""

from __future__ import annotations

import torch
from torch import Tensor

from .denoiser import Cond, Denoiser
from .level import Level
from .mixture import GaussianMixture
from .prediction import Prediction

__all__ = ["OracleDenoiser"]


class OracleDenoiser:
    """``(x_t, level, cond) -> x0`` through a network that knows the data, read by the same Denoiser as trained ones.

    Args:
        mixture: the data.
        prediction: what the network says of them.
        asked: the data under the condition: rows whose "vector" begins with more than 0.5 are of this mixture.
        dtype: of the network's input and output.

    Attributes:
        rows: network forward passes so far, one for each row of each call.
    """

    def __init__(
        self,
        mixture: GaussianMixture,
        prediction: Prediction,
        *,
        asked: GaussianMixture | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._mixture, self._asked, self._prediction = mixture, asked, prediction
        self._denoiser = Denoiser(self._network, prediction, dtype=dtype)
        self._level: Level[float] | None = None

    @property
    def rows(self) -> int:
        return self._denoiser.rows

    def __call__(self, x: Tensor, level: Level[float], cond: Cond | None = None) -> Tensor:
        self._level = level  # a trained network makes do with the time
        return self._denoiser(x, level, cond)

    def _network(self, scaled: Tensor, time: Tensor, cond: Cond) -> Tensor:
        level = self._level
        assert level is not None
        x = scaled.double() / self._prediction.scale(level)
        x0 = self._mixture(x, level)
        if self._asked is not None and "vector" in cond:
            rows = cond["vector"].flatten(1)[:, 0] > 0.5
            x0[rows] = self._asked(x[rows], level)
        a, b = self._prediction.factors(level)
        return (a * x0 + b * (x - level.alpha * x0) / level.sigma).to(scaled.dtype)
