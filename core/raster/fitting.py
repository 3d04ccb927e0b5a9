"""Pixels of any size brought to the model's: resized, then cut or padded, and mirrored if asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from PIL import Image as PillowImage
from torch import Tensor

from ..errors import MediaError

__all__ = ["Fitting"]


@dataclass(frozen=True)
class Fitting:
    """How pixels get the size of the model.

    Attributes:
        channels: of the model.
        height: of the model.
        width: of the model.
        fit: ``crop`` resizes until the size is covered, and takes a part of it; ``pad`` until it lies inside, and lays
            it on the background; ``stretch`` gives it the size whatever its shape was; ``cut`` takes a part of it as it
            is, and resizes only what is too small.
        window: which part of something larger is taken: ``random``, its ``start`` (top left) or its ``centre``.
        flip: whether half of the items are mirrored left to right.
        background: behind what is padded or transparent.
    """

    channels: int
    height: int
    width: int
    fit: Literal["crop", "pad", "stretch", "cut"] = "crop"
    window: Literal["random", "start", "centre"] = "random"
    flip: bool = False
    background: Literal["white", "black"] = "white"

    pixel_limit: ClassVar[int]
    """Most pixels after resizing."""

    def resized(self, image: PillowImage.Image) -> PillowImage.Image:
        """Return an image resized by Pillow's Lanczos, antialiased; with ``fit = "crop"`` it may still be too large.

        Raises:
            MediaError: so long and narrow that it would get too large.
        """
        wide, tall = self._size(*image.size)
        if wide * tall > self.pixel_limit:
            raise MediaError(
                f"{image.width} x {image.height} pixels cover {self.width} x {self.height} only as {wide} x {tall}; "
                "cut it, or set fit = 'pad'"
            )
        return image if (wide, tall) == image.size else image.resize((wide, tall), PillowImage.Resampling.LANCZOS)

    def padded(self, pixels: Tensor) -> Tensor:
        """Return uint8 (channels, height, width) in the middle of a background, transparent where there is alpha.

        What has the size already, or is to be cut, stays as it is.
        """
        if self.fit != "pad":
            return pixels
        height, width = pixels.shape[1:]
        ground = 255 if self.background == "white" else 0
        canvas = torch.full((self.channels, self.height, self.width), ground, dtype=torch.uint8)
        if self.channels == 4:
            canvas[3] = 0
        top, left = (self.height - height) // 2, (self.width - width) // 2
        canvas[:, top : top + height, left : left + width] = pixels
        return canvas

    def window_of(self, pixels: Tensor, start: float) -> Tensor:
        """Return the part of pixels (..., height, width) that ``start`` in [0, 1) says, of the model's size.

        Place from the top, place from the left and mirroring are the digits of ``start`` in mixed radix, so that one
        number draws all three, evenly and independently.
        """
        top, start = self.place(pixels.shape[-2] - self.height, start)
        left, start = self.place(pixels.shape[-1] - self.width, start)
        window = pixels[..., top : top + self.height, left : left + self.width]
        return window.flip(-1) if self.flip and start < 0.5 else window

    def place(self, slack: int, start: float) -> tuple[int, float]:
        """Return where a window begins along an axis with ``slack`` steps to spare, and what is left of the draw."""
        if self.window != "random":
            return (slack // 2 if self.window == "centre" else 0), start
        scaled = start * (slack + 1)
        place = min(int(scaled), slack)
        return place, scaled - place

    def _size(self, width: int, height: int) -> tuple[int, int]:
        """Return columns and rows after resizing."""
        if self.fit == "stretch":
            return self.width, self.height
        if self.fit == "cut" and width >= self.width and height >= self.height:
            return width, height
        # In whole numbers: the side that decides gets exactly its length, the other is rounded to the nearest.
        too_tall = height * self.width > width * self.height
        if too_tall == (self.fit == "pad"):
            return max(1, (2 * width * self.height + height) // (2 * height)), self.height
        return self.width, max(1, (2 * height * self.width + width) // (2 * width))
