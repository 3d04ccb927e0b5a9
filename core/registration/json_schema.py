"""JSON Schema of what stands in files: a part's table, and the tables of models, for editors and other programs.

What is written is understood by validators of draft 7 too, as the TOML servers of editors have them: nothing but a
description or a default stands beside a ``$ref``.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Mapping, Sequence

from pydantic import BaseModel

from .config import PartConfig
from .documentation import documentation, plain
from .parameters import Parameter

__all__ = [
    "DIALECT",
    "TABLED",
    "Schema",
    "chosen",
    "in_json",
    "part_table",
    "reference",
    "table_of_model",
    "where",
    "without_null",
]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, typing.Any]

TABLED = ("process", "objective", "grid", "sampler", "guidance", "network", "codec", "conditioner", "metric")
"""The kinds whose parts stand in files as tables; a document has a definition of each."""

_KIND_OF = {key: kind for kind in TABLED for key in (kind, f"{kind}s")}
"""The kind of the parts that a key holds: ``sampler``, and ``conditioners``, which is a list of them."""

_VALUES = {"const", "default", "enum", "examples"}
_NAMED = {"properties", "patternProperties", "$defs"}


def reference(name: str) -> Schema:
    """Return a reference to a definition of the document."""
    return {"$ref": f"#/$defs/{name}"}


def part_table(
    parameters: Iterable[Parameter], names: Sequence[str], *, prefix: str, definitions: Schema, kinds: bool = False
) -> Schema:
    """Return the schema of a part's table.

    Args:
        parameters: of its factory; those that the host gives are left out.
        names: what may stand under ``use``; with none it is a table without ``use``.
        prefix: what the names of its own definitions begin with in the document.
        definitions: of the document; its own are added.
        kinds: whether the document has a definition for the parts of each kind, by the kind's name.
    """
    table: Schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    if names:
        table["properties"]["use"] = {"const": names[0]} if len(names) == 1 else {"enum": list(names)}
        table["required"] = ["use"]
    for parameter in parameters:
        if parameter.host:
            continue
        property_ = _moved(parameter.schema, f"{prefix}.{parameter.name}", definitions)
        property_ = _with_parts(property_, _KIND_OF.get(parameter.name, "") if kinds else "")
        if not parameter.required:
            property_["default"] = in_json(parameter.default)
        if parameter.meaning:
            property_["description"] = plain(parameter.meaning)
        table["properties"][parameter.name] = property_
        table["required"] += [parameter.name] * parameter.required
    return table


def chosen(tables: Mapping[str, Sequence[str]], description: str) -> Schema:
    """Return the schema of a part's table whose ``use`` chooses among parts.

    An error is then told of the part that is meant. Editors offer what they find under ``anyOf``, so the tables stand
    there once more; its last entry is true, so that it refuses nothing.

    Args:
        tables: for each name of a definition, what may stand under ``use``.
        description: of the choice.
    """
    return {
        "description": description,
        "type": "object",
        "properties": {"use": {"enum": [name for names in tables.values() for name in names]}},
        "required": ["use"],
        "allOf": [where("use", names, reference(table)) for table, names in tables.items()],
        "anyOf": [*map(reference, tables), True],
    }


def where(key: str, values: Sequence[str], then: Schema) -> Schema:
    """Return a schema that holds where a key has one of some values."""
    return {"if": {"properties": {key: {"enum": list(values)}}, "required": [key]}, "then": then}


def table_of_model(model: type[BaseModel], *, prefix: str, definitions: Schema) -> Schema:
    """Return the schema of a model's table, the parts in it by their kinds, each key with what the docstring says.

    Args:
        model: the model.
        prefix: what the names of the models inside of it begin with in the document.
        definitions: of the document; those of the models inside are added.
    """
    schema = model.model_json_schema()
    models = _models(model)
    own: Mapping[str, Schema] = schema.get("$defs", {})
    tables = {model: schema, **{models[name]: table for name, table in own.items() if name in models}}
    for each, table in tables.items():
        told = documentation(each)
        table["description"] = plain(told.summary)
        for key, property_ in table.get("properties", {}).items():
            property_.pop("title", None)
            if key in told.meanings:
                property_["description"] = plain(told.meanings[key])
            table["properties"][key] = _with_parts(property_, _KIND_OF.get(key, ""))
    found = without_null(_moved(schema, prefix, definitions))
    for name in [name for name in own if name != PartConfig.__name__]:
        definitions[f"{prefix}.{name}"] = without_null(definitions[f"{prefix}.{name}"])
    definitions.pop(f"{prefix}.{PartConfig.__name__}", None)
    return found


def _models(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return the models inside of a model by their names."""
    found: dict[str, type[BaseModel]] = {}
    waiting: list[object] = [field.annotation for field in model.model_fields.values()]
    while waiting:
        note = waiting.pop()
        waiting += typing.get_args(note)
        if isinstance(note, type) and issubclass(note, BaseModel) and note.__name__ not in found:
            found[note.__name__] = note
            waiting += [field.annotation for field in note.model_fields.values()]
    return found


def _moved(schema: Mapping[str, typing.Any], prefix: str, definitions: Schema) -> Schema:
    """Return a schema whose own definitions are among those of the document, under ``prefix.NAME``."""
    own: Mapping[str, Schema] = schema.get("$defs", {})
    renamed = {f"#/$defs/{name}": f"#/$defs/{prefix}.{name}" for name in own}

    def move(node: Schema) -> Schema:
        node = {key: value for key, value in node.items() if key != "$defs"}
        return {**node, "$ref": renamed[node["$ref"]]} if node.get("$ref") in renamed else node

    definitions |= {f"{prefix}.{name}": _changed(table, move) for name, table in own.items()}
    return _changed(schema, move)


def _with_parts(schema: Schema, kind: str) -> Schema:
    """Return a schema in which a part is one of a kind, by reference; without a kind, one of any name."""
    anyone: Schema = {"type": "object", "properties": {"use": {"type": "string"}}, "required": ["use"]}

    def replace(node: Schema) -> Schema:
        part = str(node.get("$ref", "")).endswith(f"{PartConfig.__name__}") or node.get("title") == PartConfig.__name__
        kept: Schema = {key: node[key] for key in ("default", "description") if key in node and "$ref" in node}
        return {**(reference(kind) if kind else anyone), **kept} if part else node

    return _changed(schema, replace)


def without_null(schema: Schema) -> Schema:
    """Return a schema without the null that TOML has no word for."""

    def strip(node: Schema) -> Schema:
        node = {key: value for key, value in node.items() if (key, value) != ("default", None)}
        given = node.get("anyOf")
        if not isinstance(given, list) or {"type": "null"} not in given:
            return node
        left = [one for one in given if one != {"type": "null"}]
        rest = {key: value for key, value in node.items() if key != "anyOf"}
        return {**left[0], **rest} if len(left) == 1 else {**rest, "anyOf": left}

    return _changed(schema, strip)


def _changed(schema: Mapping[str, typing.Any], change: Callable[[Schema], Schema]) -> Schema:
    """Return a schema with a change made to it and to every schema inside of it, from the outermost inwards."""

    def inside(key: str, value: typing.Any) -> typing.Any:
        if key in _VALUES:
            return value
        if isinstance(value, dict):
            return {name: inside("", one) for name, one in value.items()} if key in _NAMED else _changed(value, change)
        return [inside("", one) for one in value] if isinstance(value, list) else value

    return {key: inside(key, value) for key, value in change(dict(schema)).items()}


def in_json(value: object) -> object:
    """Return a parameter's default as JSON has it."""
    if isinstance(value, Mapping):
        return {str(key): in_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [in_json(one) for one in value]
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
