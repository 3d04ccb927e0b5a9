"""The blocks of a GIF file: how many frames, how long each, the comment, and is it all there.

FFmpeg decodes the pictures, but neither tells the comment nor misses an end, so the blocks are walked here.

Source: CompuServe, Graphics Interchange Format, version 89a.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

from ...core.errors import MediaError

__all__ = ["FASTEST", "Content", "insert_comment", "parse"]

FASTEST = 50
"""Most frames per second: browsers and FFmpeg show what claims more than that at 10 frames per second."""

BLOCK_LIMIT = 4_000_000
"""Most blocks of a file, each of at most 255 bytes."""

COMMENT_LIMIT = 2 * 2**20
"""Longest comment that is kept, in bytes."""


@dataclass(frozen=True)
class Content:
    """What the blocks say.

    Attributes:
        width: of the canvas.
        height: of the canvas.
        lasting: seconds that each frame stands, as browsers show them.
        comment: the first comment, or an empty one.
    """

    width: int
    height: int
    lasting: tuple[Fraction, ...]
    comment: str


def parse(file: BinaryIO, where: str) -> Content:
    """Walk the blocks of a GIF file, and leave it at its start. Raises MediaError where it is cut or damaged."""
    file.seek(0)
    head = _read(file, 13, where)
    _pass_table(file, head[10], where)
    lasting: list[Fraction] = []
    delay, comment = 0, b""
    for _ in range(BLOCK_LIMIT):
        mark = _read(file, 1, where)
        if mark == b";":
            file.seek(0)
            width, height = int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
            return Content(width, height, tuple(lasting), comment.decode("ascii", "replace"))
        if mark == b"!":
            label = _read(file, 1, where)
            data = _pieces(file, where)
            if label == b"\xf9" and len(data) >= 3:
                delay = int.from_bytes(data[1:3], "little")
            elif label == b"\xfe" and not comment:
                comment = data
        elif mark == b",":
            _pass_table(file, _read(file, 9, where)[8], where)
            _read(file, 1, where)
            _pieces(file, where)
            lasting.append(Fraction(delay if delay >= 2 else 10, 100))
            delay = 0
        else:
            break
    raise MediaError(f"{where}: damaged, its blocks are broken; fetch or make it again")


def insert_comment(file: BinaryIO, comment: str) -> None:
    """Put a comment before the end mark of a GIF file."""
    file.seek(-1, 2)
    data = comment.encode("ascii")
    pieces = (data[start : start + 255] for start in range(0, len(data), 255))
    file.write(b"!\xfe" + b"".join(bytes((len(piece),)) + piece for piece in pieces) + b"\0;")


def _read(file: BinaryIO, count: int, where: str) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise MediaError(f"{where}: cut short, its end is missing; fetch or make it again")
    return data


def _pass_table(file: BinaryIO, flags: int, where: str) -> None:
    """Pass over a table of colours, where the flags say that there is one."""
    if flags & 0x80:
        _read(file, 3 << (flags & 7) + 1, where)


def _pieces(file: BinaryIO, where: str) -> bytes:
    """Return the content of a chain of sub-blocks, as far as a comment may go."""
    content = bytearray()
    for _ in range(BLOCK_LIMIT):
        (length,) = _read(file, 1, where)
        if length == 0:
            return bytes(content)
        piece = _read(file, length, where)
        if len(content) < COMMENT_LIMIT:
            content += piece
    raise MediaError(f"{where}: more than {BLOCK_LIMIT} blocks; make it smaller")
