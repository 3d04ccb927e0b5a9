"""A mixture of Gaussians with its exact denoiser, score and density under any process.

With it as the data, the ideal network is known in closed form: the test bench of every sampler and objective, the
subject of the tutorial, and what ``noiseform compat`` tries the parts on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import ConfigError
from .level import Level, expand
from .noise import Draws, Key

__all__ = ["GaussianMixture"]

AnyLevel = Level[float] | Level[Tensor]
"""A moment that all items stand at, or one for each of them."""


class GaussianMixture:
    """Data distributed as a sum of Gaussians, ``x0 ~ sum_k w_k N(m_k, s_k**2)``.

    Args:
        means: ``(components, *item)``, float64.
        widths: ``(components,)``, the standard deviation of each, the same in every direction; positive.
        weights: ``(components,)``, positive; normalised here. Equal if omitted.

    Raises:
        ConfigError: they are no numbers, do not fit together, or are not positive.

    Source: the posterior of a Gaussian under Gaussian noise; Karras et al. 2022, arXiv 2206.00364, appendix B.3.
    """

    def __init__(
        self,
        means: Tensor | Sequence[object],
        widths: Tensor | Sequence[float],
        weights: Tensor | Sequence[float] | None = None,
    ) -> None:
        try:
            self.means = torch.as_tensor(means, dtype=torch.float64)
            self.widths = torch.as_tensor(widths, dtype=torch.float64)
            given = torch.ones(len(self.means)) if weights is None else torch.as_tensor(weights, dtype=torch.float64)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"mixture: means, widths and weights are numbers ({error}); give lists or tensors"
            ) from error
        count = len(self.means)
        if self.means.ndim < 2 or self.widths.shape != (count,) or given.shape != (count,):
            raise ConfigError(
                "mixture: expected means (components, *item), widths and weights (components,); "
                f"got {tuple(self.means.shape)}, {tuple(self.widths.shape)}, {tuple(given.shape)}"
            )
        if not (bool((self.widths > 0).all()) and bool((given > 0).all())):
            raise ConfigError("mixture: widths and weights must be positive")
        self.log_weights = torch.log(given.double() / given.double().sum())

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one item."""
        return tuple(self.means.shape[1:])

    def sample(self, count: int, *, seed: int = 0) -> Tensor:
        """Return ``count`` exact samples (count, \\*item), float64."""
        draws, key = Draws(), Key(seed)
        edges = torch.cumsum(self.log_weights.exp(), 0)[:-1]
        chosen = torch.bucketize(draws.uniform(key, (count,), purpose="component"), edges, right=True)
        eps = draws.normal([key], (count, *self.shape), purpose="sample", dtype=torch.float64)[0]
        means = self.means[chosen]
        return means + expand(self.widths[chosen], means) * eps

    def __call__(self, x: Tensor, level: AnyLevel) -> Tensor:
        """Return E[x0 | x_t = x], the ideal denoiser, for ``x`` (batch, \\*item), in x's dtype."""
        alpha, sigma = _per_item(level.alpha, x), _per_item(level.sigma, x)
        centred, variance, log_share = self._posterior(x, alpha, sigma)
        gain = alpha * self.widths.square() / variance  # (batch or 1, components)
        means = self.means.flatten(1) + gain.unsqueeze(-1) * centred
        return (torch.softmax(log_share, 1).unsqueeze(-1) * means).sum(1).reshape(x.shape).to(x.dtype)

    def posterior_variance(self, x: Tensor, level: AnyLevel) -> Tensor:
        """Return Var[x0 | x_t = x] of each value of an item, for ``x`` (batch, \\*item), in x's dtype."""
        alpha, sigma = _per_item(level.alpha, x), _per_item(level.sigma, x)
        centred, variance, log_share = self._posterior(x, alpha, sigma)
        gain, share = alpha * self.widths.square() / variance, torch.softmax(log_share, 1).unsqueeze(-1)
        means = self.means.flatten(1) + gain.unsqueeze(-1) * centred
        within = (sigma.square() * self.widths.square() / variance).unsqueeze(-1)
        between = (means - (share * means).sum(1, keepdim=True)).square()
        return (share * (within + between)).sum(1).reshape(x.shape).to(x.dtype)

    def score(self, x: Tensor, level: AnyLevel) -> Tensor:
        """Return the gradient of log p_t at ``x`` (batch, \\*item)."""
        alpha, sigma = _per_item(level.alpha, x), _per_item(level.sigma, x)
        centred, variance, log_share = self._posterior(x, alpha, sigma)
        pulls = -centred / variance.unsqueeze(-1)
        return (torch.softmax(log_share, 1).unsqueeze(-1) * pulls).sum(1).reshape(x.shape).to(x.dtype)

    def log_prob(self, x: Tensor, level: AnyLevel | None = None) -> Tensor:
        """Return log p_t(x) (batch,) in nats, of the data itself where no level is given."""
        alpha = _per_item(1.0 if level is None else level.alpha, x)
        sigma = _per_item(0.0 if level is None else level.sigma, x)
        return torch.logsumexp(self._posterior(x, alpha, sigma)[2], 1)

    def _posterior(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return x minus each component's noisy mean, each noisy variance, and log w_k N(x; ...)."""
        if tuple(x.shape[1:]) != self.shape:
            raise ConfigError(f"mixture: expected items of shape {self.shape}, got {tuple(x.shape[1:])}; reshape x")
        rows = x.double().flatten(1).unsqueeze(1)
        centred = rows - alpha.unsqueeze(-1) * self.means.flatten(1)
        variance = (alpha * self.widths).square() + sigma.square()
        size = rows.shape[-1]
        square = centred.square().sum(-1) / variance
        return centred, variance, self.log_weights - 0.5 * (square + size * torch.log(2 * math.pi * variance))


def _per_item(value: float | Tensor, x: Tensor) -> Tensor:
    """Return a level's value as float64 (batch or 1, 1), to broadcast against the components."""
    return torch.as_tensor(value, dtype=torch.float64, device=x.device).reshape(-1, 1)
