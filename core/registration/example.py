"""A part as a recipe names it, ready to be pasted."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterable, Mapping

from .config import PartConfig, StageConfig
from .parameters import Parameter

__all__ = ["example_table", "inline"]


def example_table(name: str, parameters: Iterable[Parameter]) -> dict[str, object]:
    """Return a part's table with every parameter that a file may set: at its default, or at what its type allows.

    Args:
        name: the part's.
        parameters: of its factory.
    """
    table: dict[str, object] = {"use": name}
    for parameter in parameters:
        if parameter.host or (not parameter.required and parameter.default is None):
            continue
        table[parameter.name] = _needed(parameter) if parameter.required else parameter.default
    return table


def _needed(parameter: Parameter) -> object:
    """Return something for a parameter without a default."""
    if parameter.annotation is PartConfig:
        field = StageConfig.model_fields.get(parameter.name)
        default = field.default if field else None
        return {"use": default.use if isinstance(default, PartConfig) else "default"}
    return _fitting(parameter.schema, parameter.name)


def _fitting(schema: Mapping[str, typing.Any], name: str) -> object:
    """Return a value that a schema allows, a text being the parameter's own name."""
    if "anyOf" in schema:
        return _fitting(schema["anyOf"][0], name)
    if "const" in schema or "enum" in schema:
        return schema.get("const", next(iter(schema.get("enum", [None]))))
    kind = schema.get("type")
    if kind == "array":
        item = schema.get("items", {})
        return [_fitting(one, name) for one in schema.get("prefixItems", [item] * max(1, schema.get("minItems", 1)))]
    if kind in ("integer", "number"):
        return _number(schema, whole=kind == "integer")
    return {"boolean": False, "object": {}}.get(str(kind), name)


def _number(schema: Mapping[str, typing.Any], *, whole: bool) -> float:
    """Return a number within its bounds: 1 where that is one, else one at or between them."""
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    floor = low if low is not None else above if above is not None else -float("inf")
    roof = high if high is not None else below if below is not None else float("inf")
    one = 1 if whole else 1.0
    if floor <= one <= roof and one not in (above, below):
        return one
    if whole:
        return int(floor) + (above is not None) if floor > one else int(roof) - (below is not None)
    if floor > -float("inf") and roof < float("inf"):
        return float(floor + roof) / 2
    return float(floor) + 1 if floor > one else float(roof) - 1


def inline(value: object) -> str:
    """Return a value as TOML in one line; what TOML has no word for as text."""
    if isinstance(value, Mapping):
        pairs = [f"{_key(str(key))} = {inline(one)}" for key, one in value.items() if one is not None]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(inline, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else json.dumps(key, ensure_ascii=False)
