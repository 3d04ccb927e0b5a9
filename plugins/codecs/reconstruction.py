"""What a learnt codec learns by: reconstruction, a pull on its latents, and a discriminator of patches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Protocol

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn
from torch.nn import functional

from ...core.networks.layers import Convolution

__all__ = ["Reconstruction"]


class Autoencoder(Protocol):
    """What the loss asks of a codec; see :class:`~noiseform.plugins.codecs.kl_vae.KLVAE`."""

    @property
    def last_weights(self) -> Tensor: ...

    def scaled(self, media: Tensor) -> Tensor: ...
    def posterior(self, media: Tensor) -> tuple[Tensor, Tensor]: ...
    def reconstruct(self, latent: Tensor, space: tuple[int, ...]) -> Tensor: ...


class Reconstruction(nn.Module):
    """The mean absolute error at several scales, the divergence of the latents from noise, and a discriminator.

    The weight of the discriminator follows the gradients at the last layer, so that it counts ``adversarial`` times as
    much as the reconstruction, whatever their sizes.

    Args:
        kl: weight of the mean divergence, in nats, of a value of the latent from a standard normal.
        scales: the error is taken at full resolution and after halving it so many times less one.
        adversarial: weight of the discriminator; 0 is none.
        adversarial_from: step from which it counts.
        discriminator: channels of its first layer.

    Source: Rombach et al. 2022, arXiv 2112.10752, eq. 25; Esser et al. 2021, arXiv 2012.09841, eq. 7 (the weight);
    Isola et al. 2017, arXiv 1611.07004, section 3.2.2 (patches); Lim and Ye 2017, arXiv 1705.02894 (the hinge).
    """

    def __init__(
        self,
        kl: Annotated[float, Ge(0)] = 1e-4,
        scales: Annotated[int, Ge(1), Le(8)] = 3,
        adversarial: Annotated[float, Ge(0)] = 0.0,
        adversarial_from: Annotated[int, Ge(0)] = 0,
        discriminator: Annotated[int, Ge(8), Le(512)] = 32,
        *,
        channels: int,
        rank: int,
    ) -> None:
        super().__init__()
        self._kl, self._scales = kl, scales
        self._adversarial, self._from = adversarial, adversarial_from
        self.modules_beside: Mapping[str, nn.Module] = (
            {"discriminator": _Discriminator(rank, channels, discriminator)} if adversarial else {}
        )

    def updates(self, codec: Autoencoder, media: Tensor, eps: Tensor, step: int) -> Iterator[tuple[str, Tensor]]:
        """Give the loss of the codec, then that of the discriminator.

        Args:
            codec: what learns.
            media: (batch, channels, \\*space).
            eps: standard normal numbers of the latents' shape.
            step: from 0.
        """
        target = codec.scaled(media)
        mean, log_variance = codec.posterior(media)
        latent = mean + torch.exp(0.5 * log_variance) * eps
        made = codec.reconstruct(latent, tuple(media.shape[2:]))
        error = self.error(made, target)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        loss = error + self._kl * divergence
        active = bool(self.modules_beside) and step >= self._from
        if not active:
            yield "model", loss
            return
        critic = self.modules_beside["discriminator"]
        flattery = -critic(made).mean()
        yield "model", loss + self._adversarial * _balance(error, flattery, codec) * flattery
        real, false = critic(target), critic(made.detach())
        yield "discriminator", functional.relu(1 - real).mean() + functional.relu(1 + false).mean()

    def error(self, made: Tensor, target: Tensor) -> Tensor:
        """Return the mean absolute error of media in [-1, 1], averaged over the scales."""
        return _error(made, target, self._scales)


class _Discriminator(nn.Module):
    """Three strided convolutions and a head: one verdict for each patch."""

    def __init__(self, rank: int, channels_in: int, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        now = channels_in
        for wide in (channels, 2 * channels, 4 * channels):
            layers += [Convolution(rank, now, wide, 4, stride=2), nn.LeakyReLU(0.2)]
            now = wide
        self.body = nn.Sequential(*layers, Convolution(rank, now, 1, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Return verdicts (batch, \\*patches, 1) for media (batch, channels, \\*space)."""
        return self.body(x.movedim(1, -1).contiguous())


def _error(made: Tensor, target: Tensor, scales: int) -> Tensor:
    """Return the mean absolute error, averaged over the scales."""
    total = (made - target).abs().mean()
    pool = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[made.ndim - 3]
    taken = 1
    while taken < scales and min(made.shape[2:]) >= 2:
        made, target = pool(made, 2), pool(target, 2)
        total = total + (made - target).abs().mean()
        taken += 1
    return total / taken


def _balance(error: Tensor, flattery: Tensor, codec: Autoencoder) -> Tensor:
    """Return how much weaker the discriminator's gradient is than the reconstruction's at the codec's last weights."""
    last = codec.last_weights
    (wanted,), (got,) = (torch.autograd.grad(one, last, retain_graph=True) for one in (error, flattery))
    return (wanted.norm() / (got.norm() + 1e-6)).clamp(0, 1e4).detach()
