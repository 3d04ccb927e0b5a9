"""What the docstring of a part or of a table says: what it is, what its parameters mean, where it comes from."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Documentation", "documentation", "markdown", "plain"]

_SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Source|Example)s?::?\s*(.*)$")
_ENTRY = re.compile(r" {4}(\w+): (.*)$")
_ROLE = re.compile(r":\w+:`~?([^`]+)`")


@dataclass(frozen=True)
class Documentation:
    """A docstring, taken apart.

    Attributes:
        text: what stands before its sections, in its own lines.
        meanings: what each parameter or attribute means, each in one line.
        source: author, year and place of what it does; in one line.
    """

    text: str
    meanings: Mapping[str, str]
    source: str

    @property
    def summary(self) -> str:
        """Its first paragraph, in one line."""
        return " ".join(self.text.partition("\n\n")[0].split())


def documentation(of: object) -> Documentation:
    """Return what the docstring of a factory, a class or a table's model says; empty where it has none.

    Parameters are told of under ``Args:`` or ``Attributes:``, a line ``name: meaning`` for each, and the source under
    ``Source:``.
    """
    document = inspect.getdoc(of.func if isinstance(of, functools.partial) else of) or ""
    head: list[str] = []
    sections: dict[str, list[str]] = {}
    current = head
    for line in document.splitlines():
        named = _SECTION.match(line)
        if named:
            current = sections.setdefault(named[1], [])
        current.append(named[2] if named else line)
    meanings: dict[str, str] = {}
    name = ""
    for line in (*sections.get("Attributes", ()), *sections.get("Args", ())):
        started = _ENTRY.match(line)
        if started:
            name, meanings[started[1]] = started[1], started[2]
        elif name and line.strip():
            meanings[name] += " " + line.strip()
    source = " ".join(" ".join(sections.get("Source", ())).split())
    return Documentation("\n".join(head).strip(), meanings, source)


def markdown(text: str) -> str:
    """Return text of a docstring as Markdown."""
    return _ROLE.sub(r"`\1`", text).replace("``", "`").replace("\\*", "*")


def plain(text: str) -> str:
    """Return text of a docstring for a terminal, where code has no marks."""
    return _ROLE.sub(r"\1", text).replace("`", "").replace("\\*", "*")
