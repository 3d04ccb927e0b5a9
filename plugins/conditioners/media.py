"""Media as conditioning, as a codec sees them: the spectrogram that a vocoder makes sound from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Le, Lt
from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import ConfigError
from ...core.media import MediaSpec
from ...core.networks.layers import Convolution
from ...core.networks.patches import unfold
from ...core.pipeline.augmentation import Augmentation
from ...core.pipeline.source import SOURCE, Items, Source
from ...core.registration.build import build_part
from ...core.registration.config import PartConfig

__all__ = ["Media"]

_QUIET = 1e-5  # of a latent: nothing is divided by less


class Media(nn.Module):
    """Lays media beside an item as a codec of their own sees them, through a few layers that fit their positions.

    A waveform that is conditioned on its mel spectrogram is a vocoder: the stage before it makes the spectrogram, and
    where that stage's codec is the one named here its latent is taken as it is. In training the items themselves are
    encoded. What is shown is disturbed by noise, as ``low-res`` does it.

    Args:
        codec: its table, such as ``{ use = "mel", bins = 64 }``; one without weights, whose positions are as many as
            the item's or a whole part of them along each axis. What axes it has before those, such as the bins, are
            taken as channels.
        width: channels beside each position of the item.
        hidden: channels of the layers between.
        noise: the most noise in training, as a share.
        level: the noise in sampling, from 0 to ``noise``.
        envelope: the standard deviation of an item's latent where the codec's ``loudness`` is 1: the network then makes
            the item divided by its loudness, so that it is as right in what is quiet as in what is loud. 0 has it make
            the item itself.
        corrections: how often what was made is corrected by the codec until it sees the source in it again; more get
            nearer. For codecs that have a method ``fitted(media, latent, iterations)``, as mel has.

    Attributes:
        outputs: ``{"channels": width}``.
        factors: 1 for each axis: the source has the item's own shape.
        units: positions of the item for one of the codec's, where windows of a longer one begin.

    Source: Chen et al. 2020, arXiv 2009.00713 (a diffusion vocoder); Huang et al. 2023, arXiv 2302.03917, section 3.
    """

    takes = (SOURCE,)
    settable = ("level", "corrections")
    claims: ClassVar[Mapping[str, object]] = {
        "parameters": {
            "codec": {"use": "mel", "bins": 8, "hop": 16, "window": 64, "layout": "channels"},
            "hidden": 8,
            "corrections": 2,
            "envelope": 0.5,
        },
        "guided": False,
    }

    def __init__(
        self,
        codec: PartConfig,
        width: Annotated[int, Ge(1), Le(1024)] = 2,
        hidden: Annotated[int, Ge(8), Le(8192)] = 128,
        noise: Annotated[float, Ge(0), Lt(1)] = 0.3,
        level: Annotated[float, Ge(0), Lt(1)] = 0.0,
        envelope: Annotated[float, Ge(0)] = 0.0,
        corrections: Annotated[int, Ge(0), Le(10_000)] = 0,
        *,
        media: MediaSpec,
        latent_shape: tuple[int, ...],
    ) -> None:
        super().__init__()
        self._augmentation = Augmentation(noise, level, "conditioner media")
        self._table, self._envelope, self._corrections = codec, envelope, corrections
        self._space = tuple(latent_shape[1:])
        self._codec: Any = build_part(codec, "codec", where="conditioner media", media=media)
        if isinstance(self._codec, nn.Module):
            raise ConfigError(
                f"conditioner media: codec {codec.use!r} has weights of its own; use one that has none, such as mel"
            )
        if envelope and not hasattr(self._codec, "loudness"):
            raise ConfigError(
                f"conditioner media: envelope: codec {codec.use!r} tells no loudness; leave it out, or use mel"
            )
        if corrections and not hasattr(self._codec, "fitted"):
            raise ConfigError(
                f"conditioner media: corrections: codec {codec.use!r} fits no media to a latent; leave it out, or use "
                "mel"
            )
        self._shape = tuple(self._codec.shape(media.shape))
        space = latent_shape[1:]
        ahead, own = self._shape[: -len(space)], self._shape[-len(space) :]
        if not ahead or any(size % part for size, part in zip(space, own, strict=True)):
            raise ConfigError(
                f"conditioner media: codec {codec.use!r} gives {self._shape}, whose positions {list(own)} are no "
                f"whole parts of the item's, {list(space)}; change its hop"
            )
        self._channels = math.prod(ahead)
        self._beside = (self._channels, *own)
        self.factors = (1,) * (len(media.shape) - 1)
        self.source = media
        self.outputs: Mapping[str, int] = {"channels": width}
        self._steps = tuple(size // part for size, part in zip(space, own, strict=True))
        self.units = self._steps
        cell = width
        for step in self._steps:
            cell *= step
        rank = len(space)
        self.first = Convolution(rank, self._channels + 1, hidden)
        self.second = Convolution(rank, hidden, hidden)
        self.last = Convolution(rank, hidden, cell)

    def encode(self, conditions: Sequence[Mapping[str, object]]) -> dict[str, Tensor]:
        """Return {"latent": (items, channels + 1, \\*positions)}: zeros for items that are made from nothing."""

        def latent(source: Source) -> Tensor:
            return self._latent(source).reshape(self._beside)

        return {"latent": self._augmentation.encoded(conditions, self._beside, latent)}

    def forward(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return {"channels": (items, width, \\*space)} beside every position of the item."""
        hidden = raw["latent"].to(self.first.weight.dtype).movedim(1, -1).contiguous()
        hidden = functional.silu(self.first(hidden))
        hidden = hidden + functional.silu(self.second(hidden))
        return {"channels": unfold(self.last(hidden).movedim(-1, 1), self._steps)}

    def offset(self, raw: Mapping[str, Tensor]) -> tuple[Tensor, Tensor] | None:
        """Return zeros (items, 1, \\*space), and the loudness by which the network's items are divided; or None.

        Source: Lee et al. 2021, arXiv 2106.06406 (noise as loud as the sound, to the same effect).
        """
        if not self._envelope:
            return None
        loud = self._codec.loudness(raw["latent"][:, :-1].unflatten(1, self._shape[: -len(self._space)]))
        loud = functional.interpolate(loud, self._space, mode="linear", align_corners=False)
        return torch.zeros_like(loud), self._envelope * loud + _QUIET

    def null(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the same again, as ``low-res`` does."""
        return dict(raw)

    def shown(self, items: Items) -> dict[str, Tensor]:
        """Return what is shown of items in training, as :meth:`encode` does."""
        latent = self._codec.encode(items.media).reshape(-1, *self._beside)
        return {"latent": self._augmentation.shown(latent, items)}

    def corrected(self, made: Tensor, source: Source) -> Tensor:
        """Return what was made (channels, \\*space) corrected so that the codec sees more of the source in it."""
        if not self._corrections:
            return made
        fitted: Tensor = self._codec.fitted(made[None], self._latent(source)[None], self._corrections)
        return fitted[0]

    def _latent(self, source: Source) -> Tensor:
        """Return what the stage before made, or what the codec makes of the media."""
        made = source.latent_of(self._table, getattr(type(self._codec), "settable", ()))
        if made is not None:
            return made
        encoded: Tensor = self._codec.encode(source.media()[None].to(torch.float32))
        return encoded[0]
