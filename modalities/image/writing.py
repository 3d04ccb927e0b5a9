"""Pictures into files: PNG, JPEG and WebP, whole or not at all, the same bytes each time."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from PIL import ExifTags, PngImagePlugin
from PIL import Image as PillowImage

from ...core.errors import ConfigError, NumericError
from ...core.naming import printable
from ...core.record_text import format_record
from ...core.storage.atomic import whole_file
from .picture import Image
from .pixels import eight_bit, to_pillow

__all__ = ["as_png", "check_format", "encode", "format_of", "write"]

JPEG_QUALITY = 95
"""Of Pillow's scale to 100; above it files grow without a visible gain (Pillow's own advice)."""

COMMENT_LIMIT = 65_533
"""Longest record in a JPEG file, in bytes: a segment tells its length in 16 bits."""

_FORMATS = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "webp": "webp"}
_SIDES = {"png": 2**31 - 1, "jpeg": 65_500, "webp": 16_383}


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
    resolution and no alpha; a grey picture in WebP becomes RGB, since the format has no grey. The same picture and
    record give the same bytes each time.

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
    if kind == "jpeg" and len(comment) > COMMENT_LIMIT:
        raise ConfigError(f"{where}: a record of {len(comment)} bytes, jpeg holds {COMMENT_LIMIT}; choose png")
    with whole_file(path, overwrite=overwrite) as file:
        encode(image, kind, file, comment=comment)


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format that the ending of ``path`` names. Raises ConfigError where it names none."""
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in _FORMATS:
        raise ConfigError(
            f"cannot write: {printable(path)}: no format of pictures; end the name in .png, .jpg, .jpeg or .webp"
        )
    return _FORMATS[ending]


def check_format(path: str | os.PathLike[str], channels: int, height: int, width: int) -> None:
    """Raise ConfigError if a picture of this size could not be written to a file of this name."""
    _check_shape(format_of(path), channels, height, width, f"cannot write: {printable(path)}")


def encode(image: Image, kind: str, file: BinaryIO, *, comment: str = "") -> None:
    """Write a picture, already checked, to an open file as ``kind``."""
    picture = to_pillow(eight_bit(image.pixels))
    if kind == "png":
        text = PngImagePlugin.PngInfo()
        if comment:
            text.add_text("Comment", comment)
        picture.save(file, "PNG", pnginfo=text)
    elif kind == "jpeg":
        picture.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0, comment=comment.encode())
    else:
        exif = PillowImage.Exif()
        if comment:
            exif[ExifTags.Base.ImageDescription] = comment
        picture.save(file, "WEBP", lossless=True, exact=True, exif=exif.tobytes() if comment else b"")


def as_png(image: Image) -> bytes:
    """Return a picture, finite and of 1, 3 or 4 channels, as the bytes of a PNG file without its record."""
    buffer = io.BytesIO()
    encode(image, "png", buffer)
    return buffer.getvalue()


def _check(image: Image, kind: str, where: str) -> None:
    """Refuse what the format cannot hold, before the file is touched."""
    pixels = image.pixels
    if pixels.ndim != 3 or not pixels.is_floating_point() or pixels.numel() == 0:
        raise ConfigError(
            f"{where}: pixels of shape {tuple(pixels.shape)} and {pixels.dtype}; "
            "give (channels, height, width) as float32"
        )
    _check_shape(kind, *pixels.shape, where)
    if not bool(torch.isfinite(pixels).all()):
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
