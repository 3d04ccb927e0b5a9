"""A codec: from media to what the network sees, and back."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Le
from einops import rearrange
from noiseform import MediaSpec


class DCT:
    """Blocks along the last axis as their discrete cosine transform, frequencies as channels; exactly invertible.

    A sound (channels, samples) becomes (channels * size, blocks), a picture is cut along its rows.

    Args:
        size: values in a block.
        scale: factor of the result; 1 / its standard deviation gives the unit variance that training expects.
        media: shape, rates and range of an item; given by the program.
    """

    claims: ClassVar = {"declared_error": 1e-5}  # what comes back may differ by so much

    def __init__(
        self, size: Annotated[int, Ge(2), Le(4096)] = 16, scale: Annotated[float, Gt(0)] = 1.0, *, media: MediaSpec
    ) -> None:
        self.size, self.scale = size, scale
        place = torch.arange(size, dtype=torch.float64)
        basis = torch.cos(math.pi / size * place[:, None] * (place + 0.5)) * math.sqrt(2 / size)
        basis[0] /= math.sqrt(2)
        self.basis = basis.float()  # (frequencies, values), orthonormal: DCT-II

    def shape(self, media_shape):
        channels, *space, last = media_shape
        return channels * self.size, *space, -(-last // self.size)

    def encode(self, media):
        padded = torch.nn.functional.pad(media, (0, -media.shape[-1] % self.size))
        blocks = rearrange(
            padded, "batch channels ... (block value) -> batch channels ... block value", value=self.size
        )
        found = blocks @ self.basis.to(media).T * self.scale
        return rearrange(found, "batch channels ... block freq -> batch (channels freq) ... block")

    def decode(self, latent, media_shape):
        found = rearrange(
            latent, "batch (channels freq) ... block -> batch channels ... block freq", channels=media_shape[0]
        )
        blocks = found / self.scale @ self.basis.to(latent)
        media = rearrange(blocks, "batch channels ... block value -> batch channels ... (block value)")
        return media[..., : media_shape[-1]]
