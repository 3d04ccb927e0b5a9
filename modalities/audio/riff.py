"""The chunks of a WAV file: is the sound all there, and which comment stands beside it."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

__all__ = ["append_comment", "chunks", "comment", "file_shortfall", "shortfall"]

CHUNK_LIMIT = 10_000
"""Most chunks of a file that are looked at."""

COMMENT_LIMIT = 2**21
"""Longest list of comments that is read, in bytes."""

UNKNOWN_SIZE = 0xFFFFFFFF
"""Length that writers to a pipe leave, since they cannot go back to fill in the true one."""

_UNKNOWN_FROM = 0x7FFFF000
"""Lengths of a whole file from which on they are taken for that: some leave about the largest signed one."""


def chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and declared length of the chunks of a WAV file, as far as they follow each other."""
    total = file.seek(0, os.SEEK_END)
    place, wide = 12, None
    for _ in range(CHUNK_LIMIT):
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return
        name, length = head[:4], int.from_bytes(head[4:], "little")
        if name == b"ds64":
            sizes = file.read(16)
            wide = struct.unpack("<8xQ", sizes)[0] if len(sizes) == 16 else None
        if name == b"data" and length == UNKNOWN_SIZE and wide is not None:
            length = wide
        yield name, place + 8, length
        place += 8 + length + (length & 1)
        if place >= total:
            return


def shortfall(file: BinaryIO) -> int:
    """Return by how many bytes the sound in a WAV file is shorter than its header says.

    libsndfile reads a cut file as if it were whole, so the lengths are compared here. A length that says "unknown", as
    writers to a pipe leave it, is no promise.
    """
    total = file.seek(0, os.SEEK_END)
    for name, start, length in chunks(file):
        if name == b"data":
            return 0 if length == UNKNOWN_SIZE else max(0, start + length - total)
    return 0


def file_shortfall(file: BinaryIO) -> int:
    """Return by how many bytes a WAV file is shorter than its header says, with all that stands beside the sound."""
    total = file.seek(0, os.SEEK_END)
    file.seek(4)
    length = int.from_bytes(file.read(4), "little")
    return 0 if length >= _UNKNOWN_FROM else max(0, 8 + length - total)


def comment(file: BinaryIO) -> str:
    """Return the comment (ICMT) of a WAV file, or an empty text; libsndfile itself reads short ones only."""
    for name, start, length in chunks(file):
        if name != b"LIST" or not 4 <= length <= COMMENT_LIMIT:
            continue
        file.seek(start)
        content = file.read(length)
        place = 4 if content[:4] == b"INFO" else length
        while place + 8 <= len(content):
            size = int.from_bytes(content[place + 4 : place + 8], "little")
            if content[place : place + 4] == b"ICMT":
                return content[place + 8 : place + 8 + size].split(b"\0")[0].decode("utf-8", "replace")
            place += 8 + size + (size & 1)
    return ""


def append_comment(file: BinaryIO, text: str) -> None:
    """Put a comment after the last chunk of a whole WAV file; libsndfile writes none longer than its header's room."""
    content = text.encode("utf-8") + b"\0"
    item = b"ICMT" + len(content).to_bytes(4, "little") + content + bytes(len(content) & 1)
    total = file.seek(0, os.SEEK_END)
    file.write(bytes(total & 1) + b"LIST" + (4 + len(item)).to_bytes(4, "little") + b"INFO" + item)
    total = file.tell()
    file.seek(4)
    file.write((total - 8).to_bytes(4, "little"))
