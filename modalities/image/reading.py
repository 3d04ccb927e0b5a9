"""Pictures out of files that anyone may have made: PNG, JPEG and WebP, told by their content."""

from __future__ import annotations

import os

from ...core.errors import MediaError
from .picture import Image

__all__ = ["read", "read_record"]


def read(path: str | os.PathLike[str]) -> Image:
    """Return the picture in a file."""
    raise MediaError("not yet")


def read_record(path: str | os.PathLike[str]) -> dict[str, object] | None:
    """Return the record that noiseform left in a picture, or None."""
    raise MediaError("not yet")
