"""Tables that say something of files: comma-separated values, or an object of JSON in each line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import TypeVar

from ..errors import ConfigError
from ..naming import printable
from .source import Entry

__all__ = ["TABLE_LIMIT", "Rows", "looked_up", "read_csv", "read_jsonl"]

TABLE_LIMIT = 64 * 2**20
"""Largest table, in bytes."""

Rows = list[tuple[int, Mapping[str, object]]]
"""The rows of a table: number of the line, and values by name."""

Value = TypeVar("Value")


def read_csv(entry: Entry) -> tuple[tuple[str, ...], Rows]:
    """Return columns and rows of a table: CSV in UTF-8 with a heading line, among whose columns is ``file``.

    Raises:
        ConfigError: it is too large, no UTF-8, no CSV, or has no column ``file``.
    """
    where = f"wrong data: {printable(entry.name)}"
    try:
        reader = csv.DictReader(io.StringIO(_text(entry, where), newline=""), strict=True)
        columns = tuple(reader.fieldnames or ())
        rows: Rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{where}: no table of comma-separated values in UTF-8 ({error}); correct it") from error
    if "file" not in columns:
        raise ConfigError(f"{where}: has no column 'file'; its first line must name the columns, such as file,label")
    return columns, rows


def read_jsonl(entry: Entry) -> Rows:
    """Return the rows of a table that has an object of JSON in each line; empty lines are passed over.

    Raises:
        ConfigError: it is too large, no UTF-8, or a line is no object.
    """
    where = f"wrong data: {printable(entry.name)}"
    rows: Rows = []
    try:
        for number, line in enumerate(_text(entry, where).split("\n"), start=1):
            if line.strip():
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ConfigError(f'{where}: line {number} is no object such as {{"file": …}}; correct it')
                rows.append((number, row))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: no UTF-8 ({error}); correct it") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: line {number} is no JSON ({error}); correct it") from error
    return rows


def looked_up(known: Mapping[str, Value], name: str) -> Value | None:
    """Return what a table says of a file, by its whole path inside the data or by its last part."""
    return known.get(name, known.get(name.rsplit("/", 1)[-1]))


def _text(entry: Entry, where: str) -> str:
    if entry.size > TABLE_LIMIT:
        raise ConfigError(f"{where}: {entry.size} bytes, more than {TABLE_LIMIT}; shorten the table")
    with entry.open() as file:
        return file.read(TABLE_LIMIT + 1).decode("utf-8-sig")
