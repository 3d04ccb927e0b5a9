"""Settings of one key, as on the command line: ``path=value``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping

from ..errors import ConfigError, nearest
from .toml_file import KeyPath

__all__ = ["apply_settings", "parse_setting"]


def parse_setting(setting: str) -> tuple[KeyPath, object]:
    """Split ``path=value``: the path is a dotted TOML key, the value TOML, or plain text where it is none.

    ``parse_setting("stages.base.steps=30")`` gives ``(("stages", "base", "steps"), 30)``.

    Raises:
        ConfigError: there is no ``=``, or the path is no dotted key.
    """
    path, equals, text = setting.partition("=")
    try:
        keys = tomllib.loads(f"{path} = 0")
    except (tomllib.TOMLDecodeError, RecursionError):
        keys = {}
    if not equals or not keys or path.count(".") > 30 or "\n" in path:
        raise ConfigError(f"--set {setting!r}: expected path=value, such as stages.base.steps=30")
    parts: list[str] = []
    level: object = keys
    while isinstance(level, dict):
        ((key, level),) = level.items()
        parts.append(key)
    try:
        value = tomllib.loads(f"value = {text}")
        parsed: object = value["value"] if len(value) == 1 else text
    except (tomllib.TOMLDecodeError, RecursionError):
        parsed = text.strip()
    return tuple(parts), parsed


def apply_settings(table: Mapping[str, object], settings: Iterable[str]) -> dict[str, object]:
    """Return a table with settings applied; what is not named stays as it is.

    In an array a path names an element by its index or, where it is a table, by its ``name``; a stage without one is
    called ``base``. A table takes new keys; whether they mean anything is the schema's business.

    Raises:
        ConfigError: a setting is no ``path=value``, or its path leads through something that is no table or array.
    """
    result: object = dict(table)
    for setting in settings:
        path, value = parse_setting(setting)
        result = _with(result, path, value, setting)
    assert isinstance(result, dict)
    return result


def _with(node: object, path: KeyPath, value: object, setting: str, *, at: str = "") -> object:
    if not path:
        return value
    key, rest = str(path[0]), path[1:]
    if isinstance(node, Mapping):
        return {**node, key: _with(node.get(key, {}), rest, value, setting, at=key)}
    if isinstance(node, list):
        index = _index(node, key, setting, at=at)
        return [_with(item, rest, value, setting) if i == index else item for i, item in enumerate(node)]
    raise ConfigError(f"--set {setting!r}: {key!r} lies in {node!r}, which is no table; see noiseform registry show")


def _index(items: list[object], key: str, setting: str, *, at: str) -> int:
    """Return the number of the element that a key of a path means.

    Args:
        items: the array.
        key: a number, or a name.
        setting: for messages.
        at: key of the array.
    """
    plain = "base" if at == "stages" else None
    named = [item.get("name", plain) if isinstance(item, Mapping) else None for item in items]
    names = {str(name): index for index, name in enumerate(named) if name is not None}
    index = int(key) if key.isascii() and key.isdigit() else names.get(key, -1)
    if 0 <= index < len(items):
        return index
    if names:
        hint = nearest(key, names)
    elif items:
        kinds = [f" ({item['use']})" if isinstance(item, Mapping) and "use" in item else "" for item in items]
        hint = "name one by its number: " + ", ".join(f"{index}{kind}" for index, kind in enumerate(kinds))
    else:
        hint = "there is none; set all of them, as a list"
    raise ConfigError(f"--set {setting!r}: {at or 'the list'} has no element {key!r}; {hint}")
