"""Learned variance: regression on a prediction, and with it the variational bound."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from ...core.diffusion import prediction
from ...core.diffusion.gaussian import divergence, log_density, log_probability
from ...core.diffusion.level import expand
from ...core.diffusion.objective import EDGE, Answer, PredictionObjective
from ...core.diffusion.process import CompleteProcess, level_at
from ...core.diffusion.transition import share_of, transition
from .densities import DensityName
from .densities import density as density_named
from .weightings import WeightingName
from .weightings import weighting as weighting_named

__all__ = ["HybridObjective", "hybrid_vlb"]

Positive = Annotated[float, Gt(0)]

_PREDICTIONS = {"eps": prediction.EPS, "v": prediction.V, "velocity": prediction.VELOCITY}


@dataclass(frozen=True)
class HybridObjective(PredictionObjective):
    """``weight(t) * mean(error**2) + vlb_weight * length * bound(t)``, for a network with two outputs for each value.

    Attributes:
        prediction: what the network predicts; it learns the variance too.
        weighting: of the squared error, see :data:`~noiseform.core.diffusion.objective.Weighting`.
        density: of t, see :data:`~noiseform.core.diffusion.objective.Density`.
        length: number of steps of the bound.
        vlb_weight: lambda of the paper.
        values: how many values a number of an item may have, or 0 where it is continuous.
        reach: the largest of them; they lie evenly from ``-reach`` to ``reach``.
    """

    length: int
    vlb_weight: float
    values: int
    reach: float

    def completed(self, losses: Tensor, process: CompleteProcess, x0: Tensor, t: Tensor, answer: Answer) -> Tensor:
        """Return the weighted squared errors (batch,) and the bound."""
        assert answer.spread is not None, "a prediction that learns variance gives it"
        # The bound teaches the variance alone: it sees the predicted item, but moves it not.
        predicted = self.prediction.x0(answer.said.detach(), answer.x, answer.level)
        bound = self.bound(process, x0, predicted, answer.spread, t)
        return losses + self.vlb_weight * self.length * bound

    def bound(self, process: CompleteProcess, x0: Tensor, predicted: Tensor, spread: Tensor, t: Tensor) -> Tensor:
        """Return the term of the variational bound at each item's time, in bits for each number of an item (batch,).

        Args:
            process: how data is destroyed.
            x0: the clean items (batch, \\*item).
            predicted: what they are taken for, given x_t.
            spread: what the network says of the variance, of that shape; see ``core.diffusion.transition.share_of``.
            t: times (batch,), float64. Summed over ``t + k / length``, k = 0 to length - 1, for any one t of at most
                1 / length, the terms are the bound, but for what is left of the data in pure noise.
        """
        last = t < 1 / self.length + EDGE
        nats = x0.new_zeros(len(t))
        for rows, term in ((~last, self._divergence), (last, self._decoded)):
            if bool(rows.any()):
                nats = nats.index_put(
                    (rows,), term(process, x0[rows], predicted[rows], share_of(spread[rows]), t[rows])
                )
        return nats / math.log(2)

    def _divergence(self, process: CompleteProcess, x0: Tensor, predicted: Tensor, share: Tensor, t: Tensor) -> Tensor:
        """Return KL(q(x_next | x_t, x0) || p(x_next | x_t)) of the step to t - 1 / length, in nats a number."""
        step = transition(level_at(process, t), level_at(process, t - 1 / self.length))
        log_ratio = share * expand(torch.log(step.large / step.small), x0)  # of the two variances
        off = expand(step.of_x0 / step.small.sqrt(), x0) * (x0 - predicted)
        return divergence(off, log_ratio).flatten(1).mean(1)

    def _decoded(self, process: CompleteProcess, x0: Tensor, predicted: Tensor, share: Tensor, t: Tensor) -> Tensor:
        """Return -log p(x0 | x_t) of the step to the data, in nats a number (batch,).

        There the posterior has no variance; in its place stands that of the step before, as in the paper's code.
        """
        here = level_at(process, t)
        data, before = (level_at(process, at) for at in (torch.zeros_like(t), t + 1 / self.length))
        small, large = transition(before, here).small, transition(here, data).large
        log_variance = expand(torch.log(small), x0.double()) + share * expand(torch.log(large / small), x0.double())
        args = x0.double(), predicted.double(), 0.5 * log_variance
        logs = log_probability(*args, self.values, self.reach) if self.values else log_density(*args)
        return -logs.flatten(1).mean(1).to(x0.dtype)


def hybrid_vlb(
    predict: Literal["eps", "v", "velocity"] = "eps",
    weighting: WeightingName = "uniform",
    density: DensityName = "uniform",
    length: Annotated[int, Ge(2), Le(1_000_000)] = 1000,
    vlb_weight: Annotated[float, Ge(0)] = 0.001,
    values: Literal[0, 256] = 0,
    reach: Positive = 1.0,
    gamma: Positive | None = None,
    k: Positive = 1.0,
    sigma_data: Positive = 0.5,
    mean: float | None = None,
    std: Positive | None = None,
) -> HybridObjective:
    """Predict the noise, and how uncertain a step is: ``L_hybrid = L_simple + vlb_weight * L_vlb``.

    The network gives twice the channels. Their second half says where, between the logarithms of the smallest and the
    largest sensible variance of a step, its variance lies. ``ddpm`` with ``variance = "learned"`` uses it, in steps of
    any length; every other sampler leaves it aside.

    L_vlb is the bound of a chain of ``length`` steps, in bits for each number of an item, and teaches the variance
    alone. At a time t its term is the divergence of the step from t to t - 1 / length; where that reaches the data, it
    is the likelihood of the item: of its pixels where ``values`` says so, else the density of continuous numbers,
    whose bits may be below 0.

    Args:
        predict: what the first half of the output is: "eps"; or "v" or "velocity", which also serve processes that end
            in pure noise.
        weighting: which of its errors matter: "uniform", "snr", "min-snr", "p2", "edm", "likelihood".
        density: at which times training looks: "uniform", "logit-normal", "log-normal", "importance".
        length: number of steps of the bound, T of the paper; with the process discrete-vp best its own.
        vlb_weight: lambda of the paper, for the sum of all terms.
        values: how many a number of an item may have: 256 for pixels under the codec identity, 0 for continuous ones.
        reach: the largest of the values, which lie evenly about 0: the scale of the codec identity.
        gamma: cap of the signal-to-noise ratio in "min-snr", 5 if omitted; exponent in "p2", 1 if omitted.
        k: the signal-to-noise ratio that "p2" adds.
        sigma_data: standard deviation of the data in the weighting "edm".
        mean: centre of a normal density; its usual value if omitted.
        std: width of a normal density; its usual value if omitted.

    Source: Nichol and Dhariwal 2021, arXiv 2102.09672, equations 15 and 16, the stopped gradient of section 3.1; Ho et
    al. 2020, arXiv 2006.11239, equations 5 and 13.
    """
    return HybridObjective(
        replace(_PREDICTIONS[predict], learns_variance=True),
        weighting_named(weighting, gamma, k, sigma_data),
        density_named(density, mean, std),
        length,
        vlb_weight,
        values,
        reach,
    )


hybrid_vlb.claims = {"stops_gradients": True}  # type: ignore[attr-defined]  # the bound teaches the variance alone
