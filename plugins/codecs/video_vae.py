"""A learnt codec of films: that of pictures, whose decoder has learnt that one frame follows another."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, ClassVar, cast

import torch
from annotated_types import Ge, Le, MaxLen, MinLen
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import ConfigError
from ...core.media import MediaSpec
from ...core.networks.temporal import Mix, TemporalConvolution
from .film_reconstruction import FilmReconstruction
from .kl_vae import KLVAE, PositionBlock, PositionNorm, Width
from .tiling import Tiling

__all__ = ["VideoVAE"]

_REACH = 2  # frames that a temporal layer sees on either side: two kernels of three frames
_TOGETHER = "batch channels frames height width -> (batch frames) channels height width"
_APART = "(batch frames) channels height width -> batch channels frames height width"


class VideoVAE(KLVAE):
    """``kl-vae`` frame by frame, with layers along time between those of its decoder.

    Encoder and decoder have the names and shapes of ``kl-vae``'s, so that a codec of pictures gives their weights, and
    its latents stay what they are: a model that lives in them need not learn anew. The layers of time are mixed in by
    weights that start at no effect. A film of one frame passes them by. A latent has as many frames as its film. Long
    films are encoded and decoded in chunks of frames; a chunk is decoded with as many frames around it as the layers of
    time see, so that the joints are exact.

    Args:
        channels: of each level, from full resolution down; each level after the first halves height and width.
        blocks: residual blocks a level.
        latent_channels: channels of a latent.
        patch: edge of the patches that are folded into channels before the first convolution.
        tile: edge of the tiles, in positions of the latent, in which frames that are larger are decoded.
        chunk: frames that are encoded or decoded at a time.

    Attributes:
        loss: what it learns by; the ``[loss]`` table of its recipe has the parameters.
        stride: positions along height and width for one of the latent.
        apart: the axis of a batch, that of time, along which each position is encoded without its neighbours.

    Source: Blattmann et al. 2023, arXiv 2304.08818, section 3.1.1.
    """

    loss: ClassVar[Callable[..., FilmReconstruction]] = FilmReconstruction
    settable: ClassVar[tuple[str, ...]] = ("tile", "chunk")
    claims: ClassVar[Mapping[str, object]] = {
        "parameters": {"channels": [8, 16], "latent_channels": 3},
        "chunks": {"tile": 16, "chunk": 3},
    }
    apart: ClassVar[int] = 2

    def __init__(
        self,
        channels: Annotated[Sequence[Width], MinLen(1), MaxLen(8)] = (64, 128, 256),
        blocks: Annotated[int, Ge(1), Le(16)] = 1,
        latent_channels: Annotated[int, Ge(1), Le(1024)] = 4,
        patch: Annotated[int, Ge(1), Le(64)] = 1,
        tile: Annotated[int, Ge(16), Le(4096)] = 64,
        chunk: Annotated[int, Ge(1), Le(4096)] = 16,
        *,
        media: MediaSpec,
    ) -> None:
        if len(media.shape) != 4:
            raise ConfigError(
                f"codec video-vae: films have (channels, frames, height, width), got {media.shape}; use kl-vae"
            )
        depth, _, height, width = media.shape
        picture = MediaSpec((depth, height, width), media.rates[1:], media.low, media.high)
        super().__init__(channels, blocks, latent_channels, patch, tile, media=picture)
        self._chunk = chunk
        # After every block of the decoder, under its number there.
        self.temporal = nn.ModuleDict(
            {
                str(place): _TemporalLayer(layer.channels)
                for place, layer in enumerate(self.decoder)
                if isinstance(layer, PositionBlock)
            }
        )
        flat = self._tiling
        reach = _REACH * len(self.temporal)
        self._tiling = Tiling((chunk, *flat.tile), (reach, *flat.margin), (1, *flat.stride))

    @property
    def additions(self) -> tuple[frozenset[str], ...]:
        """Names of the weights that ``kl-vae`` does not have: those of the layers of time."""
        return (frozenset(name for name in self.state_dict() if name.startswith("temporal.")),)

    @property
    def last_weights(self) -> Tensor:
        """See ``kl-vae``; where its layers are frozen, the weights by which the last layer of time is mixed in."""
        weights = super().last_weights
        return weights if weights.requires_grad else cast(_TemporalLayer, list(self.temporal.values())[-1]).mix.weight

    def shape(self, media_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (latent_channels, frames, height, width), the last two divided by ``stride`` and rounded up."""
        _, frames, *space = media_shape
        return self.latent_channels, frames, *(math.ceil(size / self.stride) for size in space)

    def posterior(self, media: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the latents of films, frame by frame, not yet normalised."""
        parts = [super(VideoVAE, self).posterior(frames) for frames in rearrange(media, _TOGETHER).split(self._chunk)]
        mean, log_variance = (rearrange(torch.cat(one), _APART, batch=len(media)) for one in zip(*parts, strict=True))
        return mean, log_variance

    def _decoded(self, latent: Tensor) -> Tensor:
        frames = latent.shape[2]
        hidden = rearrange(latent, _TOGETHER).movedim(1, -1).contiguous()
        for index, layer in enumerate(self.decoder):
            hidden = layer(hidden)
            if frames > 1 and str(index) in self.temporal:
                hidden = self.temporal[str(index)](hidden, frames)
        return rearrange(self.unfolded(hidden), _APART, frames=frames)


class _TemporalLayer(nn.Module):
    """A residual block along time that looks at one position of the frames: norm, SiLU, convolution, twice."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm_in = PositionNorm(channels)
        self.conv_in = TemporalConvolution(channels, channels)
        self.norm_out = PositionNorm(channels)
        self.conv_out = TemporalConvolution(channels, channels)
        self.mix = Mix(channels)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """Return like x (batch * frames, height, width, channels)."""
        clip = x.reshape(-1, frames, x[0, ..., 0].numel(), x.shape[-1])
        hidden = self.conv_in(functional.silu(self.norm_in(clip)))
        return self.mix(clip, self.conv_out(functional.silu(self.norm_out(hidden)))).reshape(x.shape)
