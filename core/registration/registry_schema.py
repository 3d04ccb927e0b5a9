"""``registry.toml`` as JSON Schema, with the parts that are installed, so that an editor checks the file."""

from __future__ import annotations

from .config import PipelineConfig
from .json_schema import DIALECT, Schema, reference, table_of_model
from .kinds import KINDS, NAME
from .part_definitions import define_parts, media_rules, usable_names
from .registry import Registry
from .registry_layer import SCHEMA, section

__all__ = ["modalities", "registry_schema"]

_NAMED = f"^{NAME.pattern}$"
_TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}


def registry_schema(registry: Registry) -> Schema:
    """Return the schema of a registry file that lies above the other layers of a registry.

    Args:
        registry: with the file itself as its highest layer, if it is there already; without it, with what the file is
            to lie above.
    """
    definitions: Schema = {}
    define_parts(registry, definitions, lambda kind, factory: kind == "guidance" and hasattr(factory, "guide"))
    pipeline = table_of_model(PipelineConfig, prefix="pipeline", definitions=definitions)
    pipeline["properties"]["modality"]["enum"] = modalities(registry)
    stage = definitions["pipeline.StageConfig"]
    # What a stage with weights of its own does not say is as it was trained.
    stage |= {"if": {"not": {"required": ["weights"]}}, "then": {"required": stage.pop("required")}}
    del pipeline["required"]
    pipeline["allOf"] = media_rules(registry, definitions, whole=False)
    definitions["pipeline"] = pipeline
    definitions["new-pipeline"] = {
        "allOf": [
            reference("pipeline"),
            {"if": {"required": ["stages"]}, "then": {"required": ["modality"]}, "else": {"required": ["weights"]}},
        ]
    }
    return {
        "$schema": DIALECT,
        "title": "registry.toml",
        "description": "what noiseform consists of: plugins, defaults, pipelines",
        "type": "object",
        "properties": {
            "schema": {"const": SCHEMA, "description": "the version of this form"},
            "plugins": _plugins(),
            "defaults": _defaults(registry),
            "pipelines": {
                "description": "pipelines by their names; of one that a lower layer has, single keys are changed",
                "type": "object",
                "propertyNames": {"pattern": _NAMED},
                "properties": {name: reference("pipeline") for name in _below(registry)},
                "additionalProperties": reference("new-pipeline"),
            },
        },
        "additionalProperties": False,
        "$defs": definitions,
    }


def modalities(registry: Registry) -> list[str]:
    """Return the modalities that a pipeline may name, which it does by their short names."""
    return [name for name in usable_names(registry, "modality") if "/" not in name]


def _below(registry: Registry) -> list[str]:
    """Return the pipelines of the layers below the highest file, of which that may say a part."""
    layers = registry.layers[:-1] if registry.layers[-1].name in {"user", "file"} else registry.layers
    return sorted({name for layer in layers for name in section(layer.table, "pipelines")})


def _plugins() -> Schema:
    """Return the table of plugins: modules by their names, and what is settled about them."""
    return {
        "description": 'plugins that are not packaged: name = "module"',
        **_TEXTS,
        "properties": {
            "disable": {
                "description": "plugins or distributions of which nothing is imported",
                "type": "array",
                "items": {"type": "string"},
            },
            "prefer": {
                "description": 'whose part a short name means: "sampler:ddim" = "some-distribution"',
                **_TEXTS,
                "propertyNames": {"pattern": f"^({'|'.join(KINDS)}):{NAME.pattern}$"},
            },
        },
    }


def _defaults(registry: Registry) -> Schema:
    """Return the table of defaults: of kinds, the parts that are there; of modalities, pipelines."""
    kinds = [kind for kind in KINDS if kind not in ("pipeline", "command")]
    names = {kind: [name for name in usable_names(registry, kind) if name != "default"] for kind in kinds}
    return {
        "description": "what `default` stands for in a kind of parts, and the pipelines where none is named",
        **_TEXTS,
        "properties": {kind: {"enum": each} for kind, each in names.items() if each},
    }
