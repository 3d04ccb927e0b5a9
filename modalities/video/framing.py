"""Films of any size and length brought to the model's: each frame resized, then a window of space and time taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor

from ...core.data.dataset import DataConfig
from ...core.errors import ConfigError
from ...core.media import MediaSpec
from ...core.raster.fitting import Fitting
from ...core.raster.pixels import from_pillow
from .colour import with_channels
from .decoding import PIXEL_LIMIT

__all__ = ["Framing"]


@dataclass(frozen=True)
class Framing(Fitting):
    """How films get the shape of the model.

    Attributes:
        frames: of the model.
        fps: frames per second of the model.
        stride: which frames of the film make an item, such as each second; None takes those that stand on the screen at
            the model's rate.
    """

    frames: int = field(kw_only=True)
    fps: float = field(kw_only=True)
    stride: int | None = field(kw_only=True, default=None)

    pixel_limit: ClassVar[int] = PIXEL_LIMIT

    @classmethod
    def of(cls, spec: MediaSpec, config: DataConfig) -> Framing:
        """Return the framing of a specification and a ``[data]`` table. Raises ConfigError where it is no film."""
        fps = spec.rates[0] if spec.rates else None
        if len(spec.shape) != 4 or spec.shape[0] not in (1, 3) or min(spec.shape) < 1 or not fps:
            raise ConfigError(
                f"wrong media: shape {spec.shape} with rates {spec.rates}; "
                "films have (channels, frames, height, width) with 1 or 3 channels, and frames per second"
            )
        channels, frames, height, width = spec.shape
        plain = (channels, height, width, config.fit, config.window, config.flip, config.background)
        return cls(*plain, frames=frames, fps=fps, stride=config.stride)

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
        resized = from_pillow(self.resized(PillowImage.fromarray(np.ascontiguousarray(frame))))
        return self.padded(with_channels(resized, self.channels).contiguous())

    def item(self, film: Tensor, start: float) -> Tensor:
        """Return the part of a film, uint8 (time, channels, height, width), that ``start`` in [0, 1) says.

        The first frame is one more digit of ``start`` before those of a frame's window.

        Returns:
            float32 (channels, frames, height, width) in [0, 1].
        """
        first, start = self.place(len(film) - self.span, start)
        window = self.window_of(film[first : first + self.span : self.stride or 1], start)
        return window.transpose(0, 1).to(torch.float32).contiguous() / 255
