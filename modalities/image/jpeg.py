"""The segments of a JPEG file: are they all there, and which of them make up the pixels.

A decoder fills in what a cut file lacks, so the way to the end mark is gone here. Pillow is given the segments of the
first picture; comments, thumbnails and further pictures behind it never reach it.

Source: ITU-T recommendation T.81, annex B.
"""

from __future__ import annotations

import re

from ...core.errors import MediaError
from .content import Content

__all__ = ["parse", "with_comment"]

COMMENT_LIMIT = 65_533
"""Longest comment, in bytes: a segment tells its length in 16 bits, and counts those two."""

SCAN_LIMIT = 64
"""Most passes over the pixels: each costs as much as the picture is large, and common files have about ten."""

SEGMENT_LIMIT = 10_000
"""Most segments of a file."""

PROFILE_LIMIT = 4 * 2**20
"""Largest colour profile that is looked at, in bytes."""

_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # start of frame, in all its kinds
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a segment
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]", re.DOTALL)  # one that ends the pixels of a pass


def parse(data: bytes, where: str) -> Content:
    """Take a JPEG file apart.

    Args:
        data: the file.
        where: begins the error messages.

    Raises:
        MediaError: it is cut short, has no size or two, or absurdly many segments or passes.
    """
    pieces, sizes, profile = [b"\xff\xd8"], [], []
    exif, comments = b"", []
    scans, place = 0, 2
    for _ in range(SEGMENT_LIMIT):
        place = _next_marker(data, place, where)
        marker = data[place + 1]
        if marker == 0xD9:
            break
        if marker in _ALONE:
            place += 2
            continue
        length = int.from_bytes(data[place + 2 : place + 4])
        end = place + 2 + length
        if length < 2 or end > len(data):
            raise MediaError(f"{where}: cut short or damaged; fetch or make it again")
        body = data[place + 4 : end]
        if marker in _SIZES:
            sizes.append((int.from_bytes(body[3:5]), int.from_bytes(body[1:3])))
        elif marker == 0xDA:
            scans += 1
            found = _MARKER.search(data, end)
            end = found.start() if found else len(data)
        elif marker == 0xE1 and body.startswith(b"Exif\0\0"):
            exif = exif or body
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
            profile.append(body[12:])
        elif marker == 0xFE:
            comments.append(body.decode("latin-1"))
        if marker == 0xEE or not (0xE0 <= marker <= 0xEF or marker == 0xFE):  # Adobe's 0xEE tells the colours
            pieces.append(data[place:end])
        place = end
    else:
        raise MediaError(f"{where}: more than {SEGMENT_LIMIT} segments; make the file again")
    if len(sizes) != 1 or not scans:
        raise MediaError(f"{where}: {len(sizes)} sizes and {scans} passes of pixels, expected one; make the file again")
    if scans > SCAN_LIMIT:
        raise MediaError(f"{where}: {scans} passes over the pixels, more than {SCAN_LIMIT}; make the file again")
    pieces.append(b"\xff\xd9")
    return Content(*sizes[0], b"".join(pieces), "".join(comments), _joined(profile), exif)


def with_comment(data: bytes, text: str) -> bytes:
    """Return a JPEG file with a comment after its first segment (JFIF), cut into as many as it takes."""
    comment = text.encode("ascii")
    segments = [comment[place : place + COMMENT_LIMIT] for place in range(0, len(comment), COMMENT_LIMIT)]
    start = 4 + int.from_bytes(data[4:6])
    written = [b"\xff\xfe" + (2 + len(segment)).to_bytes(2) + segment for segment in segments]
    return b"".join((data[:start], *written, data[start:]))


def _next_marker(data: bytes, place: int, where: str) -> int:
    """Return where the next marker stands; bytes of 0xFF may fill the way."""
    while data[place : place + 2] == b"\xff\xff":
        place += 1
    if len(data) < place + 2:
        raise MediaError(f"{where}: cut short, the end is missing; fetch or make it again")
    if data[place] != 0xFF or data[place + 1] == 0:
        raise MediaError(f"{where}: damaged, no segment at byte {place}; fetch or make it again")
    return place


def _joined(pieces: list[bytes]) -> bytes:
    """Return a colour profile from its numbered pieces; nothing where one is missing or it is huge."""
    ordered = sorted(pieces, key=lambda piece: piece[:1])
    numbers = [piece[0] for piece in ordered if len(piece) > 2]
    whole = b"".join(piece[2:] for piece in ordered)
    return whole if numbers == list(range(1, len(pieces) + 1)) and len(whole) <= PROFILE_LIMIT else b""
