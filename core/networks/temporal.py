"""Layers along time, to stand between layers that see each frame of a film alone.

They start without any effect, so that a network of pictures with such layers put into it is still that network, frame
by frame, until they are trained. Between layers a film is its frames, one after the other, (batch * frames, \\*space,
channels); along time it is a clip (batch, frames, position, channels), the same memory.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from .attention import attend, split
from .norm import Norm
from .products import Linear
from .transformer import waves

__all__ = ["Mix", "TemporalAttention", "TemporalBlock", "TemporalConvolution", "TemporalLayer", "frame_places"]

_FEATURES = 64


def frame_places(frames: int, like: Tensor) -> Tensor:
    """Return sines and cosines of the frames' numbers (frames, features), for any number of frames.

    Args:
        frames: how many there are.
        like: gives dtype and device.

    Source: Vaswani et al. 2017, arXiv 1706.03762, section 3.5, as Blattmann et al. 2023, section 3.1, have it.
    """
    return waves(frames, _FEATURES).to(like.device, like.dtype)


class TemporalConvolution(nn.Module):
    """A convolution along time alone that keeps the number of frames.

    Weights are named and shaped like those of ``nn.Conv1d``. It runs as a convolution over two axes, time and position,
    with a kernel of width 1 along the second: several times as fast as one over three axes.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output.
        width: of the kernel, in frames; odd.
    """

    def __init__(self, channels_in: int, channels_out: int, width: int = 3) -> None:
        super().__init__()
        start = nn.Conv1d(channels_in, channels_out, width)
        # Laid out as it is used, or every call would copy it.
        self.weight = nn.Parameter(start.weight.detach().movedim(1, -1).contiguous().movedim(-1, 1))
        self.bias = start.bias
        self._padding = width // 2

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, frames, position, channels_out) for x (batch, frames, position, channels_in)."""
        kernel = self.weight.unsqueeze(-1)
        if kernel.dtype == torch.float64:  # which torch's own convolution takes, whose backward wants it compact (2.13)
            kernel = kernel.contiguous()
        return functional.conv2d(x.movedim(-1, 1), kernel, self.bias, padding=(self._padding, 0)).movedim(1, -1)


class Mix(nn.Module):
    """Mixes what a temporal layer makes of a clip into the clip, by a learned weight for each channel.

    ``alpha z + (1 - alpha) z'`` with ``z' = z + change`` and ``alpha = 1 - tanh(weight)``. The weight starts at 0, so
    that alpha starts at 1 and the clip stays as it is, to the last bit. The change must not start at 0 as well, or
    neither would ever get a gradient.

    Source: Blattmann et al. 2023, arXiv 2304.08818, section 3.1, whose alpha is one number in [0, 1] a layer; Alayrac
    et al. 2022, arXiv 2204.14198, section 3.1.2 (tanh); Touvron et al. 2021, arXiv 2103.17239, equation 4 (channels).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))

    def forward(self, clip: Tensor, change: Tensor) -> Tensor:
        """Return like clip and change (batch, frames, position, channels)."""
        return torch.addcmul(clip, change, torch.tanh(self.weight).to(change.dtype))


class TemporalBlock(nn.Module):
    """A residual block along time: norm, SiLU, convolution, twice; the embedding scales and shifts between the two.

    Args:
        channels: of the clip.
        embedding: width of the embedding of time and condition.
        dropout: share of activations dropped before the second convolution, in training.

    Source: Blattmann et al. 2023, arXiv 2304.08818, section 3.1 (residual blocks of 3-D convolutions).
    """

    def __init__(self, channels: int, embedding: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm_in = Norm(channels)
        self.conv_in = TemporalConvolution(channels, channels)
        self.modulation = nn.Linear(embedding, 2 * channels)
        self.norm_out = Norm(channels)
        self.dropout = nn.Dropout(dropout)
        self.conv_out = TemporalConvolution(channels, channels)
        self.mix = Mix(channels)

    def forward(self, clip: Tensor, embedding: Tensor) -> Tensor:
        """Return like clip (batch, frames, position, channels), for an embedding (batch, width)."""
        hidden = self.conv_in(self.norm_in(clip, silu=True))
        hidden = self.norm_out(hidden, self.modulation(embedding).unflatten(-1, (2, -1)), silu=True)
        return self.mix(clip, self.conv_out(self.dropout(hidden)))


class TemporalAttention(nn.Module):
    """Multi-head attention over the frames of each position, which are told their places.

    Args:
        channels: of the clip; a multiple of ``head_width``.
        head_width: channels of a head.

    Raises:
        ValueError: they are none.

    Source: Blattmann et al. 2023, arXiv 2304.08818, section 3.1.
    """

    def __init__(self, channels: int, *, head_width: int = 32) -> None:
        super().__init__()
        if channels % head_width:
            raise ValueError(f"temporal attention needs a multiple of head_width ({head_width}), got {channels}")
        self.heads = channels // head_width
        self.norm = Norm(channels)
        self.place = nn.Linear(_FEATURES, channels)
        self.queries_keys_values = Linear(channels, 3 * channels)
        self.out = Linear(channels, channels)
        self.mix = Mix(channels)

    def forward(self, clip: Tensor, places: Tensor) -> Tensor:
        """Return like clip (batch, frames, position, channels), for the frames' places (frames, features)."""
        tokens = self.norm(clip) + self.place(places).unsqueeze(1)
        tokens = rearrange(tokens, "batch frames position channels -> (batch position) frames channels")
        queries, keys, values = (split(part, self.heads) for part in self.queries_keys_values(tokens).chunk(3, -1))
        change = self.out(attend(queries, keys, values))
        whole = "(batch position) frames channels -> batch frames position channels"
        return self.mix(clip, rearrange(change, whole, batch=len(clip)))


class TemporalLayer(nn.Module):
    """What stands between two layers of space: a temporal block, and temporal attention after it where it is wanted.

    Args:
        channels: of the frames.
        embedding: width of the embedding of time and condition.
        attention: whether there is attention.
        head_width: channels of an attention head.
        dropout: in training.
    """

    def __init__(
        self, channels: int, embedding: int, *, attention: bool, head_width: int = 32, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.block = TemporalBlock(channels, embedding, dropout=dropout)
        self.attention = TemporalAttention(channels, head_width=head_width) if attention else None

    def forward(self, x: Tensor, embedding: Tensor, places: Tensor) -> Tensor:
        """Return like x (batch * frames, \\*space, channels).

        Args:
            x: the frames of each item, one after the other.
            embedding: of time and condition (batch, width), the same for all frames of an item.
            places: of the frames (frames, features), see :func:`frame_places`.
        """
        clip = self.block(x.reshape(-1, len(places), x[0, ..., 0].numel(), x.shape[-1]), embedding)
        if self.attention is not None:
            clip = self.attention(clip, places)
        return clip.reshape(x.shape)
