"""A codec: from media to what the network sees, and back."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Le
from einops import rearrange
from noiseform import MediaSpec


class DCT:
    """Blocks of samples as their discrete cosine transform, frequencies as channels; exactly invertible.

    Args:
        size: samples in a block.
        scale: factor of the result; 1 / its standard deviation gives the unit variance that training expects.
        media: shape, rates and range of an item; given by the program.
    """

    def __init__(
        self, size: Annotated[int, Ge(2), Le(4096)] = 16, scale: Annotated[float, Gt(0)] = 1.0, *, media: MediaSpec
    ) -> None:
        self.size, self.scale = size, scale
        place = torch.arange(size, dtype=torch.float64)
        basis = torch.cos(math.pi / size * place[:, None] * (place + 0.5)) * math.sqrt(2 / size)
        basis[0] /= math.sqrt(2)
        self.basis = basis.float()  # (frequencies, samples), orthonormal

    def shape(self, media_shape):
        channels, samples = media_shape
        return channels * self.size, -(-samples // self.size)

    def encode(self, media):
        padded = torch.nn.functional.pad(media, (0, -media.shape[-1] % self.size))
        blocks = rearrange(padded, "batch channels (block sample) -> batch channels block sample", sample=self.size)
        return rearrange(blocks @ self.basis.T * self.scale, "batch channels block freq -> batch (channels freq) block")

    def decode(self, latent, media_shape):
        channels, samples = media_shape
        found = rearrange(latent, "batch (channels freq) block -> batch channels block freq", channels=channels)
        blocks = found / self.scale @ self.basis
        return rearrange(blocks, "batch channels block sample -> batch channels (block sample)")[..., :samples]
