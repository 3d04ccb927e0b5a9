"""Where an exception comes from: the line of the author's code, and not that of the kit or of a library."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

from ..registration.import_cost import HEAVY

__all__ = ["causes", "place_of"]

CORE = Path(__file__).parents[1]

LIBRARIES = {*HEAVY, *sys.stdlib_module_names, "annotated_types", "click", "einops", "hypothesis", "pluggy"}
"""Whose lines say less than those of the part that called them."""


def causes(error: BaseException) -> list[BaseException]:
    """Return an exception and what it was raised from, the first cause first."""
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found:
        found.insert(0, one)
        one = one.__cause__
    return found


def place_of(error: BaseException) -> str:
    """Return ``file:line`` of the innermost line of an author in an exception or its causes; empty where it has none.

    A file ``__init__.py`` is told with its folder.
    """
    for one in causes(error):
        if isinstance(one, SyntaxError) and one.filename:
            return _told(one.filename, one.lineno or 1)
        for frame, line in reversed(list(_frames(one.__traceback__))):
            library = str(frame.f_globals.get("__name__", "")).partition(".")[0] in LIBRARIES
            file = Path(frame.f_code.co_filename)
            if not library and file.is_file() and not file.is_relative_to(CORE):
                return _told(str(file), line)
    return ""


def _frames(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _told(file: str, line: int) -> str:
    parts = Path(file).parts
    return f"{'/'.join(parts[-2:] if parts[-1] == '__init__.py' else parts[-1:])}:{line}"
