"""A learnt codec: an autoencoder whose latents a diffusion model can live in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le, MaxLen, MinLen
from torch import Tensor, nn
from torch.nn import functional

from ...core.media import MediaSpec, box
from ...core.networks.layers import Convolution, Downsample, Upsample
from ...core.networks.patches import fold, unfold
from .reconstruction import Reconstruction
from .tiling import Tiling

__all__ = ["KLVAE", "PositionBlock", "PositionNorm", "Width", "levels"]

Width = Annotated[int, Ge(8), Le(4096)]
_LOG_VARIANCE = (-30.0, 20.0)


class KLVAE(nn.Module):
    """Convolutions down to a few channels at a fraction of the resolution, and up again.

    Works for items of any rank. Norms look at one position at a time and there is no attention, so what is decoded at a
    place depends on its neighbourhood alone: large items are decoded in tiles, to the same values and in bounded
    memory. Latents have mean 0 and variance 1 in each channel over the data that it was trained on; the figures are
    kept with the weights.

    Args:
        channels: of each level, from full resolution down; each level after the first halves every axis.
        blocks: residual blocks a level.
        latent_channels: channels of a latent.
        patch: edge of the patches that are folded into channels before the first convolution.
        tile: edge of the tiles, in positions of the latent, in which items that are larger are decoded.

    Attributes:
        loss: what it learns by; the ``[loss]`` table of its recipe has the parameters.
        stride: positions of an item along each axis for one of the latent.

    Source: Kingma and Welling 2013, arXiv 1312.6114; Rombach et al. 2022, arXiv 2112.10752, section 3.1 and appendix G.
    """

    loss: ClassVar[Callable[..., Reconstruction]] = Reconstruction
    settable: ClassVar[tuple[str, ...]] = ("tile",)
    claims: ClassVar[Mapping[str, object]] = {
        "parameters": {"channels": [8, 16], "latent_channels": 3},
        "chunks": {"tile": 16},
    }
    latent_mean: Tensor
    latent_std: Tensor

    def __init__(
        self,
        channels: Annotated[Sequence[Width], MinLen(1), MaxLen(8)] = (64, 128, 256),
        blocks: Annotated[int, Ge(1), Le(16)] = 1,
        latent_channels: Annotated[int, Ge(1), Le(1024)] = 4,
        patch: Annotated[int, Ge(1), Le(64)] = 1,
        tile: Annotated[int, Ge(16), Le(4096)] = 64,
        *,
        media: MediaSpec,
    ) -> None:
        super().__init__()
        rank, cell = len(media.shape) - 1, patch ** (len(media.shape) - 1)
        self._media, self._patch = media, patch
        self.stride = patch * 2 ** (len(channels) - 1)
        self.latent_channels = latent_channels
        self.encoder = nn.Sequential(
            Convolution(rank, media.shape[0] * cell, channels[0]),
            *levels(rank, channels, blocks, Downsample),
            PositionNorm(channels[-1]),
            nn.SiLU(),
            Convolution(rank, channels[-1], 2 * latent_channels),
        )
        self.decoder = nn.Sequential(
            Convolution(rank, latent_channels, channels[-1]),
            *levels(rank, channels[::-1], blocks, Upsample),
            PositionNorm(channels[0]),
            nn.SiLU(),
            Convolution(rank, channels[0], media.shape[0] * cell),
        )
        # How far, in positions of the latent, a decoded value sees: the convolutions of each level, by its resolution.
        reach = sum((2 * blocks + 1) / 2**level for level in range(len(channels))) + 2
        self._tiling = Tiling((tile,) * rank, (math.ceil(reach),) * rank, (self.stride,) * rank)
        self.register_buffer("latent_mean", torch.zeros(latent_channels, dtype=torch.float64))
        self.register_buffer("latent_std", torch.ones(latent_channels, dtype=torch.float64))

    def shape(self, media_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (latent_channels, \\*space), each axis divided by ``stride`` and rounded up."""
        return self.latent_channels, *(math.ceil(size / self.stride) for size in media_shape[1:])

    def posterior(self, media: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the latents of media (batch, channels, \\*space), not yet normalised."""
        x = self.scaled(media)
        short = [-size % self.stride for size in x.shape[2:]]
        if any(short):
            x = functional.pad(x, [end for size in reversed(short) for end in (0, size)], mode="replicate")
        hidden = self.encoder(fold(x, self._patch).movedim(1, -1).contiguous())
        mean, log_variance = hidden.movedim(-1, 1).contiguous().chunk(2, 1)
        return mean, log_variance.clamp(*_LOG_VARIANCE)

    def reconstruct(self, latent: Tensor, space: Sequence[int]) -> Tensor:
        """Return media in [-1, 1], not clamped, for latents that are not normalised."""
        return self._decoded(latent)[box(slice(size) for size in space)]

    def _decoded(self, latent: Tensor) -> Tensor:
        return self.unfolded(self.decoder(latent.movedim(1, -1).contiguous()))

    def unfolded(self, hidden: Tensor) -> Tensor:
        """Return (batch, channels, \\*space) for what the decoder gives, channels last and patches folded into them."""
        return unfold(hidden.movedim(-1, 1), self._patch)

    @property
    def last_weights(self) -> Tensor:
        """The weights nearest to the media that learn, at which the parts of a loss are weighed against each other."""
        return next(self.decoder[-1].parameters())

    def scaled(self, media: Tensor) -> Tensor:
        """Return media in [-1, 1]."""
        low, high = self._media.low, self._media.high
        return (media - (high + low) / 2) * (2 / (high - low))

    def encode(self, media: Tensor) -> Tensor:
        """Return the means of the latents, normalised (batch, latent_channels, \\*space)."""
        with torch.no_grad():
            mean, _ = self.posterior(media)
        centre, width = (_beside(part, mean) for part in (self.latent_mean, self.latent_std))
        return (mean - centre) / width

    def decode(self, latent: Tensor, media_shape: tuple[int, ...]) -> Tensor:
        """Return media (batch, \\*media_shape) held to their range."""
        centre, width = (_beside(part, latent) for part in (self.latent_mean, self.latent_std))
        latent = latent * width + centre
        with torch.no_grad():
            x = self._tiling.decoded(latent, media_shape, self._decoded)
        low, high = self._media.low, self._media.high
        return x.clamp(-1, 1) * ((high - low) / 2) + (high + low) / 2

    def measure(self, means: Sequence[Tensor]) -> None:
        """Set the figures that normalise latents, from the means that :meth:`posterior` gives of training items."""
        flat = torch.cat([mean.double().transpose(0, 1).flatten(1) for mean in means], 1)
        self.latent_mean.copy_(flat.mean(1))
        self.latent_std.copy_(flat.std(1).clamp(min=1e-6))


class PositionNorm(nn.Module):
    """Divides by the root mean square over the channels of each position, which no other position has a say in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        size = torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)
        return x * size * self.gain.to(x.dtype)


class PositionBlock(nn.Module):
    """norm, SiLU, convolution, twice, beside the identity; the norm is :class:`PositionNorm`."""

    def __init__(self, rank: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.body = nn.Sequential(
            PositionNorm(channels), nn.SiLU(), Convolution(rank, channels, channels),
            PositionNorm(channels), nn.SiLU(), Convolution(rank, channels, channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def levels(
    rank: int, channels: Sequence[int], blocks: int, resize: Callable[[int, int, int], nn.Module]
) -> Iterator[nn.Module]:
    """Give the layers of all levels, each of ``blocks`` residual blocks; ``resize`` stands before all but the first."""
    for level, wide in enumerate(channels):
        if level:
            yield resize(rank, channels[level - 1], wide)
        for _ in range(blocks):
            yield PositionBlock(rank, wide)


def _beside(values: Tensor, x: Tensor) -> Tensor:
    """Return values of channels, shaped to be combined with x (batch, channels, \\*space), in its dtype."""
    return values.to(x.dtype).reshape(-1, *(1,) * (x.ndim - 2))
