"""One TOML file from outside: bounded, parsed, and able to say on which line each key stands."""

from __future__ import annotations

import functools
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError
from ..naming import printable

__all__ = ["KeyPath", "TomlFile", "parse_toml", "read_toml"]

KeyPath = tuple[str | int, ...]
"""The way to a value: keys of tables and indices of arrays."""

MAX_BYTES = 1_000_000
MAX_LINE = 8192
MAX_DEPTH = 32

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}\n]|[^"\'#\[\]{}\n]+', re.S
)
_STRING = re.compile(r'"(?:\\.|[^"\\])*"|\'[^\']*\'')
_BETWEEN = re.compile(r"[=,#\[\]{}]")


@dataclass(frozen=True)
class TomlFile:
    """A TOML file: its name, its text and what it says."""

    path: Path
    text: str
    table: Mapping[str, object]

    @functools.cached_property
    def _lines(self) -> dict[KeyPath, int]:
        lines: dict[KeyPath, int] = {}
        for path, line in _located(self.text):
            lines.setdefault(path, line)
        return lines

    def line(self, path: KeyPath) -> int:
        """Return the line (from 1) of the statement that sets a key, or of what it stands in; 0 where there is none."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 0)

    def where(self, path: KeyPath) -> str:
        """Return ``file:line`` of a key, for messages."""
        line = self.line(path)
        return f"{printable(self.path)}:{line}" if line else printable(self.path)


def read_toml(path: Path) -> TomlFile:
    """Read a TOML file of at most 1 MB.

    Raises:
        ConfigError: it is no regular file, too big, not UTF-8, not TOML (with line and column), or nested too deep.
        FileNotFoundError: there is none.
    """
    shown = printable(path)
    try:
        # Without waiting: a pipe would block for ever.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ConfigError(f"configuration: {shown}: this is no regular file; name a TOML file")
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        why = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
        raise ConfigError(f"configuration: {shown}: {why}; name a TOML file that can be read") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"configuration: {shown}: larger than {MAX_BYTES} bytes; a registry or recipe is far smaller")
    try:
        text = data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"configuration: {shown}:{line}: not UTF-8 (byte {error.start}); save it as UTF-8") from error
    return TomlFile(path, text, parse_toml(text, shown))


def parse_toml(text: str, source: str) -> dict[str, object]:
    """Parse TOML text.

    Raises:
        ConfigError: it is not TOML (with line and column), has a line too long, or is nested too deep.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > MAX_LINE:
            raise ConfigError(f"configuration: {source}:{number}: line longer than {MAX_LINE} characters; break it up")
        # tomllib takes time quadratic in the number of parts of a dotted key.
        if len(line) > 256 and any(part.count(".") > MAX_DEPTH for part in _BETWEEN.split(_STRING.sub("", line))):
            raise ConfigError(f"configuration: {source}:{number}: nested too deep; at most {MAX_DEPTH} levels")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"configuration: {source}: not valid TOML: {error}; correct it") from error
    except RecursionError as error:
        raise ConfigError(f"configuration: {source}: nested too deep; at most {MAX_DEPTH} levels") from error
    level: list[object] = [table]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
        ]
    if level:
        raise ConfigError(f"configuration: {source}: nested too deep; at most {MAX_DEPTH} levels")
    return table


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Split valid TOML into statements, each with its first line: newlines in strings and brackets end none."""
    line, first, depth, piece = 1, 1, 0, ""
    for match in _TOKEN.finditer(text + "\n"):
        token = match.group()
        if token == "\n" and depth == 0:
            if piece.strip():
                yield first, piece
            piece, first = "", line + 1
        elif not token.startswith("#"):
            depth += (token in "[{") - (token in "]}")
            piece += token
        line += token.count("\n")


def _located(text: str) -> Iterator[tuple[KeyPath, int]]:
    """Give for every key of valid TOML the line of its statement."""
    counts: dict[KeyPath, int] = {}
    header: KeyPath = ()
    for line, statement in _statements(text):
        parsed = tomllib.loads(statement)
        if not statement.lstrip().startswith("["):
            for path in _paths(parsed, header):
                yield path, line
            continue
        header = ()
        value: object = parsed
        while isinstance(value, dict) and value:
            ((key, value),) = value.items()
            header = (*header, key)
            if isinstance(value, list):
                counts[header] = counts.get(header, -1) + 1
                value = value[0]
            yield header, line
            if header in counts:
                header = (*header, counts[header])
                yield header, line


def _paths(value: object, path: KeyPath) -> Iterator[KeyPath]:
    if path:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _paths(child, (*path, key))
