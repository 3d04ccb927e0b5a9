"""Pixels as tensors and as Pillow's images, and their channels turned into those that are asked for.

Channels:

====  ====  ===================================================================================
from  to    how
====  ====  ===================================================================================
n     n     unchanged
1     3     grey three times
3     1     Rec. 601 luma, (19595 R + 38470 G + 7471 B + 32768) // 65536: Pillow's mode "L"
4     3     laid on the background: (alpha C + (255 - alpha) B) / 255, rounded
4     1     as 4 to 3, then as 3 to 1
1, 3  4     with alpha 255
====  ====  ===================================================================================
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor

__all__ = ["eight_bit", "from_pillow", "to_pillow", "with_channels"]

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def eight_bit(pixels: Tensor) -> Tensor:
    """Return values of [0, 1] as uint8: ``round(255 x)``, halves to even, held to [0, 255]."""
    return (pixels.detach().to("cpu", torch.float32) * 255.0).round().clamp(0, 255).to(torch.uint8)


def from_pillow(image: PillowImage.Image) -> Tensor:
    """Return an image of mode L, RGB or RGBA as uint8 (channels, height, width)."""
    values = torch.from_numpy(np.array(image, dtype=np.uint8))
    return values[None] if values.ndim == 2 else values.permute(2, 0, 1).contiguous()


def to_pillow(pixels: Tensor) -> PillowImage.Image:
    """Return uint8 (channels, height, width) with 1, 3 or 4 channels as an image of mode L, RGB or RGBA."""
    values = pixels[0] if pixels.shape[0] == 1 else pixels.permute(1, 2, 0)
    return PillowImage.fromarray(np.ascontiguousarray(values.numpy()))


def with_channels(
    image: PillowImage.Image, wanted: int, background: Literal["white", "black"] = "white"
) -> PillowImage.Image:
    """Return an image of mode L, RGB or RGBA with ``wanted`` channels, by the table of this module."""
    if image.mode == "RGBA" and wanted != 4:
        canvas = PillowImage.new("RGB", image.size, background)
        canvas.paste(image, mask=image.getchannel("A"))
        image = canvas
    mode = _MODES[wanted]
    return image if image.mode == mode else image.convert(mode)
