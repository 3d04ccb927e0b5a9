"""The outer structure of MP4 and Matroska files: is all there that their lengths promise?

FFmpeg reads what is left of a file that is cut and says nothing, so the lengths are compared here.

Source: ISO/IEC 14496-12, section 4.2 (boxes); RFC 8794, section 6 (EBML elements).
"""

from __future__ import annotations

import os
from typing import BinaryIO

__all__ = ["shortfall"]

PIECE_LIMIT = 100_000
"""Most boxes at the top of an MP4 file that are looked at: each piece of a fragmented one has two."""


def shortfall(file: BinaryIO, kind: str) -> int:
    """Return how many bytes of an MP4 or Matroska file are missing at its end, as far as its lengths tell."""
    total = file.seek(0, os.SEEK_END)
    try:
        return _of_boxes(file, total) if kind == "mp4" else _of_segment(file, total)
    finally:
        file.seek(0)


def _of_boxes(file: BinaryIO, total: int) -> int:
    place = 0
    for _ in range(PIECE_LIMIT):
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return 0  # the end, or bytes behind it that are no box
        size = int.from_bytes(head[:4])
        if size == 1:
            size = int.from_bytes(head[8:16])
        if size < 8:
            return 0  # 0 is a box to the end of the file; less is damage that the decoder sees
        place += size
        if place > total:
            return place - total
    return 0


def _of_segment(file: BinaryIO, total: int) -> int:
    file.seek(4)
    header = _length(file)
    if header is None:
        return 0
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != b"\x18\x53\x80\x67":
        return 0
    size = _length(file)
    return 0 if size is None else max(0, file.tell() + size - total)


def _length(file: BinaryIO) -> int | None:
    """Return the length of an EBML element; None where it is not told."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    width = 9 - first[0].bit_length()
    rest = file.read(width - 1)
    value = int.from_bytes(first + rest) & ((1 << 7 * width) - 1)
    return None if value == (1 << 7 * width) - 1 or len(rest) < width - 1 else value
