"""Recipes and the ``pipeline.toml`` of models as JSON Schema, with the parts that are installed."""

from __future__ import annotations

from pydantic import BaseModel

from ..pipeline.classifier import CLASSIFIER
from ..registration.json_schema import DIALECT, Schema, reference, table_of_model
from ..registration.part_definitions import define_parts, loss_rules, media_rules
from ..registration.registry import Registry
from ..registration.registry_schema import modalities
from .recipe import ClassifierRecipe, CodecRecipe, Recipe

__all__ = ["recipe_schema"]

_MODELS: dict[str, type[BaseModel]] = {
    "recipe": Recipe,
    "codec-recipe": CodecRecipe,
    "classifier-recipe": ClassifierRecipe,
}


def recipe_schema(registry: Registry) -> Schema:
    """Return the schema of recipes of every kind; what a model folder says of its pipeline is one, too.

    Args:
        registry: whose parts may be named.
    """
    definitions: Schema = {}
    define_parts(registry, definitions, lambda kind, factory: kind == "codec")
    media = media_rules(registry, definitions, whole=True)
    for name, model in _MODELS.items():
        table = table_of_model(model, prefix=name, definitions=definitions)
        table["properties"]["modality"]["enum"] = modalities(registry)
        table["allOf"] = list(media)
        definitions[name] = table
    untrained = {"properties": {"codec": {"properties": {"weights": False}}}}
    definitions["codec-recipe"]["allOf"] += [untrained, *loss_rules(registry, definitions)]
    return {
        "$schema": DIALECT,
        "title": "a recipe, or a model's pipeline.toml",
        "description": "a pipeline, a codec or a classifier, its data and how it is trained",
        "type": "object",
        "if": {"required": [CLASSIFIER]},
        "then": reference("classifier-recipe"),
        "else": {
            "if": {"required": ["codec"]},
            "then": reference("codec-recipe"),
            "else": reference("recipe"),
        },
        "anyOf": [*map(reference, _MODELS), True],  # what editors offer; it refuses nothing
        "$defs": definitions,
    }
