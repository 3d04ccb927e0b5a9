"""What a trained codec makes of the items, encoded once where they come again."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from ..contract import check_tensor
from ..pipeline.pretrained import has_weights
from ..pipeline.stage import Stage

__all__ = ["MAX_BYTES", "Latents"]

MAX_BYTES = 2**28
"""Of latents that are kept: 65,536 of 16 x 16 x 4. What comes after that is encoded anew each time."""


class Latents:
    """Encodes batches of media; of a codec with weights, whose encoding takes time, the latents are kept.

    They are found again by the bytes of the item itself, so that a random window of a sound is what it is. Such a codec
    is given one item at a time: a latent's last bits may depend on the batch, and must not on what was seen before.
    One that says ``apart``, an axis of a batch along which it encodes each position without its neighbours, is given
    one position at a time, so that the frames of a film are encoded once whatever window they come in.

    Args:
        stage: whose codec encodes.
        device: where it does.
    """

    def __init__(self, stage: Stage, device: str = "cpu") -> None:
        self._codec, self._shape, self._device = stage.codec, stage.latent_shape, device
        self._of = f"codec {stage.config.codec.use!r}: encode"
        self._apart: int | None = getattr(stage.codec, "apart", None)
        # Of what is encoded at a time, counted with the batch.
        self._piece = tuple(1 if axis in (0, self._apart) else size for axis, size in enumerate((1, *self._shape)))
        self._keeps = has_weights(stage.codec)
        self._kept: dict[bytes, Tensor] = {}
        self._bytes = 0

    def of(self, media: Tensor) -> Tensor:
        """Return latents (batch, \\*latent_shape), on the device, of media (batch, \\*shape), on the CPU."""
        if self._keeps:
            return torch.cat([self._whole(item) for item in media.split(1)])
        return self._encoded(media, (len(media), *self._shape))

    def _whole(self, item: Tensor) -> Tensor:
        axis = self._apart
        if axis is None:
            return self._one(item)
        return torch.cat([self._one(position) for position in item.split(1, axis)], axis)

    def _one(self, item: Tensor) -> Tensor:
        key = hashlib.blake2b(item.contiguous().numpy().data, digest_size=16).digest()
        latent = self._kept.get(key)
        if latent is None:
            latent = self._encoded(item, self._piece)
            if self._bytes + latent.nbytes <= MAX_BYTES:
                self._kept[key] = latent
                self._bytes += latent.nbytes
        return latent

    def _encoded(self, media: Tensor, shape: tuple[int, ...]) -> Tensor:
        return check_tensor(self._codec.encode(media.to(self._device)), shape, of=self._of)
