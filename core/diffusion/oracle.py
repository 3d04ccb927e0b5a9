"""The ideal network of a mixture of Gaussians, in any prediction: what a perfectly trained one would say."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .denoiser import Cond, Denoiser
from .level import Level
from .mixture import GaussianMixture
from .prediction import Prediction
from .transition import Variance

__all__ = ["OracleDenoiser"]


class OracleDenoiser:
    """``(x_t, level, cond) -> x0`` through a network that knows the data, read by the same Denoiser as trained ones.

    A prediction that learns the variance is told the best one as well: that of x_next given x_here, for short steps.

    Args:
        mixture: the data.
        prediction: what the network says of them.
        asked: the data under the condition: rows whose "vector" begins with more than 0.5 are of this mixture.
        dtype: of the network's input and output.

    Source: Bao et al. 2022, arXiv 2201.06503, theorem 1 (the best variance).

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

    @property
    def learns_variance(self) -> bool:
        return self._denoiser.learns_variance

    @property
    def spread(self) -> Tensor | None:
        return self._denoiser.spread

    @property
    def variance(self) -> Variance:
        return self._denoiser.variance

    def __call__(self, x: Tensor, level: Level[float], cond: Cond | None = None) -> Tensor:
        self._level = level  # a trained network makes do with the time
        return self._denoiser(x, level, cond)

    def _network(self, scaled: Tensor, time: Tensor, cond: Cond) -> Tensor:
        level = self._level
        assert level is not None
        x = scaled.double() / self._prediction.scale(level)
        x0 = self._said(GaussianMixture.__call__, x, level, cond)
        a, b = self._prediction.factors(level)
        output = a * x0 + b * (x - level.alpha * x0) / level.sigma
        if self._prediction.learns_variance:
            # Of short steps: there the best share is Var[x0 | x_t] over what it would be for data of unit variance.
            of_unit = level.sigma**2 / (level.alpha**2 + level.sigma**2)
            share = self._said(GaussianMixture.posterior_variance, x, level, cond) / of_unit
            output = torch.cat([output, 2 * share - 1], 1)
        return output.to(scaled.dtype)

    def _said(
        self, of: Callable[[GaussianMixture, Tensor, Level[float]], Tensor], x: Tensor, level: Level[float], cond: Cond
    ) -> Tensor:
        """Return what the data say of ``x``, those under the condition in the rows that ask for it."""
        said = of(self._mixture, x, level)
        if self._asked is not None and "vector" in cond:
            rows = cond["vector"].flatten(1)[:, 0] > 0.5
            said[rows] = of(self._asked, x[rows], level)
        return said
