"""Captions of files: from a table, from lines of JSON, or from a text beside each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..errors import ConfigError, MediaError, nearest
from ..naming import printable
from .source import Entry
from .tables import Rows, looked_up, read_csv, read_jsonl

__all__ = ["Captioner", "by_lines", "by_table", "by_texts", "text_name"]

Captioner = Callable[[str], str]
"""From a file's name to its caption; raises MediaError, whose text is the reason, where it has none."""

CAPTION_LIMIT = 10_000
"""Longest caption, in characters."""

_FILE = ("file", "file_name")
_CAPTION = ("text", "caption")


def by_table(entry: Entry, field: str | None) -> Captioner:
    """Return what looks captions up in a CSV table with the columns ``file`` and ``field`` (``caption``).

    Raises:
        ConfigError: it is no such table, names a file twice, or has an empty value.
    """
    field = field or "caption"
    columns, rows = read_csv(entry)
    if field not in columns:
        hint = nearest(field, columns)
        raise ConfigError(f"wrong data: {printable(entry.name)}: has no column {field!r}; {hint}; set caption_field")
    return _from_rows(entry, rows, ("file",), (field,))


def by_lines(entry: Entry, field: str | None) -> Captioner:
    """Return what looks captions up in lines of JSON: ``{"file": "a.png", "text": "a red heart"}``.

    The file may stand under ``file_name`` too, the caption under ``caption`` or the name ``field``.

    Raises:
        ConfigError: a line is none of these, or names a file a second time.
    """
    return _from_rows(entry, read_jsonl(entry), _FILE, (field,) if field else _CAPTION)


def text_name(name: str) -> str:
    """Return the name of the text beside a file: its own with the ending ``.txt``."""
    folder, slash, last = name.rpartition("/")
    stem = last[: last.rfind(".")] if last.rfind(".") > 0 else last
    return f"{folder}{slash}{stem}.txt"


def by_texts(entries: Mapping[str, Entry]) -> Captioner:
    """Return what reads the caption of each file out of the text beside it; ``entries`` are the texts by name."""

    def caption(name: str) -> str:
        entry = entries.get(text_name(name))
        if entry is None:
            raise MediaError(f"there is no {printable(text_name(name))} with its caption")
        with entry.open() as file:
            data = file.read(4 * CAPTION_LIMIT + 1)
        try:
            return _checked(data.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise MediaError(f"{printable(entry.name)} is no UTF-8") from error
        except ValueError as error:
            raise MediaError(f"{printable(entry.name)}: {error}") from error

    return caption


def _from_rows(entry: Entry, rows: Rows, names: tuple[str, ...], fields: tuple[str, ...]) -> Captioner:
    """Return what looks a caption up; each row has one of ``names`` and one of ``fields``."""
    where = f"wrong data: {printable(entry.name)}"
    known: dict[str, str] = {}
    for line, row in rows:
        name, text = _one(row, names), _one(row, fields)
        if name is None or text is None:
            missing = names if name is None else fields
            raise ConfigError(f"{where}: line {line} has no text under {' or '.join(missing)}; fill it in")
        name = name.removeprefix("./")
        if name in known:
            raise ConfigError(f"{where}: line {line} names {printable(name)} a second time; keep one caption for each")
        try:
            known[name] = _checked(text)
        except ValueError as error:
            raise ConfigError(f"{where}: line {line}: {error}; correct it") from error

    def caption(name: str) -> str:
        found = looked_up(known, name)
        if found is None:
            raise MediaError(f"{printable(entry.name)} has no caption of it")
        return found

    return caption


def _one(row: Mapping[str, object], keys: tuple[str, ...]) -> str | None:
    """Return the first of several values that is there and a text."""
    return next((value for key in keys if isinstance(value := row.get(key), str) and value), None)


def _checked(text: str) -> str:
    """Return a caption in one line. Raises ValueError where there is none, or it is too long."""
    caption = " ".join(text.split())
    if not caption:
        raise ValueError("the caption is empty")
    if len(caption) > CAPTION_LIMIT:
        raise ValueError(f"a caption of more than {CAPTION_LIMIT} characters")
    return caption
