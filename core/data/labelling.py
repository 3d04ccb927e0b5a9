"""Labels of files: from the folder, from a pattern of the name, or from a table."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..errors import ConfigError, nearest
from ..naming import printable
from .source import Entry
from .tables import looked_up, read_csv

__all__ = ["Labeller", "by_folder", "by_pattern", "by_table", "parse_pattern", "unlabelled"]

Labeller = Callable[[str], tuple[str, ...] | str]
"""From a file's name to its labels, one for each field, or to a text: the reason why it has none."""


def unlabelled(name: str) -> tuple[str, ...]:
    """Return no labels at all."""
    return ()


def by_folder(name: str) -> tuple[str, ...] | str:
    """Return the name of the folder that the file lies in."""
    parts = name.split("/")
    return (
        (parts[-2],) if len(parts) > 1 else 'lies in no folder that could be its label; without labels: labels = "none"'
    )


def parse_pattern(pattern: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """Return the regular expression of a pattern such as ``{digit}_{speaker}_{take}``, and its fields.

    A field runs up to the first place where the text after it stands, so matching takes linear time.

    Raises:
        ValueError: no field, two with one name, two with nothing between them, or a name that is none.
    """
    pieces = re.split(r"\{([^{}]*)\}", pattern)
    fields = tuple(pieces[1::2])
    if not fields or "{" in "".join(pieces[::2]) or "}" in "".join(pieces[::2]):
        raise ValueError(f"the pattern {pattern!r} needs fields in braces, such as '{{digit}}_{{speaker}}'")
    if len(set(fields)) < len(fields) or not all(field.isidentifier() and field.isascii() for field in fields):
        raise ValueError(f"the fields of the pattern {pattern!r} need names of letters, each used once")
    if not all(pieces[2:-1:2]):
        raise ValueError(f"the pattern {pattern!r} needs some text between one field and the next")
    expression = re.escape(pieces[0])
    for field, after in zip(fields, pieces[2::2], strict=True):
        stop = f"(?!{re.escape(after)})" if after else ""
        expression += f"(?P<{field}>(?:{stop}[^/])+){re.escape(after)}"
    return re.compile(expression, re.DOTALL), fields


def by_pattern(pattern: str, chosen: tuple[str, ...]) -> tuple[tuple[str, ...], Labeller]:
    """Return the fields that are labels, and what reads them off a file's name.

    Args:
        pattern: see :class:`~noiseform.core.data.dataset.DataConfig`.
        chosen: the fields wanted, in this order; empty means all.

    Raises:
        ConfigError: the pattern is none, or has no field of a chosen name.
    """
    try:
        expression, known = parse_pattern(pattern)
    except ValueError as error:
        raise ConfigError(f"wrong data: pattern: {error}; correct it") from error
    fields = _choose(chosen, known, "the pattern")
    depth = pattern.count("/") + 1

    def label(name: str) -> tuple[str, ...] | str:
        parts = name.split("/")
        stem = "/".join(parts[-depth:])
        stem = stem[: len(stem) - len(_ending(parts[-1]))]
        match = expression.fullmatch(stem)
        return tuple(match[field] for field in fields) if match else f"the name does not match {pattern}"

    return fields, label


def by_table(entry: Entry, chosen: tuple[str, ...]) -> tuple[tuple[str, ...], Labeller]:
    """Return the columns that are labels, and what looks a file's name up in the table.

    The table is CSV in UTF-8 with a heading line; its column ``file`` names the files by their whole path inside the
    data, or by their last part where that is unambiguous.

    Raises:
        ConfigError: the table is too large, no UTF-8, no CSV, or lacks a column.
    """
    columns, rows = read_csv(entry)
    where = f"wrong data: {printable(entry.name)}"
    fields = _choose(chosen, tuple(column for column in columns if column != "file"), "the table")
    known: dict[str, tuple[str, ...]] = {}
    for line, row in rows:
        values = [row.get(key) for key in ("file", *fields)]
        if not all(values):
            raise ConfigError(f"{where}: line {line} has an empty or missing value; fill it in")
        name, *labels = (str(value) for value in values)
        known[name.removeprefix("./")] = tuple(labels)

    def label(name: str) -> tuple[str, ...] | str:
        return looked_up(known, name) or "the table has no line for it"

    return fields, label


def _choose(chosen: tuple[str, ...], known: tuple[str, ...], owner: str) -> tuple[str, ...]:
    for field in chosen:
        if field not in known:
            raise ConfigError(f"wrong data: fields: {owner} has no {field!r}; {nearest(field, known)}")
    if not known:
        raise ConfigError(f"wrong data: {owner} has no field for a label; add one")
    return chosen or known


def _ending(name: str) -> str:
    dot = name.rfind(".")
    return name[dot:] if dot > 0 else ""
