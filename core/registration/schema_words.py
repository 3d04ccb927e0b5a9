"""A JSON schema in words, for tables and messages."""

from __future__ import annotations

import typing
from collections.abc import Mapping

__all__ = ["in_words"]

_BOUNDS = {
    "minimum": ">=",
    "exclusiveMinimum": ">",
    "maximum": "<=",
    "exclusiveMaximum": "<",
    "multipleOf": "multiple of",
    "minLength": "length >=",
    "maxLength": "length <=",
    "pattern": "matching",
}
_SEVERAL = {"integer", "number", "string", "boolean", "table", "part"}


def in_words(schema: Mapping[str, typing.Any]) -> str:
    """Say a JSON schema in words: ``integer >= 1``, ``'linear' or 'cosine'``, ``1 to 4 integers, each >= 8``."""
    if "anyOf" in schema:
        return " or ".join(in_words(choice) for choice in schema["anyOf"])
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return " or ".join(map(repr, schema["enum"]))
    kind = {"object": "table", "null": "nothing"}.get(str(schema.get("type", "")), str(schema.get("type", "")))
    return _array(schema) if kind == "array" else f"{kind} {_bounds(schema)}".strip()


def _bounds(schema: Mapping[str, typing.Any]) -> str:
    """Say what a value is held to: ``from 1 to 8``, ``> 0, < 1``."""
    bounds = {key: value for key, value in schema.items() if key in _BOUNDS}
    between = ""
    if bounds.keys() >= {"minimum", "maximum"}:
        between = f"from {bounds.pop('minimum')} to {bounds.pop('maximum')}"
    return ", ".join(filter(None, [between, *(f"{_BOUNDS[key]} {bounds[key]}" for key in _BOUNDS if key in bounds)]))


def _array(schema: Mapping[str, typing.Any]) -> str:
    """Say what an array holds, and how many."""
    if "prefixItems" in schema:
        return "array of [" + ", ".join(map(in_words, schema["prefixItems"])) + "]"
    item, low, high = schema.get("items", {}), schema.get("minItems"), schema.get("maxItems")
    size = f"{low} to {high}" if low is not None and high is not None else f"{low} or more" if low is not None else ""
    size = size or (f"at most {high}" if high is not None else "an array of")
    each = in_words({"type": item["type"]}) if "type" in item and "enum" not in item else ""
    if each not in _SEVERAL:
        return f"{size} {in_words(item) or 'values'}"
    bounds = _bounds(item)
    return f"{size} {each}s" + (f", each {bounds}" if bounds else "")
