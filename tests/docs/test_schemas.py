"""The TOML files of the repository, checked as an editor checks them: against the schemas that noiseform prints."""

from __future__ import annotations

import tomllib

from jsonschema import Draft202012Validator
from noiseform.core.registration.registry import current
from noiseform.core.registration.registry_schema import registry_schema
from noiseform.core.training.recipe_schema import recipe_schema

from .conftest import ROOT

FILES = [
    ROOT / "registry.toml",
    *sorted(path for top in ("plugins", "docs") for path in (ROOT / top).rglob("*.toml") if path.stem != "pyproject"),
]


def test_every_file_of_the_repository_is_right(install_example):
    for name in ("outsider", "points"):
        install_example(name)
    registry, recipe = (Draft202012Validator(schema(current())) for schema in (registry_schema, recipe_schema))
    kinds = set()
    for file in FILES:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        validator = registry if "schema" in table else recipe
        assert [(error.json_path, error.message) for error in validator.iter_errors(table)] == [], file
        kinds |= {name for name in ("schema", "stages", "loss", "training") if name in table}
    assert kinds == {"schema", "stages", "loss", "training"}
