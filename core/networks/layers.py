"""Building blocks of networks, for items of any rank: the rank is the number of axes of space.

Between these blocks channels come last, (batch, \\*space, channels): matrix products take such items as they lie, and
the convolutions of CPUs and GPUs are fastest on them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .attention import attend, split
from .convolution import Convolution, Pointwise
from .layout import with_channels_last, with_channels_second
from .norm import Affine, Norm
from .packing import is_plain
from .products import Linear

__all__ = [
    "Attention",
    "Convolution",
    "Downsample",
    "Norm",
    "Pointwise",
    "ResidualBlock",
    "TimeEmbedding",
    "Upsample",
    "zeroed",
]


def zeroed(module: nn.Module) -> nn.Module:
    """Set every parameter of a layer to zero, so that the block it closes starts as the identity."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


class TimeEmbedding(nn.Module):
    """Sines and cosines of the time at geometrically spaced frequencies, through two linear layers.

    Always computed in float32: in pure bfloat16 the sines of a large argument would be noise.

    Args:
        width: of the embedding.
        features: number of sines and cosines; even.
        scale: multiplies the time, so that [0, 1] spans the thousand steps for which the frequencies were chosen.

    Source: Vaswani et al. 2017, arXiv 1706.03762, section 3.5; Ho et al. 2020, arXiv 2006.11239, appendix B.
    """

    frequencies: Tensor

    def __init__(self, width: int, *, features: int = 128, scale: float = 1000.0) -> None:
        super().__init__()
        # On the CPU even where a network is tried on the device "meta", whose arithmetic takes a second to import.
        exponents = torch.linspace(0, -math.log(10_000), features // 2, dtype=torch.float64, device="cpu")
        spaced = torch.exp(exponents)
        self.register_buffer("frequencies", (scale * spaced).float(), persistent=False)
        self.mlp = nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, time: Tensor) -> Tensor:
        """Return (batch, width) for times (batch,)."""
        with torch.autocast(time.device.type, enabled=False):
            angle = time.float().unsqueeze(1) * self.frequencies
            waves = torch.cat([angle.cos(), angle.sin()], 1)
        return self.mlp(waves.to(next(self.mlp.parameters()).dtype))


class ResidualBlock(nn.Module):
    """norm, SiLU, convolution, twice; the embedding scales and shifts between the two; the second starts at zero.

    Args:
        rank: axes of space.
        channels_in: channels of the input.
        channels_out: channels of the output.
        embedding: width of the embedding of time and condition.
        dropout: share of activations dropped before the second convolution, in training.

    Source: Dhariwal and Nichol 2021, arXiv 2105.05233, section 3 (adaptive group normalization).
    """

    def __init__(self, rank: int, channels_in: int, channels_out: int, embedding: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm_in = Norm(channels_in)
        self.conv_in = Convolution(rank, channels_in, channels_out)
        self.modulation = nn.Linear(embedding, 2 * channels_out)
        self.norm_out = Norm(channels_out)
        self.dropout = nn.Dropout(dropout)
        self.conv_out = zeroed(Convolution(rank, channels_out, channels_out))
        same = channels_in == channels_out
        self.skip = nn.Identity() if same else Pointwise(rank, channels_in, channels_out)

    def forward(self, x: Tensor, embedding: Tensor, modulation: Tensor | Affine | None = None) -> Tensor:
        """Return (batch, \\*space, channels_out).

        Args:
            x: the items (batch, \\*space, channels_in).
            embedding: of time and condition (batch, width). Of fewer rows it is that of as many items in a row each,
                such as the frames of a film.
            modulation: of the second norm, as :class:`~.norm.Norm` takes it, where it is known already.
        """
        if modulation is None:
            modulation = self.modulation(embedding).unflatten(-1, (2, -1))
        norm_in, conv_in, norm_out, conv_out = self.norm_in, self.conv_in, self.norm_out, self.conv_out
        # Between layers items stay as torch's own want them: a view takes as long as a small sum. But to whoever
        # watches or has wrapped one they show channels last.
        plain = not torch.compiler.is_compiling() and (
            is_plain(norm_in, Norm)
            and is_plain(conv_in, Convolution)
            and is_plain(norm_out, Norm)
            and is_plain(conv_out, Convolution)
        )
        how = {"channels_second": True} if plain else {}
        hidden = with_channels_second(x) if plain else x
        hidden = conv_in(norm_in(hidden, silu=True, **how), **how)
        hidden = norm_out(hidden, modulation, silu=True, **how)
        if self.dropout.training:
            hidden = self.dropout(hidden)
        hidden = conv_out(hidden, **how)
        return self.skip(x) + (with_channels_last(hidden, x.ndim) if plain else hidden)


class Attention(nn.Module):
    """Multi-head attention over all positions, and to a sequence of conditioning where there is one.

    Args:
        channels: of x; must be a multiple of ``head_width``.
        head_width: channels of a head; 32 to 64 suit both CPUs and GPUs.
        sequence_width: width of the conditioning sequence that every position also attends to, or 0.

    Source: Vaswani et al. 2017, arXiv 1706.03762; Rombach et al. 2022, arXiv 2112.10752, section 3.3.
    """

    def __init__(self, channels: int, *, head_width: int = 32, sequence_width: int = 0) -> None:
        super().__init__()
        if channels % head_width:
            raise ValueError(f"attention needs a multiple of head_width ({head_width}) channels, got {channels}")
        self.head_width = head_width
        self.norm = Norm(channels)
        self.queries_keys_values = Linear(channels, 3 * channels)
        self.out = zeroed(Linear(channels, channels))
        self.sequence_width = sequence_width
        if sequence_width:
            self.norm_cross = nn.LayerNorm(channels)
            self.queries = Linear(channels, channels)
            self.keys_values = Linear(sequence_width, 2 * channels)
            self.out_cross = zeroed(Linear(channels, channels))

    def forward(self, x: Tensor, sequence: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Return like x (batch, \\*space, channels).

        Args:
            x: the items.
            sequence: conditioning (batch, length, sequence_width); of fewer rows, that of as many items in a row each.
            mask: True where the sequence holds something, as many rows of it (batch, length).
        """
        positions = self.norm(x).flatten(1, -2)
        queries, keys, values = self.queries_keys_values(positions).chunk(3, -1)
        change = self.out(self._attend(queries, keys, values))
        if self.sequence_width and sequence is not None:
            here = x.flatten(1, -2) + change
            queries = self.queries(self.norm_cross(here)).reshape(len(sequence), -1, here.shape[-1])
            keys, values = self.keys_values(sequence).chunk(2, -1)
            change = change + self.out_cross(self._attend(queries, keys, values, mask)).reshape(change.shape)
        return x + change.reshape(x.shape)

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
        heads = queries.shape[-1] // self.head_width
        return attend(split(queries, heads), split(keys, heads), split(values, heads), mask)


class Downsample(nn.Module):
    """Halves every axis of space by a strided convolution."""

    def __init__(self, rank: int, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = Convolution(rank, channels_in, channels_out, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Upsample(nn.Module):
    """Doubles every axis of space: nearest neighbour, then a convolution."""

    def __init__(self, rank: int, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = Convolution(rank, channels_in, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        for axis in range(1, x.ndim - 1):
            x = x.repeat_interleave(2, axis)
        return self.conv(x)
