"""What a file of sound is, by its first bytes."""

from __future__ import annotations

from typing import BinaryIO

from .mp3 import is_frame

__all__ = ["FORMATS", "sniff"]

FORMATS = ("wav", "flac", "ogg", "mp3")
"""The formats that are read and written; everything else is refused, whatever it is called."""


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
    if (head[:3] == b"ID3" and len(head) >= 10) or is_frame(head):
        return "mp3"
    return None
