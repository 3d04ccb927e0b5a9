"""What a file of sound is, by its first bytes, and whether it is whole."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

__all__ = ["FORMATS", "ogg_ends", "riff_chunks", "sniff", "wav_shortfall"]

FORMATS = ("wav", "flac", "ogg", "mp3")
"""The formats that are read and written; everything else is refused, whatever it is called."""

CHUNK_LIMIT = 10_000
"""Most chunks of a WAV file that are looked at."""

UNKNOWN_SIZE = 0xFFFFFFFF
"""Length that writers to a pipe leave in a WAV file, since they cannot go back to fill in the true one."""


def sniff(file: BinaryIO) -> str | None:
    """Return the format of ``file`` by its content, one of ``FORMATS``, or None; leaves the file at its start."""
    file.seek(0)
    head = file.read(64)
    file.seek(0)
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"fLaC":
        return "flac"
    if head[:4] == b"OggS" and head[28:35] == b"\x01vorbis":
        return "ogg"
    if (head[:3] == b"ID3" and len(head) >= 10) or _mp3_frame(head):
        return "mp3"
    return None


def _mp3_frame(head: bytes) -> bool:
    """Whether ``head`` starts with a frame of MPEG audio, layer III, of a valid bit rate and sample rate."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer, bit_rate, sample_rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer == 1 and 0 < bit_rate < 15 and sample_rate != 3


def riff_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and declared length of the chunks of a WAV file, as far as they follow each other."""
    total = file.seek(0, os.SEEK_END)
    place, wide = 12, None
    for _ in range(CHUNK_LIMIT):
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return
        name, length = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"ds64":
            sizes = file.read(16)
            wide = struct.unpack("<8xQ", sizes)[0] if len(sizes) == 16 else None
        if name == b"data" and length == UNKNOWN_SIZE and wide is not None:
            length = wide
        yield name, place + 8, length
        place += 8 + length + (length & 1)
        if place >= total:
            return


def wav_shortfall(file: BinaryIO) -> int:
    """Return by how many bytes the sound of a WAV file is shorter than its header says.

    libsndfile reads a cut file as if it were whole, so the lengths are compared here. A length that says "unknown", as
    writers to a pipe leave it, is no promise.
    """
    total = file.seek(0, os.SEEK_END)
    for name, start, length in riff_chunks(file):
        if name == b"data":
            return 0 if length == UNKNOWN_SIZE else max(0, start + length - total)
    return 0


def ogg_ends(file: BinaryIO) -> bool:
    """Whether the last page of an Ogg file is all there and says that it is the last."""
    total = file.seek(0, os.SEEK_END)
    # A page has at most 27 + 255 + 255 * 255 bytes, so the start of the last lies in the last 65,307.
    start = max(0, total - 65_307)
    file.seek(start)
    tail = file.read()
    place = tail.rfind(b"OggS")
    while place >= 0:
        header = tail[place : place + 27]
        table = tail[place + 27 : place + 27 + (header[26] if len(header) == 27 else 0)]
        if len(header) == 27 and place + 27 + len(table) + sum(table) <= len(tail):
            return bool(header[5] & 4)
        place = tail.rfind(b"OggS", 0, place)
    return False
