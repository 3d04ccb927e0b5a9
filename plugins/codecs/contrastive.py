"""A joint encoder of media and captions: one embedding for each item, which a prior can make from a text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le, MaxLen, MinLen
from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import ConfigError
from ...core.media import MediaSpec
from ...core.networks.layers import Convolution, Downsample
from ...core.networks.patches import fold
from ...core.networks.text_transformer import TextTransformer
from .contrast import Contrast
from .kl_vae import PositionNorm, Width, levels

__all__ = ["Contrastive"]

_FIRST_TEMPERATURE = 0.07  # section 2.5 of the paper


class Contrastive(nn.Module):
    """Media and captions to embeddings of one space, in which a medium lies near its caption; nothing leads back.

    It learns from captioned media alone, with no download. A latent is one embedding, an item without axes of space:
    network ``prior`` makes it from a text, conditioner ``embedding`` has another stage make media of it. Media go
    through convolutions and the mean over all places, captions through a transformer over their bytes. Embeddings have
    unit length where they are compared; as latents they have mean 0 and variance 1 in each feature over the media that
    it was trained on, by figures that are kept with the weights. Pictures of another size than those that it learnt
    from are resized for it.

    Args:
        width: features of an embedding.
        channels: of each level, from full resolution down; each level after the first halves every axis.
        blocks: residual blocks a level.
        patch: edge of the patches that are folded into channels before the first convolution.
        text_width: width of the transformer that reads captions.
        text_depth: its blocks.
        heads: of its attention.
        length: largest number of bytes of a caption.
        words: vectors that the words of captions are made of besides their bytes, as for the conditioner ``text``.

    Attributes:
        loss: what it learns by; the ``[loss]`` table of its recipe has the parameters.
        decodes: False, since there are no media to be had from its latents.

    Source: Radford et al. 2021, arXiv 2103.00020, section 2.3; Ramesh et al. 2022, arXiv 2204.06125, section 2.
    """

    loss: ClassVar[Callable[..., Contrast]] = Contrast
    decodes: ClassVar[bool] = False
    claims: ClassVar[Mapping[str, object]] = {
        "parameters": {"channels": [8, 16], "width": 8, "text_width": 16, "text_depth": 1, "heads": 2}
    }
    latent_mean: Tensor
    latent_std: Tensor
    sizes: Tensor

    def __init__(
        self,
        width: Annotated[int, Ge(2), Le(8192)] = 128,
        channels: Annotated[Sequence[Width], MinLen(1), MaxLen(8)] = (32, 64, 128),
        blocks: Annotated[int, Ge(1), Le(16)] = 1,
        patch: Annotated[int, Ge(1), Le(64)] = 1,
        text_width: Annotated[int, Ge(8), Le(8192)] = 128,
        text_depth: Annotated[int, Ge(0), Le(64)] = 2,
        heads: Annotated[int, Ge(1), Le(128)] = 4,
        length: Annotated[int, Ge(1), Le(4096)] = 128,
        words: Annotated[int, Ge(0), Le(1_000_000)] = 0,
        *,
        media: MediaSpec,
    ) -> None:
        super().__init__()
        rank = len(media.shape) - 1
        self._media, self._patch, self.width = media, patch, width
        self.encoder = nn.Sequential(
            Convolution(rank, media.shape[0] * patch**rank, channels[0]),
            *levels(rank, channels, blocks, Downsample),
            PositionNorm(channels[-1]),
            nn.SiLU(),
        )
        self.head = nn.Linear(channels[-1], width, bias=False)
        self.text = TextTransformer(text_width, text_depth, heads, length, words, of="codec contrastive")
        self.text_head = nn.Linear(text_width, width, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(_FIRST_TEMPERATURE)))
        self.register_buffer("latent_mean", torch.zeros(width, dtype=torch.float64))
        self.register_buffer("latent_std", torch.full((width,), width**-0.5, dtype=torch.float64))
        self.register_buffer("sizes", torch.tensor(media.shape[1:]))

    def shape(self, media_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (width,), whatever the size of the media."""
        return (self.width,)

    def seen(self, media: Tensor) -> Tensor:
        """Return embeddings of unit length (batch, width) of media (batch, channels, \\*space)."""
        low, high = self._media.low, self._media.high
        x = (self._fitted(media) - (high + low) / 2) * (2 / (high - low))
        short = [-size % self._patch for size in x.shape[2:]]
        if any(short):
            x = functional.pad(x, [end for size in reversed(short) for end in (0, size)], mode="replicate")
        hidden = self.encoder(fold(x.to(self.head.weight.dtype), self._patch).movedim(1, -1).contiguous())
        return functional.normalize(self.head(hidden.flatten(1, -2).mean(1)), dim=-1)

    def said(self, texts: Sequence[object]) -> Tensor:
        """Return embeddings of unit length (items, width) of captions.

        Raises:
            ConfigError: one is no text.
        """
        raw = {name: value.to(self.head.weight.device) for name, value in self.text.read(texts).items()}
        return functional.normalize(self.text_head(self.text.pooled(*self.text.tokens(raw))), dim=-1)

    def posterior(self, media: Tensor) -> tuple[Tensor]:
        """Return the embeddings (batch, width) of media, not yet normalised feature by feature."""
        return (self.seen(media),)

    def encode(self, media: Tensor) -> Tensor:
        """Return the embeddings of media, each feature normalised (batch, width)."""
        with torch.no_grad():
            return self._normalised(self.seen(media))

    def described(self, conditions: Sequence[Mapping[str, object]]) -> Tensor:
        """Return the embeddings of captions as latents (items, width), to be compared with those of media."""
        with torch.no_grad():
            return self._normalised(self.said([one.get("text") for one in conditions]))

    def similarity(self, latents: Tensor, others: Tensor) -> Tensor:
        """Return the cosine of each of some latents with each of others (latents, others)."""
        first, second = (
            functional.normalize(one * self.latent_std.to(one) + self.latent_mean.to(one), dim=-1)
            for one in (latents, others)
        )
        return first @ second.T

    def decode(self, latent: Tensor, media_shape: tuple[int, ...]) -> Tensor:
        """Raise ConfigError: nothing leads back from an embedding."""
        raise ConfigError(
            "codec 'contrastive': an embedding is no medium; put a stage with the conditioner embedding after it"
        )

    def measure(self, means: Sequence[Tensor]) -> None:
        """Set the figures that normalise latents, from what :meth:`posterior` gives of training items."""
        flat = torch.cat([mean.double() for mean in means])
        self.latent_mean.copy_(flat.mean(0))
        self.latent_std.copy_(flat.std(0, correction=0).clamp(min=1e-6))

    def _normalised(self, embedding: Tensor) -> Tensor:
        return (embedding - self.latent_mean.to(embedding)) / self.latent_std.to(embedding)

    def _fitted(self, media: Tensor) -> Tensor:
        """Return media at the size that the encoder learnt from, along the axes of space that have no rate."""
        have = tuple(media.shape[2:])
        along = zip(self.sizes.tolist(), have, self._media.rates, strict=True)
        size = tuple(learnt if rate is None else now for learnt, now, rate in along)
        if size == have:
            return media
        smooth = {"mode": "bilinear", "antialias": True} if len(size) == 2 else {"mode": "area"}
        return functional.interpolate(media.float(), size, **smooth)
