"""The U-Net for films: that of pictures, frame by frame, with layers along time between its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from annotated_types import Ge, Le, Lt, MaxLen, MinLen
from einops import rearrange
from torch import Tensor

from ...core.errors import ConfigError
from ...core.networks.temporal import TemporalLayer, frame_places
from .unet import UNet, Width

__all__ = ["UNet3d"]

_TOGETHER = "batch channels frames height width -> (batch frames) channels height width"


class UNet3d(UNet):
    """The U-Net for films: ``unet-2d`` frame by frame, with temporal convolution and attention after each block.

    The layers of space have the names and shapes of ``unet-2d``'s, so that a model of pictures gives their weights. The
    layers of time are mixed in by weights that start at no effect: untrained, the network is ``unet-2d`` frame by
    frame. Films of any length work. A film of one frame passes the layers of time by: for a still the network is its
    layers of space, and nothing else, however the layers of time were trained.

    Args:
        channels: of each level, from full resolution down; each level after the first halves height and width.
        blocks: residual blocks a level on the way down (one more on the way up).
        attention: levels that have attention over the positions of a frame, 0 being the first; the middle always has
            it.
        head_width: channels of an attention head.
        patch: edge of the patches of positions that are folded into channels before the first convolution.
        positions: channels that tell the network where along height and width it is.
        dropout: in training.
        embedding: width of the embedding of time and condition; 4 times the first level's channels where 0.
        temporal_attention: levels that have attention over the frames of a position; if omitted, those of
            ``attention``. The middle always has it.
        channels_in: channels of an item.
        channels_out: channels of the output.
        vector_width: width of the conditioning vector, or 0.
        sequence_width: width of the conditioning sequence, or 0.
        extra_channels: channels of conditioning that is laid beside the item, or 0.

    Source: Blattmann et al. 2023, arXiv 2304.08818, section 3.1.
    """

    item_ndim = 3
    rank = 2

    def __init__(
        self,
        channels: Annotated[Sequence[Width], MinLen(1), MaxLen(16)] = (64, 128, 256),
        blocks: Annotated[int, Ge(1), Le(16)] = 2,
        attention: Sequence[Annotated[int, Ge(0), Le(16)]] = (),
        head_width: Annotated[int, Ge(8), Le(256)] = 32,
        patch: Annotated[int, Ge(1), Le(256)] = 1,
        positions: Annotated[int, Ge(0), Le(64)] = 0,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        embedding: Annotated[int, Ge(0), Le(16384)] = 0,
        temporal_attention: Sequence[Annotated[int, Ge(0), Le(16)]] | None = None,
        *,
        channels_in: int,
        channels_out: int | None = None,
        vector_width: int = 0,
        sequence_width: int = 0,
        extra_channels: int = 0,
    ) -> None:
        super().__init__(
            channels,
            blocks,
            attention,
            head_width,
            patch,
            positions,
            dropout,
            embedding,
            channels_in=channels_in,
            channels_out=channels_out,
            vector_width=vector_width,
            sequence_width=sequence_width,
            extra_channels=extra_channels,
        )
        levels = attention if temporal_attention is None else temporal_attention
        wrong = [level for level in levels if level >= len(channels)]
        if wrong:
            raise ConfigError(f"temporal_attention: there are levels 0 to {len(channels) - 1}, got {wrong[0]}")
        width = embedding or 4 * channels[0]
        # After those of space, whose random start is so that of unet-2d with the same seed.
        for stages, level, step in ((self.down, 0, 1), (self.up, len(channels) - 1, -1)):
            for stage in stages:
                if stage.changes_size:
                    level += step
                    continue
                stage.temporal = TemporalLayer(
                    channels[level], width, attention=level in levels, head_width=head_width, dropout=dropout
                )
        for stage, attends in zip(self.middle, (True, False), strict=True):
            stage.temporal = TemporalLayer(
                channels[-1], width, attention=attends, head_width=head_width, dropout=dropout
            )

    @property
    def additions(self) -> tuple[frozenset[str], ...]:
        """Names of the weights that ``unet-2d`` may lack: for what lies beside the item, and of the layers of time."""
        return (*super().additions, frozenset(name for name in self.state_dict() if "temporal" in name.split(".")))

    def forward(self, x: Tensor, time: Tensor, cond: Mapping[str, Tensor]) -> Tensor:
        """Return the output (batch, channels_out, frames, height, width).

        Args:
            x: the noisy items (batch, channels_in, frames, height, width).
            time: what the prediction tells of the level (batch,); the same for all frames of an item.
            cond: as for ``unet-2d``, the same for all frames of an item; "channels" either are those of each frame
                (batch, extra_channels, frames, height, width), or of all (batch, extra_channels, height, width).
        """
        frames = x.shape[2]
        told = self.told(time, cond, x.dtype)
        if told.beside is not None:
            beside = (
                told.beside if told.beside.ndim == x.ndim else told.beside.unsqueeze(2).expand(-1, -1, frames, -1, -1)
            )
            told = told._replace(beside=rearrange(beside, _TOGETHER))
        if frames > 1:
            told = told._replace(places=frame_places(frames, x))
        pictures = rearrange(x, _TOGETHER)
        output = self.denoise(pictures, told)
        return rearrange(
            output, "(batch frames) channels height width -> batch channels frames height width", frames=frames
        )
