"""Names of files and texts from outside, made safe to print in one line."""

from __future__ import annotations

import os

__all__ = ["printable"]


def printable(name: str | bytes | os.PathLike[str], limit: int = 200) -> str:
    """Return ``name`` with everything that could disturb a line of output escaped.

    Control characters (newline, ANSI escapes), bytes that are no UTF-8 and invisible or direction-changing characters
    become backslash escapes; what is longer than ``limit`` characters keeps its two ends.

    ``printable("a\\nb")`` gives ``'a\\\\nb'``.
    """
    text = os.fsdecode(name)
    if len(text) > limit:
        text = text[: limit // 2] + "…" + text[-limit // 2 :]
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
