"""``noiseform registry``: the merged registry, and who said what."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click

from ..naming import printable
from ..registration.registry import current
from ..registration.toml_file import KeyPath

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
