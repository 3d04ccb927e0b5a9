"""How a picture shows itself in a notebook: as a PNG file, large enough to be seen."""

from __future__ import annotations

import io

from PIL import Image as PillowImage

from ...core.raster.pixels import eight_bit, enlargement, to_pillow
from .picture import Image

__all__ = ["EDGE", "as_png"]

EDGE = 96
"""Smaller pictures are enlarged to about this edge, in pixels."""


def as_png(image: Image) -> bytes:
    """Return a picture, finite and of 1, 3 or 4 channels, as the bytes of a PNG file, tiny ones enlarged."""
    picture = to_pillow(eight_bit(image.pixels))
    factor = enlargement(image.height, image.width, EDGE)
    if factor > 1:
        size = picture.width * factor, picture.height * factor
        picture = picture.resize(size, PillowImage.Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
