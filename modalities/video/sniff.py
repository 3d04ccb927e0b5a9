"""What a file of a film is, by its first bytes."""

from __future__ import annotations

__all__ = ["foreign", "sniff"]

_FOREIGN = {
    b"#EXTM3U": "a playlist",
    b"ffconcat": "a playlist",
    b"[playlist": "a playlist",
    b"<?xml": "a playlist or a page",
    b"RIFF": "AVI or sound",
    b"OggS": "Ogg",
    b"FLV": "FLV",
    b"\0\0\1\xba": "MPEG program stream",
    b"\0\0\1\xb3": "MPEG",
    b"G": "MPEG transport stream",
    b"\x30\x26\xb2\x75": "ASF",
    b"fLaC": "sound",
    b"ID3": "sound",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}


def sniff(head: bytes) -> str | None:
    """Return the format of a file that begins with ``head`` (16 bytes tell): mp4, matroska, gif; or None."""
    if head[4:8] in (b"ftyp", b"moov"):
        return "mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    return None


def foreign(head: bytes) -> str:
    """Return the name of a format that is known but not read; empty for all others."""
    return next((name for magic, name in _FOREIGN.items() if head.startswith(magic)), "")
