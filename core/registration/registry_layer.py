"""Layers of the registry: what each says, where it says it, whether it may, and how they merge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import ConfigError, nearest
from .kinds import KINDS, NAME, NAME_RULE
from .toml_file import KeyPath, TomlFile

__all__ = ["Layer", "Origin", "check_layer", "merged", "section", "value_at"]

SCHEMA = 1
SECTIONS = ("schema", "plugins", "defaults", "pipelines")


@dataclass(frozen=True)
class Origin:
    """Where a key of the merged registry was set.

    Attributes:
        layer: ``built-in``, ``plugins``, ``user`` or ``file``.
        file: the file that sets it, or the plugin's label.
        line: the line of its statement, from 1; 0 where there is none.
    """

    layer: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Layer:
    """One source of registry keys.

    Attributes:
        name: ``built-in``, ``plugins``, ``user`` or ``file``.
        table: what it says.
        source: the TOML file, or the label of the plugin that says it.
    """

    name: str
    table: Mapping[str, object]
    source: TomlFile | str

    def origin(self, path: KeyPath) -> Origin:
        """Return where the layer sets a key."""
        if isinstance(self.source, str):
            return Origin(self.name, self.source, 0)
        return Origin(self.name, str(self.source.path), self.source.line(path))


def section(table: Mapping[str, object], key: str) -> Mapping[str, object]:
    """Return a table inside a table; an empty one where there is none."""
    value = table.get(key, {})
    return value if isinstance(value, Mapping) else {}


def value_at(value: object, path: KeyPath) -> object:
    """Return what lies at a path, or None."""
    for key in path:
        in_table = isinstance(value, Mapping) and key in value
        in_array = isinstance(value, list) and isinstance(key, int) and key < len(value)
        if not in_table and not in_array:
            return None
        value = value[key]  # type: ignore[index]
    return value


def merged(tables: Iterable[Mapping[str, object]]) -> dict[str, object]:
    """Merge tables, low to high: tables key by key, while arrays and values replace."""
    result: dict[str, object] = {}
    for table in tables:
        for key, value in table.items():
            below = result.get(key)
            both = isinstance(below, Mapping) and isinstance(value, Mapping)
            result[key] = merged((below, value)) if both else value  # type: ignore[arg-type]
    return result


def check_layer(layer: Layer) -> None:
    """Check the shape of a layer down to the pipelines, which are checked when they are used.

    Raises:
        ConfigError: an unknown key, a wrong type or a newer schema.
    """
    _known(layer, (), layer.table, SECTIONS)
    schema = layer.table.get("schema", SCHEMA)
    if type(schema) is not int or schema != SCHEMA:
        raise _wrong(
            layer, ("schema",), f"{schema!r} is not known here", f"write schema = {SCHEMA}, or upgrade noiseform"
        )
    for name in SECTIONS[1:]:
        _typed(layer, (name,), "a table")
    for name in section(layer.table, "plugins"):
        _typed(
            layer, ("plugins", name), {"disable": "an array of texts", "prefer": "a table of texts"}.get(name, "a text")
        )
    for key in section(section(layer.table, "plugins"), "prefer"):
        path: KeyPath = ("plugins", "prefer", key)
        kind, _, name = key.partition(":")
        if not NAME.fullmatch(name):
            raise _wrong(layer, path, "it names no part", 'write "kind:name" = "distribution"')
        _known(layer, path, [kind], list(KINDS))
    for name in section(layer.table, "defaults"):
        _typed(layer, ("defaults", name), "a text")
    for name in section(layer.table, "pipelines"):
        if not NAME.fullmatch(name):
            raise _wrong(layer, ("pipelines", name), "it is no name for a pipeline", NAME_RULE)
        _typed(layer, ("pipelines", name), "a table")


def _typed(layer: Layer, path: KeyPath, expected: str) -> None:
    value = value_at(layer.table, path)
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    fits = {
        "a text": isinstance(value, str),
        "a table": isinstance(value, Mapping) or value is None,
        "a table of texts": isinstance(value, Mapping) and all(isinstance(each, str) for each in inner),
        "an array of texts": isinstance(value, list) and all(isinstance(each, str) for each in inner),
    }[expected]
    if not fits:
        raise _wrong(layer, path, f"expected {expected}, got {value!r:.80}", "correct it")


def _known(layer: Layer, path: KeyPath, given: Iterable[str], known: Sequence[str]) -> None:
    for key in given:
        if key not in known:
            raise _wrong(layer, (*path, key), "unknown key", nearest(key, known))


def _wrong(layer: Layer, path: KeyPath, why: str, cure: str) -> ConfigError:
    return ConfigError(f"registry: {layer.origin(path)}: {'.'.join(map(str, path))}: {why}; {cure}")
