"""What a file of a picture is, by its first bytes."""

from __future__ import annotations

__all__ = ["FORMATS", "foreign", "sniff"]

FORMATS = ("png", "jpeg", "webp")
"""The formats that are read and written; everything else is refused, whatever it is called."""

_FOREIGN = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"8BPS": "PSD",
    b"%PDF": "PDF",
    b"\0\0\0\x0cjP": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
    b"<svg": "SVG",
}


def sniff(head: bytes) -> str | None:
    """Return the format, one of ``FORMATS``, of a file that begins with ``head`` (16 bytes tell), or None."""
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if head[:3] == b"\xff\xd8\xff":
        return "jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    return None


def foreign(head: bytes) -> str:
    """Return the name of a format that is known but not read; empty for all others."""
    if head[4:8] == b"ftyp":
        return "AVIF" if head[8:11] == b"avi" else "HEIC or film"
    return next((name for magic, name in _FOREIGN.items() if head.startswith(magic)), "")
