"""Pictures of any size brought to the model's, see :class:`~...core.raster.fitting.Fitting`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from PIL import Image as PillowImage
from torch import Tensor

from ...core.data.dataset import DataConfig
from ...core.errors import ConfigError
from ...core.media import MediaSpec
from ...core.raster.fitting import Fitting
from ...core.raster.pixels import from_pillow
from .channels import with_channels

__all__ = ["PIXEL_LIMIT", "Geometry"]

PIXEL_LIMIT = 64 * 2**20
"""Most pixels of a picture after it is resized."""


@dataclass(frozen=True)
class Geometry(Fitting):
    """How pictures get the size and channels of the model."""

    pixel_limit: ClassVar[int] = PIXEL_LIMIT

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

        With ``fit = "crop"`` it may still be too large. Resizing works on the values of the file (sRGB), with alpha
        multiplied in.

        Raises:
            MediaError: so long and narrow that it would get too large.
        """
        return self.padded(from_pillow(self.resized(with_channels(image, self.channels, self.background))))

    def is_exact(self, pixels: Tensor) -> bool:
        """Whether pixels (channels, height, width) have the model's shape already."""
        return tuple(pixels.shape) == (self.channels, self.height, self.width)

    def item(self, pixels: Tensor, start: float) -> Tensor:
        """Return the part of a fitted picture that ``start`` in [0, 1) says, float32 in [0, 1]."""
        return self.window_of(pixels, start).to(torch.float32) / 255
