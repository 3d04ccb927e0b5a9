"""Pictures into files: PNG, JPEG and WebP, whole or not at all, the same bytes each time."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import ExifTags, PngImagePlugin
from PIL import Image as PillowImage

from ...core.errors import ConfigError, NumericError
from ...core.naming import printable
from ...core.pipeline.record_text import format_record
from ...core.raster.pixels import eight_bit, to_pillow
from ...core.storage.atomic import whole_file
from ...core.values import all_finite
from .jpeg import with_comment
from .picture import Image
from .webp import SIDE_LIMIT

__all__ = ["check_format", "encode", "format_of", "write"]

JPEG_QUALITY = 95
"""Of Pillow's scale to 100; above it files grow without a visible gain (Pillow's own advice)."""

_FORMATS = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "webp": "webp"}
_SIDES = {"png": 2**31 - 1, "jpeg": 65_500, "webp": SIDE_LIMIT}


def write(
    image: Image,
    path: str | os.PathLike[str],
    *,
    record: Mapping[str, object] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a picture to a file; the ending of ``path`` chooses the format (png, jpg, jpeg, webp).

    All hold 8-bit values: ``round(255 x)``, halves to even, held to [0, 255], without dither, so that an 8-bit file
    that is read and written again keeps its pixels. PNG and WebP are lossless; JPEG has quality 95, full colour
    resolution and no alpha. WebP has no grey, so a grey picture comes back as RGB, and one with alpha that is opaque
    throughout comes back without. The same picture and record give the same bytes each time.

    Args:
        image: the picture.
        path: the file.
        record: what is kept in the file's own metadata, as plain values; None for nothing.
        overwrite: replace a file that stands there.

    Raises:
        ConfigError: an ending that names no format, a size or number of channels that the format cannot hold, an empty
            picture, a record that is not plain; the file exists, or its place cannot be written.
        NumericError: a pixel is not finite.
        ResourceError: the disk is full.
    """
    where = f"cannot write: {printable(path)}"
    kind = format_of(path)
    _check(image, kind, where)
    comment = format_record(record)
    data = encode(image, kind, comment=comment)
    with whole_file(path, overwrite=overwrite) as file:
        file.write(data)


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format that the ending of ``path`` names. Raises ConfigError where it names none."""
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in _FORMATS:
        raise ConfigError(
            f"cannot write: {printable(path)}: unknown image format; end the name in .png, .jpg, .jpeg or .webp"
        )
    return _FORMATS[ending]


def check_format(path: str | os.PathLike[str], channels: int, height: int, width: int) -> None:
    """Raise ConfigError if a picture of this size could not be written to a file of this name."""
    _check_shape(format_of(path), channels, height, width, f"cannot write: {printable(path)}")


def encode(image: Image, kind: str, *, comment: str = "") -> bytes:
    """Return a picture, finite and of a size that ``kind`` holds, as the bytes of a file."""
    picture = to_pillow(eight_bit(image.pixels))
    buffer = io.BytesIO()  # encoded in memory, so that what goes wrong in writing is the system's own error
    if kind == "png":
        text = PngImagePlugin.PngInfo()
        if comment:
            text.add_text("Comment", comment)
        picture.save(buffer, "PNG", pnginfo=text)
    elif kind == "jpeg":
        picture.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
        return with_comment(buffer.getvalue(), comment)
    else:
        exif = PillowImage.Exif()
        if comment:
            exif[ExifTags.Base.ImageDescription] = comment
        picture.save(buffer, "WEBP", lossless=True, exact=True, exif=exif.tobytes() if comment else b"")
    return buffer.getvalue()


def _check(image: Image, kind: str, where: str) -> None:
    """Refuse what the format cannot hold, before the file is touched."""
    pixels = image.pixels
    if pixels.ndim != 3 or not pixels.is_floating_point() or pixels.numel() == 0:
        raise ConfigError(
            f"{where}: pixels of shape {tuple(pixels.shape)} and {pixels.dtype}; "
            "give (channels, height, width) as float32"
        )
    channels, height, width = pixels.shape
    _check_shape(kind, channels, height, width, where)
    if not all_finite(pixels):
        count = int((~torch.isfinite(pixels)).sum())
        raise NumericError(f"{where}: {count} of {pixels.numel()} values are not finite; look for their origin")


def _check_shape(kind: str, channels: int, height: int, width: int, where: str) -> None:
    """Refuse a size or a number of channels that the format cannot hold."""
    if channels not in (1, 3, 4):
        raise ConfigError(f"{where}: {channels} channels; pictures have 1 (grey), 3 (RGB) or 4 (RGBA)")
    if kind == "jpeg" and channels == 4:
        raise ConfigError(f"{where}: 4 channels, jpeg holds no alpha; choose png or webp")
    if max(height, width) > _SIDES[kind]:
        raise ConfigError(f"{where}: {width} x {height} pixels, {kind} holds {_SIDES[kind]} a side; choose png")
