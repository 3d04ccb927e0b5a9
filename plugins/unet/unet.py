"""One U-Net for items of any rank."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, ClassVar, NamedTuple

import torch
from annotated_types import Ge, Le, Lt, MaxLen, MinLen
from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import ConfigError
from ...core.networks.layers import (
    Attention,
    Convolution,
    Downsample,
    Norm,
    ResidualBlock,
    TimeEmbedding,
    Upsample,
    zeroed,
)
from ...core.networks.norm import Affine
from ...core.networks.packing import ModulationsTogether
from ...core.networks.patches import fold, unfold
from ...core.networks.temporal import TemporalLayer

__all__ = ["Told", "UNet", "UNet1d", "UNet2d", "Width"]

Width = Annotated[int, Ge(8), Le(8192)]


class Told(NamedTuple):
    """What every stage is told beside the items.

    Attributes:
        embedding: of time and vector (batch, width).
        sequence: conditioning (batch, length, sequence_width), or None.
        mask: True where the sequence holds something (batch, length), or None.
        modulations: how the embedding modulates the second norm of residual blocks, where that is known already.
        beside: conditioning that is laid beside the items (batch, extra_channels, \\*space), or None.
        places: where each frame stands in time (frames, features); None where there is no time.
    """

    embedding: Tensor
    sequence: Tensor | None
    mask: Tensor | None
    modulations: Mapping[nn.Module, Tensor | Affine]
    beside: Tensor | None = None
    places: Tensor | None = None


class UNet(nn.Module):
    """Residual blocks at falling and rising resolution with skips between, modulated by time and condition.

    Any size works: an item is padded at its end to a multiple of ``patch * 2 ** (levels - 1)`` along each axis and
    cropped again. The last layer starts at zero.

    What the parameters mean is told where they are set, at :class:`UNet1d` and :class:`UNet2d`.

    Source: Ronneberger et al. 2015, arXiv 1505.04597; Ho et al. 2020, arXiv 2006.11239, appendix B; Dhariwal and
    Nichol 2021, arXiv 2105.05233.
    """

    item_ndim: ClassVar[int]
    rank: ClassVar[int]
    """Axes of space that the layers see."""
    claims: ClassVar[Mapping[str, object]] = {
        "parameters": {"channels": [8, 16], "blocks": 1, "attention": [1], "patch": 2, "head_width": 8, "positions": 2}
    }

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
        *,
        channels_in: int,
        channels_out: int | None = None,
        vector_width: int = 0,
        sequence_width: int = 0,
        extra_channels: int = 0,
    ) -> None:
        super().__init__()
        wrong = [level for level in attention if level >= len(channels)]
        if wrong:
            raise ConfigError(f"attention: there are levels 0 to {len(channels) - 1}, got {wrong[0]}")
        if channels[-1] % head_width:
            raise ConfigError(
                f"channels: the last, {channels[-1]}, is no multiple of head_width, {head_width}; make it one: the "
                "middle of the network always has attention"
            )
        rank = self.rank
        self.patch, self.positions = patch, positions
        self.multiple = patch * 2 ** (len(channels) - 1)
        self.conditioning = frozenset({"vector", "sequence", "sequence_mask", "channels"})
        width = embedding or 4 * channels[0]
        cell = patch**rank
        self.time = TimeEmbedding(width)
        self.vector = nn.Linear(vector_width, width) if vector_width else None
        self.stem = Convolution(rank, channels_in * cell + rank * positions, channels[0])
        # Starts at zero, so that a model which knows nothing of such conditioning can learn to heed it.
        self.beside = zeroed(Convolution(rank, extra_channels * cell, channels[0])) if extra_channels else None

        block = partial(ResidualBlock, rank, embedding=width, dropout=dropout)
        attend = partial(Attention, head_width=head_width, sequence_width=sequence_width)

        self.down = nn.ModuleList()
        skips = [channels[0]]
        now = channels[0]
        for level, wide in enumerate(channels):
            if level:
                self.down.append(_Stage(Downsample(rank, now, now)))
                skips.append(now)
            for _ in range(blocks):
                self.down.append(_Stage(block(now, wide), attend(wide) if level in attention else None))
                now = wide
                skips.append(now)
        self.middle = nn.ModuleList([_Stage(block(now, now), attend(now)), _Stage(block(now, now))])
        self.up = nn.ModuleList()
        for level, wide in reversed(list(enumerate(channels))):
            for _ in range(blocks + 1):
                self.up.append(_Stage(block(now + skips.pop(), wide), attend(wide) if level in attention else None))
                now = wide
            if level:
                self.up.append(_Stage(Upsample(rank, now, now)))
        self.head = nn.Sequential(
            Norm(now), nn.SiLU(), zeroed(Convolution(rank, now, (channels_out or channels_in) * cell))
        )
        self._together = ModulationsTogether()

    def forward(self, x: Tensor, time: Tensor, cond: Mapping[str, Tensor]) -> Tensor:
        """Return the output (batch, channels_out, \\*space) for x (batch, channels_in, \\*space), time (batch,).

        Args:
            x: the noisy items.
            time: what the prediction tells of the level.
            cond: "vector" (batch, vector_width), "sequence" (batch, length, sequence_width), "sequence_mask"
                (batch, length), "channels" (batch, extra_channels, \\*space); each only if the network was made for it.
        """
        return self.denoise(x, self.told(time, cond, x.dtype))

    @property
    def additions(self) -> tuple[frozenset[str], ...]:
        """Names of the weights that a network without conditioning beside the item does not have."""
        return (frozenset(name for name in self.state_dict() if name.startswith("beside.")),)

    def told(self, time: Tensor, cond: Mapping[str, Tensor], dtype: torch.dtype) -> Told:
        """Return what the stages are told of time and conditioning."""
        embedding = self.time(time)
        if self.vector is not None:
            embedding = embedding + self.vector(cond["vector"].to(embedding.dtype))
        embedding, sequence = functional.silu(embedding), cond.get("sequence")
        blocks = [stage.main for stage in (*self.down, *self.middle, *self.up) if not stage.changes_size]
        modulations = self._together(
            [block.modulation for block in blocks], [block.norm_out for block in blocks], embedding
        )
        return Told(
            embedding,
            None if sequence is None else sequence.to(dtype),
            cond.get("sequence_mask"),
            dict(zip(blocks, modulations, strict=True)) if modulations else {},
            cond["channels"].to(dtype) if self.beside is not None else None,
        )

    def denoise(self, x: Tensor, told: Told) -> Tensor:
        """Return the output for items (batch, channels, \\*space)."""
        space = x.shape[2:]
        hidden = self._folded(x)
        if self.positions:
            hidden = torch.cat([hidden, *_places(hidden, self.positions)], 1)
        hidden = self.stem(hidden.movedim(1, -1).contiguous())
        if self.beside is not None and told.beside is not None:
            hidden = hidden + self.beside(self._folded(told.beside).movedim(1, -1).contiguous())
        skips = [hidden]
        for stage in self.down:
            hidden = stage(hidden, told)
            skips.append(hidden)
        for stage in self.middle:
            hidden = stage(hidden, told)
        for stage in self.up:
            if not stage.changes_size:
                hidden = torch.cat([hidden, skips.pop()], -1)
            hidden = stage(hidden, told)
        return _cropped(unfold(self.head(hidden).movedim(-1, 1), self.patch), space)

    def _folded(self, x: Tensor) -> Tensor:
        return fold(_padded(x, self.multiple), self.patch)


class UNet1d(UNet):
    """The U-Net for sound: waveforms, or spectrograms with their bins as channels.

    Any length works, as :class:`UNet` says it.

    Args:
        channels: of each level, from full resolution down; each level after the first halves the length.
        blocks: residual blocks a level on the way down (one more on the way up).
        attention: levels that have attention, 0 being the first; the middle always has it.
        head_width: channels of an attention head.
        patch: samples or frames that are folded into channels before the first convolution.
        positions: channels that tell the network where in the sound it is. Convolutions and attention alone hardly
            know, and may begin a word at the end of a clip and end it at the start.
        dropout: in training.
        embedding: width of the embedding of time and condition; 4 times the first level's channels where 0.
        channels_in: channels of an item.
        channels_out: channels of the output.
        vector_width: width of the conditioning vector, or 0.
        sequence_width: width of the conditioning sequence, or 0.
        extra_channels: channels of conditioning that is laid beside the item, or 0.

    Source: Ronneberger et al. 2015, arXiv 1505.04597; Ho et al. 2020, arXiv 2006.11239, appendix B; Dhariwal and
    Nichol 2021, arXiv 2105.05233.
    """

    item_ndim = 1
    rank = 1


class UNet2d(UNet):
    """The U-Net for pictures and spectrograms with their bins as an axis.

    Any height and width work, as :class:`UNet` says it.

    Args:
        channels: of each level, from full resolution down; each level after the first halves height and width.
        blocks: residual blocks a level on the way down (one more on the way up).
        attention: levels that have attention, 0 being the first; the middle always has it.
        head_width: channels of an attention head.
        patch: edge of the patches of positions that are folded into channels before the first convolution.
        positions: channels that tell the network where along height and width it is, from one end to the other.
            Convolutions and attention alone hardly know.
        dropout: in training.
        embedding: width of the embedding of time and condition; 4 times the first level's channels where 0.
        channels_in: channels of an item.
        channels_out: channels of the output.
        vector_width: width of the conditioning vector, or 0.
        sequence_width: width of the conditioning sequence, or 0.
        extra_channels: channels of conditioning that is laid beside the item, or 0.

    Source: Ronneberger et al. 2015, arXiv 1505.04597; Ho et al. 2020, arXiv 2006.11239, appendix B; Dhariwal and
    Nichol 2021, arXiv 2105.05233.
    """

    item_ndim = 2
    rank = 2


class _Stage(nn.Module):
    """A residual block with attention after it if it has any, or a change of size; then, in a film, a layer of time."""

    temporal: TemporalLayer | None

    def __init__(self, main: nn.Module, attention: Attention | None = None) -> None:
        super().__init__()
        self.main = main
        self.attention = attention
        self.temporal = None
        self.changes_size = not isinstance(main, ResidualBlock)

    def forward(self, x: Tensor, told: Told) -> Tensor:
        x = self.main(x) if self.changes_size else self.main(x, told.embedding, told.modulations.get(self.main))
        if self.attention is not None:
            x = self.attention(x, told.sequence, told.mask)
        if self.temporal is None or told.places is None:
            return x
        return self.temporal(x, told.embedding, told.places)


def _places(x: Tensor, count: int) -> Iterator[Tensor]:
    """Give, for each axis of space, ``cos(pi k p)``, k = 1 … count, of the place p in (0, 1) along it, as channels."""
    waves = torch.arange(1, count + 1, device=x.device)
    for axis, size in enumerate(x.shape[2:]):
        place = (torch.arange(size, device=x.device) + 0.5) / size
        shape = [1, count, *(size if other == axis else 1 for other in range(x.ndim - 2))]
        told = torch.cos(math.pi * waves.unsqueeze(1) * place).reshape(shape)
        yield told.to(x.dtype).expand(len(x), count, *x.shape[2:])


def _padded(x: Tensor, multiple: int) -> Tensor:
    short = [-size % multiple for size in x.shape[2:]]
    if not any(short):
        return x
    return functional.pad(x, [end for size in reversed(short) for end in (0, size)])


def _cropped(x: Tensor, space: Sequence[int]) -> Tensor:
    for axis, size in enumerate(space, start=2):
        x = x.narrow(axis, 0, size)
    return x
