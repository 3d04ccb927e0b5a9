"""Noise-conditioning augmentation: what a stage is shown of its source is disturbed, and it is told how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ConfigError
from .source import SOURCE, Items, Source

__all__ = ["Augmentation", "disturbed"]


@dataclass(frozen=True)
class Augmentation:
    """How much what is shown of a source is disturbed, so that the network does not lean on what may be wrong in it.

    In training each item is disturbed by a share of noise drawn evenly from 0 to ``noise``, in sampling all are by
    ``level``.

    Attributes:
        noise: the most noise in training, as a share.
        level: the noise in sampling.
        of: which conditioner it belongs to, for messages.

    Raises:
        ConfigError: the level is above what training has shown.

    Source: Ho et al. 2021, arXiv 2106.15282, section 4.2; Saharia et al. 2022, arXiv 2205.11487, section 2.3.
    """

    noise: float
    level: float
    of: str

    def __post_init__(self) -> None:
        if self.level > self.noise:
            raise ConfigError(
                f"{self.of}: level: {self.level:g} is more noise than training has shown; give 0 to {self.noise:g}"
            )

    def shown(self, latent: Tensor, items: Items) -> Tensor:
        """Return what training shows of latents (batch, channels, \\*space), with their trust as one channel more."""
        noise = (self.noise * items.u[:, 0]).reshape(-1, *(1,) * (latent.ndim - 1))
        return disturbed(latent, items.normal(tuple(latent.shape[1:])), noise)

    def encoded(
        self,
        conditions: Sequence[Mapping[str, object]],
        shape: Sequence[int],
        latent: Callable[[Source], Tensor],
    ) -> Tensor:
        """Return what sampling shows of sources, as :meth:`shown` does; zeros for items that are made from nothing.

        Args:
            conditions: of the items.
            shape: of a latent (channels, \\*space).
            latent: returns that of a source.

        Returns:
            (items, channels + 1, \\*space).
        """
        channels, *space = shape
        rows = torch.zeros(len(conditions), channels + 1, *space)
        for row, condition in zip(rows, conditions, strict=True):
            source = condition.get(SOURCE)
            if isinstance(source, Source):
                clean = latent(source)[None]
                eps = source.normal(tuple(shape))[None] if self.level else torch.zeros_like(clean)
                row.copy_(disturbed(clean, eps, torch.full((1,) * clean.ndim, self.level))[0])
        return rows


def disturbed(latent: Tensor, eps: Tensor, noise: Tensor) -> Tensor:
    """Return latents with noise, and a channel that says how much they can be trusted.

    Args:
        latent: (items, channels, \\*space).
        eps: standard normal numbers like them.
        noise: share of those, from 0 to 1, broadcast to (items, 1, \\*space).

    Returns:
        ``sqrt(1 - noise**2) * latent + noise * eps`` and ``1 - noise`` (items, channels + 1, \\*space).

    Source: Ho et al. 2021, arXiv 2106.15282, section 4.2; Saharia et al. 2022, arXiv 2205.11487, section 2.3.
    """
    noise = noise.to(latent)
    trust = (1 - noise).expand(len(latent), 1, *latent.shape[2:])
    return torch.cat([torch.sqrt(1 - noise**2) * latent + noise * eps.to(latent), trust], 1)
