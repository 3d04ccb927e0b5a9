"""``noiseform show``: one part, as its code says it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError, NoiseformError, nearest
from ..registration.documentation import documentation, plain
from ..registration.kinds import KINDS, kind_of
from ..registration.plugin_loading import Part
from ..registration.registry import current
from .rows import print_facts, print_json, print_rows
from .show_model import model_entry, print_model
from .show_pipeline import pipeline_entry, print_pipeline

if TYPE_CHECKING:
    from ..registration.parameters import Parameter

__all__ = ["show"]

_LONGEST = 4000  # characters of what a docstring says

_COMMANDS = {
    "modality": "noiseform generate {name}",
    "command": "noiseform {name}",
    "metric": "noiseform evaluate PIPELINE --data DIR --metric {name}",
    "converter": "noiseform convert SOURCE OUT",
}
"""How parts are used that no file names as a table."""


@click.command()
@click.argument("part", metavar="KIND/NAME|FOLDER")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: of a part, the JSON Schema of its table.")
def show(part: str, as_json: bool) -> None:
    """Show a part: its parameters and what they mean, its source, the plugin that it comes from, an example.

    KIND/NAME is such as sampler/ddim, or sampler/noiseform/ddim. pipeline/NAME shows the stages of a pipeline and the
    paths that --set takes; so does the folder of a trained model, and how it was trained.
    """
    kind, slash, name = part.partition("/")
    if kind not in KINDS and (os.path.isdir(part) or part.startswith(("/", ".", "~"))):
        folder = Path(os.path.expanduser(part))
        print_json(model_entry(folder)) if as_json else print_model(folder)
        return
    if "/" in part and kind not in KINDS:
        raise ConfigError(
            f"{part!r}: neither KIND/NAME, for there is no such kind of part, nor a folder; {nearest(kind, KINDS)}"
        )
    if not slash or not name:
        raise ConfigError(
            f"{part!r}: expected KIND/NAME, such as sampler/ddim, or the folder of a model; noiseform list shows all"
        )
    if kind == "pipeline":
        print_json(pipeline_entry(name)) if as_json else print_pipeline(name)
        return
    found = current().plugins.find(kind, name)
    factory, parameters = _looked_into(found)
    if as_json:
        print_json(_schema(found, factory, parameters))
        return
    _print(found, factory, parameters)


def _looked_into(part: Part) -> tuple[object, Sequence[Parameter]]:
    from ..registration.build import parameters_of

    factory = part.load()
    if not callable(factory) or isinstance(factory, click.Command):
        return factory, ()
    return factory, parameters_of(part)


def _print(part: Part, factory: object, parameters: Sequence[Parameter]) -> None:
    from ..registration.example import inline

    document = documentation(factory)
    facts = [("part", f"{part.kind}/{part.name}"), ("summary", plain(document.summary))]
    facts += [("source", plain(document.source))]
    facts += [(name.replace("_", " ").replace("nfe", "NFE"), told) for name, told in _said(part, factory)]
    facts += [("plugin", part.plugin.candidate.name), ("distribution", part.plugin.distribution)]
    facts += [("version", part.plugin.candidate.version), ("file", _file(factory) or part.plugin.file)]
    print_facts(facts, longest=_LONGEST)
    click.echo(f"\n{_example(part, parameters)}")  # never wrapped: it is there to be copied
    _print_media(_media(part, factory))
    if not parameters:
        return
    rows = []
    for parameter in parameters:
        default = "(required)" if parameter.required else inline(parameter.default)
        default = "" if parameter.host or (not parameter.required and parameter.default is None) else default
        expects = "(given by the program)" if parameter.host else parameter.expects
        rows.append((parameter.name, expects, default, plain(parameter.meaning)))
    click.echo()
    print_rows(("PARAMETER", "EXPECTS", "DEFAULT", "MEANING"), rows, longest=_LONGEST)


def _media(part: Part, factory: object) -> dict[str, Any]:
    """Return the schema of the ``[media]`` table of a modality that tells it; empty where there is none."""
    from pydantic import BaseModel

    from ..registration.json_schema import table_of_model

    model = getattr(factory, "media_table", None) if part.kind == "modality" else None
    if not isinstance(model, type) or not issubclass(model, BaseModel):
        return {}
    definitions: dict[str, Any] = {}
    table = table_of_model(model, prefix="media", definitions=definitions)
    return {**table, **({"$defs": definitions} if definitions else {})}


def _print_media(table: Mapping[str, Any]) -> None:
    from ..registration.example import inline
    from ..registration.schema_words import in_words

    if not table:
        return
    rows = []
    for key, one in table["properties"].items():
        default = (
            "(required)" if key in table.get("required", ()) else inline(one["default"]) if "default" in one else ""
        )
        rows.append((key, in_words(one), default, one.get("description", "")))
    click.echo("\nThe [media] table of its pipelines:\n")
    print_rows(("KEY", "EXPECTS", "DEFAULT", "MEANING"), rows, longest=_LONGEST)


def _schema(part: Part, factory: object, parameters: Sequence[Parameter]) -> dict[str, object]:
    """Return the JSON Schema of a part's table, with what else is known of the part under ``x-noiseform``."""
    from ..registration.example import example_table
    from ..registration.json_schema import DIALECT, in_json, part_table

    told = documentation(factory)
    definitions: dict[str, object] = {}
    table = part_table(parameters, [_use(part)], prefix=part.name, definitions=definitions)
    facts = {
        "kind": part.kind,
        "name": part.name,
        "full_name": part.full_name,
        **_facts(part, factory),
        "source": plain(told.source),
        "plugin": part.plugin.candidate.name,
        "distribution": part.plugin.distribution,
        "version": part.plugin.candidate.version,
        "file": _file(factory) or part.plugin.file,
        "target": part.target if isinstance(part.target, str) else "",
        "example": _example(part, parameters),
        "given_by_host": {one.name: {"required": one.required} for one in parameters if one.host},
    }
    media = _media(part, factory)
    facts |= {"media": media} if media else {}
    return {
        "$schema": DIALECT,
        "title": f"{part.kind}/{part.name}",
        "description": plain(told.text),
        **table,
        "examples": [in_json(example_table(_use(part), parameters))],
        **({"$defs": definitions} if definitions else {}),
        "x-noiseform": facts,
    }


def _facts(part: Part, factory: object) -> dict[str, object]:
    """Return what the contract of a part's kind has it say of itself, such as a sampler's order."""
    values = {name: getattr(factory, name, None) for name in kind_of(part.kind).contract}
    return {name: value for name, value in values.items() if isinstance(value, int | float | str) and name != "name"}


def _said(part: Part, factory: object) -> Iterator[tuple[str, str]]:
    """Give the same in words, also of what only a part that is built can say."""
    known = _facts(part, factory)
    for name in kind_of(part.kind).contract:
        if name in known:
            yield name, ("no", "yes")[value] if isinstance(value := known[name], bool) else str(value)
        elif isinstance(inspect.getattr_static(factory, name, None), property):
            yield name, "as its parameters have it"


def _use(part: Part) -> str:
    """Return the name that a file calls a part by: the short one, unless that means another or none."""
    try:
        return part.name if current().plugins.find(part.kind, part.name) is part else part.full_name
    except NoiseformError:  # several claim it
        return part.full_name


def _file(factory: object) -> str:
    """Return the file that a part is written in, where Python can tell."""
    try:
        return inspect.getsourcefile(inspect.unwrap(factory)) or ""  # type: ignore[arg-type]
    except TypeError:
        return ""


def _example(part: Part, parameters: Sequence[Parameter]) -> str:
    """Return a line for a recipe, with every parameter that it may set; or the command that uses the part."""
    from ..registration.example import example_table, inline

    if part.kind in _COMMANDS:
        return _COMMANDS[part.kind].format(name=_use(part))
    table = inline(example_table(_use(part), parameters))
    return f"conditioners = [{table}]" if part.kind == "conditioner" else f"{part.kind} = {table}"
