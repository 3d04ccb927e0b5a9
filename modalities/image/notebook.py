"""How a picture shows itself in a notebook: as a PNG file, large enough to be seen."""

from __future__ import annotations

import io

from PIL import Image as PillowImage

from .picture import Image
from .pixels import eight_bit, to_pillow

__all__ = ["as_png", "enlargement"]

EDGE = 96
"""Smaller pictures are enlarged to about this edge, in pixels."""


def enlargement(height: int, width: int) -> int:
    """Return the whole factor by which a tiny picture is enlarged where people look at it; 1 for all others."""
    return max(1, round(EDGE / max(height, width)))


def as_png(image: Image) -> bytes:
    """Return a picture, finite and of 1, 3 or 4 channels, as the bytes of a PNG file, tiny ones enlarged."""
    picture = to_pillow(eight_bit(image.pixels))
    factor = enlargement(image.height, image.width)
    if factor > 1:
        size = picture.width * factor, picture.height * factor
        picture = picture.resize(size, PillowImage.Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
