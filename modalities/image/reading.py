"""Pictures out of files that anyone may have made: PNG, JPEG and WebP, told by their content.

Nothing in a header is believed: the format is told by the first bytes, the file is taken apart and its lengths and sums
are compared with what is there, the size is held against a limit, and only then a decoder sees what makes up the
pixels. Whatever goes wrong is a MediaError. Of animated files the first frame is taken.
"""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, Literal

from PIL import Image as PillowImage
from PIL import ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from ...core.data.decoding_errors import decoding_errors
from ...core.errors import MediaError
from ...core.naming import printable
from ...core.pipeline.record_text import parse_record
from ...core.raster.pixels import from_pillow
from ...core.storage.regular_file import open_regular
from . import jpeg, png, webp
from .channels import with_channels
from .colour import plain, upright
from .content import Content
from .picture import Image
from .sniff import foreign, sniff

__all__ = ["FILE_LIMIT", "PIXEL_LIMIT", "decode", "read", "read_record"]

PIXEL_LIMIT = 64 * 2**20
"""Most pixels of a picture."""

FILE_LIMIT = 256 * 2**20
"""Largest file, in bytes."""

_PARSERS = {"png": png.parse, "jpeg": jpeg.parse, "webp": webp.parse}
_DECODERS: Mapping[str, Callable[[BinaryIO], ImageFile.ImageFile]] = {
    "png": PngImagePlugin.PngImageFile,
    "jpeg": JpegImagePlugin.JpegImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
}
_lock = threading.Lock()


def read(
    path: str | os.PathLike[str],
    *,
    channels: Literal[1, 3, 4] | None = None,
    background: Literal["white", "black"] = "white",
    max_pixels: int = PIXEL_LIMIT,
) -> Image:
    """Return the picture in a file.

    Args:
        path: a PNG, JPEG or WebP file; the content decides, not the ending.
        channels: the number of channels wanted, by the table of ``pixels``; None keeps the file's, which are 1, 3 or 4
            by the table of ``colour``.
        background: what transparent pictures are laid on where no alpha is wanted.
        max_pixels: largest picture that is accepted; of WebP at most half the default.

    Returns:
        The picture, with the record that noiseform left in the file, if there is one.

    Raises:
        MediaError: the file cannot be read, is no picture in these formats, is damaged or too large.
        ResourceError: there is too little memory for it.
    """
    with open_regular(path) as file:
        picture, comment = decode(file, os.fspath(path), max_pixels=max_pixels)
    if channels is not None:
        picture = with_channels(picture, channels, background)
    return Image(from_pillow(picture).float().div_(255), parse_record(comment))


def decode(file: BinaryIO, name: str, *, max_pixels: int = PIXEL_LIMIT) -> tuple[PillowImage.Image, str]:
    """Return the picture in an open file as Pillow's L, RGB or RGBA, and its comment; ``name`` stands in the errors.

    Raises: as :func:`read`.
    """
    where = f"cannot read: {printable(name)}"
    with decoding_errors(where, "picture", smaller="make it smaller"):
        kind, content = _taken_apart(file, where)
        pixels = content.width * content.height
        if not 0 < pixels <= max_pixels:
            raise MediaError(
                f"{where}: {content.width} x {content.height} pixels, expected 1 to {max_pixels}; make it smaller"
            )
        with _quietly():
            image = _DECODERS[kind](io.BytesIO(content.picture))
            if image.size != (content.width, content.height):
                raise MediaError(f"{where}: damaged, its headers tell two sizes; fetch or make it again")
            image.load()
        return upright(plain(image, content.profile), content.exif), content.comment


def read_record(path: str | os.PathLike[str]) -> dict[str, object] | None:
    """Return the record that noiseform left in a picture, or None.

    Raises:
        MediaError: the file cannot be read or is no picture.
    """
    with open_regular(path) as file:
        _, content = _taken_apart(file, f"cannot read: {printable(path)}")
    return parse_record(content.comment)


def _taken_apart(file: BinaryIO, where: str) -> tuple[str, Content]:
    """Return the format and the parts of a file."""
    data = file.read(FILE_LIMIT + 1)
    if not data:
        raise MediaError(f"{where}: empty file; make it again")
    if len(data) > FILE_LIMIT:
        raise MediaError(f"{where}: more than {FILE_LIMIT} bytes; make it smaller")
    kind = sniff(data[:16])
    if kind is None:
        other = foreign(data[:16])
        what = f"{other} is not read" if other else "no picture that is known by its content"
        raise MediaError(f"{where}: {what}; give PNG, JPEG or WebP")
    return kind, _PARSERS[kind](data, where)


@contextmanager
def _quietly() -> Iterator[None]:
    """Let Pillow decode as it does by default, whatever the program around has set, and without a word.

    ``LOAD_TRUNCATED_IMAGES`` belongs to the whole process, and other libraries set it.
    """
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before
