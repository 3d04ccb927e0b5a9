"""The chunks of a WebP file: are they all there, and how large is the picture.

The decoder takes memory for the canvas as soon as it is made, so the size is read here first.

Source: RFC 9649, section 2.
"""

from __future__ import annotations

from collections.abc import Iterator

from PIL import ExifTags
from PIL import Image as PillowImage

from ...core.errors import MediaError
from .content import Content

__all__ = ["parse"]

SIDE_LIMIT = 16_383
"""Most columns, and most rows: what a picture in the format can have. The canvas of an animation may claim more."""

PIXEL_LIMIT = 32 * 2**20
"""Most pixels: half of what other formats may have, since the decoder holds a picture four times."""

CHUNK_LIMIT = 100_000
"""Most chunks of a file: an animation has one for each of its frames."""


def parse(data: bytes, where: str) -> Content:
    """Take a WebP file apart.

    Args:
        data: the file.
        where: begins the error messages.

    Raises:
        MediaError: it is cut short or has no size.
    """
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise MediaError(f"{where}: cut short, {end - len(data)} bytes are missing; fetch or make it again")
    size: tuple[int, int] | None = None
    profile, exif = b"", b""
    for name, chunk in _chunks(data, end, where):
        size = size or _size(name, chunk)
        if size is None:
            break  # the first chunk tells the size, or it is no picture
        if name == b"ICCP":
            profile = chunk
        elif name == b"EXIF":
            exif = chunk
    if size is None:
        raise MediaError(f"{where}: damaged, it does not tell its size; fetch or make it again")
    if max(size) > SIDE_LIMIT or size[0] * size[1] > PIXEL_LIMIT:
        raise MediaError(
            f"{where}: {size[0]} x {size[1]} pixels, of WebP {PIXEL_LIMIT} are read and {SIDE_LIMIT} a side; "
            "make it smaller, or a PNG file of it"
        )
    return Content(*size, data[:end], _description(exif), profile, exif)


def _chunks(data: bytes, end: int, where: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of each chunk."""
    place = 12
    for _ in range(CHUNK_LIMIT):
        if place >= end:
            return
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        if place + 8 + length > end:
            raise MediaError(f"{where}: cut short or damaged; fetch or make it again")
        yield data[place : place + 4], data[place + 8 : place + 8 + length]
        place += 8 + length + (length & 1)
    raise MediaError(f"{where}: more than {CHUNK_LIMIT} chunks; make the file again")


def _size(name: bytes, chunk: bytes) -> tuple[int, int] | None:
    """Return width and height by the first chunk, or None where it does not tell."""
    if name == b"VP8X" and len(chunk) >= 10:
        return int.from_bytes(chunk[4:7], "little") + 1, int.from_bytes(chunk[7:10], "little") + 1
    if name == b"VP8L" and len(chunk) >= 5 and chunk[0] == 0x2F:
        bits = int.from_bytes(chunk[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if name == b"VP8 " and len(chunk) >= 10 and chunk[3:6] == b"\x9d\x01\x2a":
        return int.from_bytes(chunk[6:8], "little") & 0x3FFF, int.from_bytes(chunk[8:10], "little") & 0x3FFF
    return None


def _description(exif: bytes) -> str:
    """Return the description in an EXIF block, where the record is kept; empty where there is none."""
    if b"noiseform " not in exif:
        return ""
    try:
        block = PillowImage.Exif()
        block.load(exif)
        return str(block.get(ExifTags.Base.ImageDescription, ""))
    except Exception:  # the block may be anything; without it the picture is what it is
        return ""
