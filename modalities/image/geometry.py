"""Pictures of any size brought to the model's: resized, then cut or padded, and mirrored if asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from PIL import Image as PillowImage
from torch import Tensor

from ...core.data.dataset import DataConfig
from ...core.errors import ConfigError, MediaError
from ...core.media import MediaSpec
from .pixels import from_pillow, with_channels

__all__ = ["PIXEL_LIMIT", "Geometry"]

PIXEL_LIMIT = 64 * 2**20
"""Most pixels of a picture after it is resized."""


@dataclass(frozen=True)
class Geometry:
    """How pictures get the size and channels of the model.

    Attributes:
        channels: of the model.
        height: of the model.
        width: of the model.
        fit: ``crop`` resizes until the picture covers the size, and takes a part of it; ``pad`` until it lies inside,
            and lays it on the background; ``stretch`` gives it the size whatever its shape was.
        window: which part ``crop`` takes: ``random``, its ``start`` (top left) or its ``centre``.
        flip: whether half of the items are mirrored left to right.
        background: behind padded and transparent pictures.
    """

    channels: int
    height: int
    width: int
    fit: Literal["crop", "pad", "stretch"] = "crop"
    window: Literal["random", "start", "centre"] = "random"
    flip: bool = False
    background: Literal["white", "black"] = "white"

    @classmethod
    def of(cls, spec: MediaSpec, config: DataConfig) -> Geometry:
        """Return the geometry of a specification and a ``[data]`` table. Raises ConfigError where it is no picture."""
        if len(spec.shape) != 3 or spec.shape[0] not in (1, 3, 4) or min(spec.shape) < 1:
            raise ConfigError(
                f"wrong media: shape {spec.shape}; pictures have (channels, height, width) with 1, 3 or 4 channels"
            )
        return cls(*spec.shape, config.fit, config.window, config.flip, config.background)

    def fitted(self, image: PillowImage.Image) -> Tensor:
        """Return an image of mode L, RGB or RGBA resized, uint8 (channels, height, width).

        With ``fit = "crop"`` it may still be too large. Resizing is Pillow's Lanczos, antialiased, on the values of the
        file (sRGB), with alpha multiplied in.

        Raises:
            MediaError: so long and narrow that it would get too large.
        """
        image = with_channels(image, self.channels, self.background)
        wide, tall = self._size(*image.size)
        if wide * tall > PIXEL_LIMIT:
            raise MediaError(
                f"{image.width} x {image.height} pixels cover {self.width} x {self.height} only as {wide} x {tall}; "
                "cut it, or set fit = 'pad'"
            )
        if (wide, tall) != image.size:
            image = image.resize((wide, tall), PillowImage.Resampling.LANCZOS)
        pixels = from_pillow(image)
        return self._padded(pixels) if self.fit == "pad" else pixels

    def is_exact(self, pixels: Tensor) -> bool:
        """Whether pixels (channels, height, width) have the model's shape already."""
        return tuple(pixels.shape) == (self.channels, self.height, self.width)

    def item(self, pixels: Tensor, start: float) -> Tensor:
        """Return the part of a fitted picture that ``start`` in [0, 1) says, float32 in [0, 1].

        Place from the top, place from the left and mirroring are the digits of ``start`` in mixed radix, so that one
        number draws all three, evenly and independently.
        """
        top, start = self._place(pixels.shape[1] - self.height, start)
        left, start = self._place(pixels.shape[2] - self.width, start)
        window = pixels[:, top : top + self.height, left : left + self.width]
        if self.flip and start < 0.5:
            window = window.flip(-1)
        return window.to(torch.float32) / 255

    def _place(self, slack: int, start: float) -> tuple[int, float]:
        """Return where a window begins along an axis with ``slack`` pixels to spare, and what is left of the draw."""
        if self.window != "random":
            return (slack // 2 if self.window == "centre" else 0), start
        scaled = start * (slack + 1)
        place = min(int(scaled), slack)
        return place, scaled - place

    def _size(self, width: int, height: int) -> tuple[int, int]:
        """Return columns and rows after resizing."""
        if self.fit == "stretch":
            return self.width, self.height
        # In whole numbers: the side that decides gets exactly its length, the other is rounded to the nearest.
        too_tall = height * self.width > width * self.height
        if too_tall == (self.fit == "pad"):
            return max(1, (2 * width * self.height + height) // (2 * height)), self.height
        return self.width, max(1, (2 * height * self.width + width) // (2 * width))

    def _padded(self, pixels: Tensor) -> Tensor:
        """Return the picture in the middle of a background, transparent where there is alpha."""
        height, width = pixels.shape[1:]
        canvas = torch.full((self.channels, self.height, self.width), 255 if self.background == "white" else 0)
        canvas = canvas.to(torch.uint8)
        if self.channels == 4:
            canvas[3] = 0
        top, left = (self.height - height) // 2, (self.width - width) // 2
        canvas[:, top : top + height, left : left + width] = pixels
        return canvas
