"""The parts that are installed, as definitions of a JSON Schema: for each kind, what its tables may say."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from pydantic import BaseModel

from ..errors import NoiseformError, PluginError
from .build import factory_of, parameters_of
from .documentation import documentation, plain
from .json_schema import TABLED, Schema, chosen, part_table, reference, table_of_model, where, without_null
from .kinds import KINDS
from .parameters import describe
from .plugin_loading import Part
from .registry import Registry

__all__ = ["define_parts", "loss_rules", "media_rules", "names_of", "usable_names"]

_WEIGHTS = {"type": "string", "maxLength": 1000, "description": "the model folder that its weights come from"}


def names_of(registry: Registry, kind: str) -> dict[str, tuple[Part, list[str]]]:
    """Return the parts of a kind, each with what may stand under ``use`` for it, by the names of their definitions.

    A short name that several plugins claim is none of them; ``default`` is what it stands for now.
    """
    found: dict[str, tuple[Part, list[str]]] = {}
    parts = registry.plugins.parts(kind)
    names = dict.fromkeys(name for part in parts for name in (part.name, part.full_name))
    for name in (*names, *(["default"] if kind in registry.defaults else ())):
        try:
            part = registry.plugins.find(kind, name)
        except NoiseformError:  # several claim it, or the default names nothing
            continue
        key = f"{kind}.{part.plugin.distribution}.{part.name}"
        found.setdefault(key, (part, []))[1].append(name)
    return found


def usable_names(registry: Registry, kind: str) -> list[str]:
    """Return all that may stand under ``use`` in tables of a kind."""
    return [name for _, names in names_of(registry, kind).values() for name in names]


def define_parts(registry: Registry, definitions: Schema, weighted: Callable[[str, object], bool]) -> None:
    """Add the parts of every kind that stands in files as a table, and for each kind the choice among them.

    Args:
        registry: whose parts.
        definitions: of the document.
        weighted: tells of a kind and a factory whether a table may name ``weights``.
    """
    for kind in TABLED:
        parts = names_of(registry, kind)
        for key, (part, names) in parts.items():
            definitions[key] = _table(key, part, names, definitions, weighted)
        definitions[kind] = chosen({key: names for key, (_, names) in parts.items()}, KINDS[kind].summary)


def _table(
    key: str, part: Part, names: list[str], definitions: Schema, weighted: Callable[[str, object], bool]
) -> Schema:
    try:
        factory = factory_of(part)
        table = part_table(parameters_of(part), names, prefix=key, definitions=definitions, kinds=True)
    except PluginError as error:  # one broken part is no reason to check nothing
        warnings.warn(f"{error}; no parameter of it is checked", UserWarning, stacklevel=2)
        told = f"its parameters cannot be told: {error}"
        return {"description": told, "type": "object", "properties": {"use": {"enum": names}}, "required": ["use"]}
    if weighted(part.kind, factory):
        table["properties"]["weights"] = _WEIGHTS
        asked = [name for name in table["required"] if name != "use"]
        if asked:  # what a table with weights leaves out is as it was trained
            table["required"] = ["use"]
            table |= {"if": {"not": {"required": ["weights"]}}, "then": {"required": asked}}
    return without_null({"description": plain(documentation(factory).summary), **table})


def media_rules(registry: Registry, definitions: Schema, *, whole: bool) -> list[Schema]:
    """Return for each modality that tells its ``[media]`` table what may stand there, in a pipeline and its stages.

    Args:
        registry: whose modalities.
        definitions: of the document; the tables are added.
        whole: whether a table has to say all that it must, so long as no stage has one of its own.
    """
    rules: list[Schema] = []
    for key, (part, names) in names_of(registry, "modality").items():
        try:
            model = getattr(factory_of(part), "media_table", None)
        except PluginError:
            continue
        if not isinstance(model, type) or not issubclass(model, BaseModel):
            continue
        table = table_of_model(model, prefix=key, definitions=definitions)
        musts = {name: table.pop(name) for name in ("required", "oneOf") if name in table}
        definitions[key] = table
        media = {"properties": {"media": reference(key)}}
        rule: Schema = {"properties": {**media["properties"], "stages": {"items": media}}}
        if whole and musts:
            plain_stages = {"properties": {"stages": {"items": {"not": {"required": ["media"]}}}}}
            rule |= {"if": plain_stages, "then": {"required": ["media"], "properties": {"media": musts}}}
        rules.append(where("modality", names, rule))
    return rules


def loss_rules(registry: Registry, definitions: Schema) -> list[Schema]:
    """Return for each codec that learns by a loss what its ``[loss]`` table may say.

    Args:
        registry: whose codecs.
        definitions: of the document; the tables are added.
    """
    rules: list[Schema] = []
    for key, (part, names) in names_of(registry, "codec").items():
        try:
            loss = getattr(factory_of(part), "loss", None)
            parameters = describe(loss) if callable(loss) else None
        except PluginError:
            continue
        if parameters is None:
            continue
        definitions[f"{key}.loss"] = without_null(
            part_table(parameters, [], prefix=f"{key}.loss", definitions=definitions)
        )
        of_codec = {"properties": {"codec": {"properties": {"use": {"enum": names}}, "required": ["use"]}}}
        rules.append(
            {
                "if": {**of_codec, "required": ["codec"]},
                "then": {"properties": {"loss": reference(f"{key}.loss")}},
            }
        )
    return rules
