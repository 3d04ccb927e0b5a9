"""Pictures that a user gives, as a model takes them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ...core.data.dataset import DataConfig
from ...core.errors import ConfigError, MediaError
from ...core.media import MediaSpec
from ...core.raster.pixels import eight_bit, from_pillow, to_pillow
from ...core.values import all_finite
from .channels import with_channels
from .geometry import Geometry
from .picture import Image

__all__ = ["taken"]


def taken(picture: object, spec: MediaSpec, *, fit: bool) -> tuple[Tensor, MediaSpec]:
    """Return pixels (channels, height, width) with a model's channels, and their shape.

    Args:
        picture: a picture.
        spec: what the model sees.
        fit: also bring it to the model's size: resized until it covers that, then cut in the middle, as training data.

    Raises:
        ConfigError: it is no picture.
        MediaError: its values are not finite, or it is too long and narrow.
    """
    if not isinstance(picture, Image) or picture.pixels.ndim != 3 or picture.channels not in (1, 3, 4):
        raise ConfigError(
            f"picture: expected an Image with 1, 3 or 4 channels, such as image.read gives, got {picture!r:.80}"
        )
    pixels = picture.pixels.detach().to("cpu", torch.float32)
    if not pixels.numel() or not all_finite(pixels):
        raise MediaError("picture: empty, or some values are not finite; give pixels in [0, 1]")
    wanted = (spec.shape[0], *(spec.shape[1:] if fit else pixels.shape[1:]))
    if tuple(pixels.shape) != wanted:
        image = with_channels(to_pillow(eight_bit(pixels)), spec.shape[0])
        if fit:
            geometry = Geometry.of(spec, DataConfig(window="centre"))
            pixels = geometry.window_of(geometry.fitted(image), 0.0)
        else:
            pixels = from_pillow(image)
        pixels = pixels.to(torch.float32) / 255
    return pixels.clamp(0, 1), replace(spec, shape=tuple(pixels.shape))
