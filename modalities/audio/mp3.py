"""The frames of an MP3 file: is this one, and is it all there."""

from __future__ import annotations

import os
from typing import BinaryIO

__all__ = ["is_frame", "shortfall"]


def is_frame(head: bytes) -> bool:
    """Whether ``head`` starts with a frame of MPEG audio, layer III, of a valid bit rate and sample rate."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer, bit_rate, sample_rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer == 1 and 0 < bit_rate < 15 and sample_rate != 3


def shortfall(file: BinaryIO) -> int:
    """Return by how many bytes an MP3 file is shorter than its first frame says; 0 where that frame says nothing.

    Most encoders write the number of bytes into a first frame marked "Xing" or "Info".
    """
    total = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        size = 0
        for value in head[6:]:
            size = size << 7 | value & 0x7F
        start = 10 + size
    file.seek(start)
    frame = file.read(64)
    if not is_frame(frame):
        return 0
    first_version, mono = frame[1] >> 3 & 3 == 3, frame[3] >> 6 == 3
    place = 4 + ((17 if mono else 32) if first_version else (9 if mono else 17))
    mark, flags = frame[place : place + 4], frame[place + 7 : place + 8]
    if mark not in (b"Xing", b"Info") or not flags or not flags[0] & 2:
        return 0
    field = place + 8 + (4 if flags[0] & 1 else 0)
    return max(0, start + int.from_bytes(frame[field : field + 4], "big") - total)
