"""Films of any size and length brought to the model's: each frame resized, then a window of space and time taken.

Frames are resized by the rules of pictures: Lanczos, antialiased, until they cover the size, lie inside it, or have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor

from ...core.data.dataset import DataConfig
from ...core.errors import ConfigError, MediaError
from ...core.media import MediaSpec
from .colour import with_channels
from .decoding import PIXEL_LIMIT

__all__ = ["Framing"]


@dataclass(frozen=True)
class Framing:
    """How films get the shape of the model.

    Attributes:
        channels: of the model.
        frames: of the model.
        height: of the model.
        width: of the model.
        fps: frames per second of the model.
        stride: which frames of the film make an item, such as each second; None takes those that stand on the screen at
            the model's rate.
        fit: ``crop`` resizes until a frame covers the size, and takes a part of it; ``pad`` until it lies inside, and
            lays it on the background; ``stretch`` gives it the size whatever its shape was.
        window: which part of a longer or larger film is taken: ``random``, its ``start`` (top left) or its ``centre``.
        flip: whether half of the items are mirrored left to right.
        background: behind padded frames.
    """

    channels: int
    frames: int
    height: int
    width: int
    fps: float
    stride: int | None = None
    fit: Literal["crop", "pad", "stretch"] = "crop"
    window: Literal["random", "start", "centre"] = "random"
    flip: bool = False
    background: Literal["white", "black"] = "white"

    @classmethod
    def of(cls, spec: MediaSpec, config: DataConfig) -> Framing:
        """Return the framing of a specification and a ``[data]`` table. Raises ConfigError where it is no film."""
        fps = spec.rates[0] if spec.rates else None
        if len(spec.shape) != 4 or spec.shape[0] not in (1, 3) or min(spec.shape) < 1 or not fps:
            raise ConfigError(
                f"wrong media: shape {spec.shape} with rates {spec.rates}; "
                "films have (channels, frames, height, width) with 1 or 3 channels, and frames per second"
            )
        return cls(*spec.shape, fps, config.stride, config.fit, config.window, config.flip, config.background)

    @property
    def span(self) -> int:
        """How many frames of what is kept an item reaches over."""
        return (self.frames - 1) * (self.stride or 1) + 1

    def fitted(self, frame: np.ndarray[Any, Any]) -> Tensor:
        """Return a frame, uint8 (height, width, 3), resized, as uint8 (channels, height, width).

        With ``fit = "crop"`` it may still be too large.

        Raises:
            MediaError: so long and narrow that it would get too large.
        """
        image = PillowImage.fromarray(np.ascontiguousarray(frame))
        wide, tall = self._size(*image.size)
        if wide * tall > PIXEL_LIMIT:
            raise MediaError(
                f"{image.width} x {image.height} pixels cover {self.width} x {self.height} only as {wide} x {tall}; "
                "cut it, or set fit = 'pad'"
            )
        if (wide, tall) != image.size:
            image = image.resize((wide, tall), PillowImage.Resampling.LANCZOS)
        pixels = with_channels(torch.from_numpy(np.array(image)).permute(2, 0, 1), self.channels).contiguous()
        return self._padded(pixels) if self.fit == "pad" else pixels

    def item(self, film: Tensor, start: float) -> Tensor:
        """Return the part of a film, uint8 (time, channels, height, width), that ``start`` in [0, 1) says.

        First frame, place from the top, place from the left and mirroring are the digits of ``start`` in mixed radix,
        so that one number draws all four, evenly and independently.

        Returns:
            float32 (channels, frames, height, width) in [0, 1].
        """
        first, start = self._place(len(film) - self.span, start)
        top, start = self._place(film.shape[2] - self.height, start)
        left, start = self._place(film.shape[3] - self.width, start)
        window = film[
            first : first + self.span : self.stride or 1, :, top : top + self.height, left : left + self.width
        ]
        if self.flip and start < 0.5:
            window = window.flip(-1)
        return window.transpose(0, 1).to(torch.float32).contiguous() / 255

    def _place(self, slack: int, start: float) -> tuple[int, float]:
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
        # In whole numbers: the side that decides gets exactly its length, the other is rounded to the nearest.
        too_tall = height * self.width > width * self.height
        if too_tall == (self.fit == "pad"):
            return max(1, (2 * width * self.height + height) // (2 * height)), self.height
        return self.width, max(1, (2 * height * self.width + width) // (2 * width))

    def _padded(self, pixels: Tensor) -> Tensor:
        """Return the frame in the middle of a background."""
        height, width = pixels.shape[1:]
        ground = 255 if self.background == "white" else 0
        canvas = torch.full((self.channels, self.height, self.width), ground, dtype=torch.uint8)
        top, left = (self.height - height) // 2, (self.width - width) // 2
        canvas[:, top : top + height, left : left + width] = pixels
        return canvas
