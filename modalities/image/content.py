"""What a file of a picture holds, taken apart before any decoder sees it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Content"]


@dataclass(frozen=True)
class Content:
    """The parts of a file.

    Attributes:
        width: of the picture, as its header says.
        height: of the picture, as its header says.
        picture: what the decoder is given: the file without what is no matter of pixels.
        comment: the text in which noiseform keeps its record, or an empty one.
        profile: the ICC profile, or nothing.
        exif: the EXIF block, or nothing.
        depth: bits of a value.
    """

    width: int
    height: int
    picture: bytes
    comment: str = ""
    profile: bytes = b""
    exif: bytes = b""
    depth: int = 8
