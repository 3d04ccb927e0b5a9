"""``noiseform registry``: the merged registry, who said what, and the schema of its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from ..naming import printable
from ..registration.registry import current
from ..registration.toml_file import KeyPath
from .rows import print_json

__all__ = ["flattened", "registry"]


@click.group()
def registry() -> None:
    """Look at the merged registry."""


@registry.command()
@click.option("--origin", is_flag=True, help="Say for each key which file and line won.")
def show(origin: bool) -> None:
    """Show every key of the merged registry, then check its pipelines."""
    merged = current()
    for path, value in _leaves(merged.table, ()):
        line = f"{_dotted(path, merged.table)} = {json.dumps(value, ensure_ascii=False, default=str)}"
        click.echo(printable(f"{line}  # {merged.origin(path)}" if origin else line, 2000))
    for name in merged.pipelines:
        merged.pipeline(name)


@registry.command()
@click.option("--recipe", is_flag=True, help="Of recipes, and of the pipeline.toml of models.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it into a file.")
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT if it exists.")
def schema(recipe: bool, output: Path | None, overwrite: bool) -> None:
    """Print the JSON Schema of registry.toml, by which an editor checks the file while it is written.

    It holds the parts that are installed now, and their parameters. Plugins that the file itself names are there too
    where --registry names the file.
    """
    # Here, since what parts are made of takes longer to import than a listing may.
    if recipe:
        from ..training.recipe_schema import recipe_schema as schema_of
    else:
        from ..registration.registry_schema import registry_schema as schema_of
    found = schema_of(current())
    if output is None:
        print_json(found)
        return
    from ..storage.atomic import write_whole

    write_whole(output, json.dumps(found, indent=2) + "\n", overwrite=overwrite)


def flattened(table: Mapping[str, object]) -> dict[str, object]:
    """Return a table's leaves by their path, as ``--set`` takes it: ``stages.base.steps``."""
    return {_dotted(path, table): value for path, value in _leaves(table, ())}


def _leaves(value: object, path: KeyPath) -> list[tuple[KeyPath, object]]:
    if isinstance(value, Mapping) and (value or not path):
        return [leaf for key, child in value.items() for leaf in _leaves(child, (*path, key))]
    if isinstance(value, list) and any(isinstance(child, Mapping) for child in value):
        return [leaf for index, child in enumerate(value) for leaf in _leaves(child, (*path, index))]
    return [(path, value)]


def _dotted(path: KeyPath, table: object) -> str:
    words: list[str] = []
    for key in path:
        table = table[key]  # type: ignore[index]
        word = str(table.get("name", key)) if isinstance(key, int) and isinstance(table, Mapping) else str(key)
        words.append(word if word.replace("-", "").replace("_", "").isalnum() else json.dumps(word))
    return ".".join(words)
