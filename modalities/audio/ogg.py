"""The pages of an Ogg file: is the last one there, and a serial number that does not change from writing to writing.

libsndfile draws the serial number by chance at every writing, and each page's checksum covers it. Nothing else in the
file differs, so the number is replaced by one that follows from the sound, and the checksums are computed again.
"""

from __future__ import annotations

import os
import zlib
from typing import BinaryIO

__all__ = ["is_ended", "page_checksum", "set_serial"]

_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def page_checksum(page: bytes) -> int:
    """Return the checksum of an Ogg page whose checksum field is zero.

    Ogg's CRC is that of zlib (polynomial 0x04C11DB7) with the bits of all bytes and of the result in the other order,
    and without the inversions at start and end; so zlib can compute it.

    Source: RFC 3533, section 6.
    """
    reflected = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)


def set_serial(file: BinaryIO, serial: int) -> None:
    """Give every page of the Ogg stream in ``file`` the serial number ``serial`` (0 to 2^32 - 1), in place.

    Raises:
        ValueError: the file is no unbroken row of Ogg pages.
    """
    place = 0
    while True:
        file.seek(place)
        header = file.read(27)
        if not header:
            return
        if len(header) < 27 or header[:4] != b"OggS":
            raise ValueError(f"no Ogg page at byte {place}")
        table = file.read(header[26])
        body = file.read(sum(table))
        header = header[:14] + serial.to_bytes(4, "little") + header[18:22] + bytes(4) + header[26:]
        checksum = page_checksum(header + table + body)
        file.seek(place)
        file.write(header[:22] + checksum.to_bytes(4, "little"))
        place += 27 + len(table) + len(body)


def is_ended(file: BinaryIO) -> bool:
    """Whether the last page of an Ogg file is all there and says that it is the last."""
    total = file.seek(0, os.SEEK_END)
    # A page has at most 27 + 255 + 255 * 255 bytes, so the start of the last lies in the last 65,307.
    file.seek(max(0, total - 65_307))
    tail = file.read()
    place = tail.rfind(b"OggS")
    while place >= 0:
        header = tail[place : place + 27]
        table = tail[place + 27 : place + 27 + (header[26] if len(header) == 27 else 0)]
        if len(header) == 27 and place + 27 + len(table) + sum(table) <= len(tail):
            return bool(header[5] & 4)
        place = tail.rfind(b"OggS", 0, place)
    return False
