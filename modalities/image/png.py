"""The chunks of a PNG file: are they whole, and which of them make up the pixels.

Pillow checks no sums of the pixels' chunks and misses no end, so both is done here. It is given nothing but the chunks
of a still picture: texts, the frames of an animation and whatever else a file may carry never reach it.

Source: PNG specification, third edition, sections 5 and 11.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from ...core.errors import MediaError
from .content import Content

__all__ = ["parse"]

CHUNK_LIMIT = 2**17
"""Most chunks of a file."""

PROFILE_LIMIT = 4 * 2**20
"""Largest colour profile that is looked at, unpacked, in bytes."""

_MAGIC = b"\x89PNG\r\n\x1a\n"
_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


def parse(data: bytes, where: str) -> Content:
    """Take a PNG file apart.

    Args:
        data: the file.
        where: begins the error messages.

    Raises:
        MediaError: it is cut short, a sum is wrong, or a chunk stands where it must not.
    """
    pieces = [_MAGIC]
    header, profile, exif, comment = b"", b"", b"", ""
    seen: set[bytes] = set()
    for name, chunk, whole in _chunks(data, where):
        if not header and name != b"IHDR":
            raise MediaError(f"{where}: does not begin with its header; make the file again")
        if name == b"IHDR":
            if header or len(chunk) != 13:
                raise MediaError(f"{where}: its header is damaged; make the file again")
            header = chunk
        elif name == b"iCCP":
            profile = _profile(chunk)
        elif name == b"eXIf":
            exif = chunk
        elif name == b"tEXt" and chunk.startswith(b"Comment\0"):
            comment = chunk[8:].decode("latin-1")
        seen.add(name)
        if name == b"tRNS":
            whole = _chunk(b"tRNS", _transparent(chunk, header[8], header[9]))
        if name in _KEPT:
            pieces.append(whole)
    if b"IDAT" not in seen or (header[9] == 3 and b"PLTE" not in seen):
        what = "palette" if b"IDAT" in seen else "pixels"
        raise MediaError(f"{where}: holds no {what}; make the file again")
    width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    return Content(width, height, b"".join(pieces), comment, profile, exif, header[8])


def _chunks(data: bytes, where: str) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield name, content and all of each chunk up to the end mark."""
    place = len(_MAGIC)
    for _ in range(CHUNK_LIMIT):
        length = int.from_bytes(data[place : place + 4])
        whole = data[place : place + 12 + length]
        if len(whole) < 12 + length or len(whole) < 12:
            raise MediaError(f"{where}: cut short; fetch or make it again")
        name, chunk = whole[4:8], whole[8:-4]
        # The second letter but one of what a reader may not pass over is a capital, as in IDAT.
        if (name in _KEPT or name[:1].isupper()) and zlib.crc32(whole[4:-4]) != int.from_bytes(whole[-4:]):
            raise MediaError(f"{where}: damaged, the sum of a chunk is wrong; fetch or make it again")
        yield name, chunk, whole
        if name == b"IEND":
            return
        place += len(whole)
    raise MediaError(f"{where}: more than {CHUNK_LIMIT} chunks; make the file again")


def _chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4) + name + content + zlib.crc32(name + content).to_bytes(4)


def _transparent(chunk: bytes, depth: int, colour: int) -> bytes:
    """Return the transparent colour in the values that Pillow compares it with: 8 bits of grey, or of each of RGB."""
    if colour == 0 and depth in (2, 4):
        return (int.from_bytes(chunk[:2]) * (255 // (2**depth - 1)) & 0xFFFF).to_bytes(2)
    if colour == 2 and depth == 16:
        return b"".join(bytes((0, chunk[place])) for place in range(0, len(chunk) - 1, 2))
    return chunk


def _profile(chunk: bytes) -> bytes:
    """Return the colour profile of an iCCP chunk; nothing where it is damaged or huge."""
    name, _, packed = chunk.partition(b"\0")
    unpacking = zlib.decompressobj()
    try:
        profile = unpacking.decompress(packed[1:], PROFILE_LIMIT)
    except zlib.error:
        return b""
    return profile if unpacking.eof and len(name) < 80 else b""
