"""The code blocks of a page, and running them: so that the docs, their figures and their tests are the same code."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

__all__ = ["blocks", "run"]

_BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """Return the blocks of one language on a Markdown page: the line that each starts at, and its text."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start(2)) + 1, match[2]) for match in _BLOCK.finditer(text) if match[1] == language
    ]


def run(page: Path) -> dict[str, object]:
    """Run the Python blocks of a page one after the other, as a reader would, and return the names that they leave.

    A traceback names the page and its line.
    """
    module = ModuleType(page.stem)
    sys.modules[page.stem] = module  # dataclasses of the page look themselves up
    try:
        for line, source in blocks(page, "python"):
            # The code is our own page's, which is read as a program here.
            exec(compile("\n" * (line - 1) + source, str(page), "exec"), vars(module))
    finally:
        del sys.modules[page.stem]
    return dict(vars(module))
