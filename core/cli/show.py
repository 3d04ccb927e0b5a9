"""``noiseform show``: one part, as its code says it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence

import click

from ..errors import ConfigError
from ..registration.kinds import kind_of
from ..registration.plugin_loading import Part
from ..registration.registry import current
from .registry import flattened
from .rows import print_json, print_rows

__all__ = ["show"]


@click.command()
@click.argument("part", metavar="KIND/NAME")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(part: str, as_json: bool) -> None:
    """Show a part: its parameters, its source, the plugin that it comes from, an example.

    KIND/NAME is such as sampler/ddim, or sampler/noiseform/ddim.
    """
    kind, slash, name = part.partition("/")
    if not slash or not name:
        raise ConfigError(f"{part!r}: expected KIND/NAME, such as sampler/ddim; noiseform list shows all")
    entry = _pipeline(name) if kind == "pipeline" else _described(current().plugins.find(kind, name))
    if as_json:
        print_json(entry)
        return
    parameters, settings = entry.pop("parameters", None), entry.pop("settings", None)
    width = max(map(len, entry)) + 2
    for key, value in entry.items():
        if value not in ("", None):
            click.echo(f"{key.replace('_', ' '):{width}}{value}")
    if isinstance(parameters, list) and parameters:
        click.echo()
        print_rows(("PARAMETER", "EXPECTS", "DEFAULT"), [_row(parameter) for parameter in parameters])
    if isinstance(settings, dict):
        click.echo()
        for key, value in settings.items():
            click.echo(f"{key} = {json.dumps(value, default=repr)}")


def _described(part: Part) -> dict[str, object]:
    from ..registration.parameters import Parameter, describe

    factory = part.load()
    documentation = (inspect.getdoc(factory) or "").splitlines()
    source = next((line.partition("Source:")[2].strip() for line in documentation if line.startswith("Source:")), "")
    facts = {
        name: value
        for name in kind_of(part.kind).contract
        if isinstance(value := getattr(factory, name, None), int | float | str)
    }
    parameters: Sequence[Parameter] = ()
    if callable(factory) and not isinstance(factory, click.Command):
        parameters = describe(factory)
    return {
        "part": f"{part.kind}/{part.name}",
        "summary": documentation[0] if documentation else "",
        "source": source,
        **facts,
        **_owner(part),
        "file": _file(factory) or part.plugin.file,
        "example": _example(part, parameters),
        "parameters": [
            {
                "name": parameter.name,
                "expects": parameter.expects,
                "required": parameter.required,
                "default": parameter.default,
                "given_by_host": parameter.host,
                "schema": parameter.schema,
            }
            for parameter in parameters
        ],
    }


def _owner(part: Part) -> dict[str, object]:
    return {
        "plugin": part.plugin.candidate.name,
        "distribution": part.plugin.distribution,
        "version": part.plugin.candidate.version,
        "file": part.plugin.file,
        "target": part.target if isinstance(part.target, str) else "",
    }


def _file(factory: object) -> str:
    """Return the file that a part is written in, where Python can tell."""
    try:
        return inspect.getsourcefile(inspect.unwrap(factory)) or ""  # type: ignore[arg-type]
    except TypeError:
        return ""


def _pipeline(name: str) -> dict[str, object]:
    registry = current()
    pipeline = registry.pipeline(name)
    entry: dict[str, object] = {"part": f"pipeline/{name}", "summary": pipeline.summary}
    short = name.rpartition("/")[2]
    if any(short == part.name for part in registry.plugins.parts("pipeline")):
        entry |= _owner(registry.plugins.find("pipeline", name))
    entry["example"] = f"noiseform generate {pipeline.modality} {name}"
    entry["settings"] = flattened(pipeline.model_dump(exclude_none=True))
    return entry


def _example(part: Part, parameters: Sequence[object]) -> str:
    """Return a line for a recipe, with every parameter at its default."""
    from ..registration.parameters import Parameter

    if part.kind in {"modality", "command", "metric", "converter"}:
        return {"modality": f"noiseform generate {part.name}", "command": f"noiseform {part.name}"}.get(part.kind, "")
    settings = [f'use = "{part.name}"']
    for parameter in parameters:
        assert isinstance(parameter, Parameter)
        if not parameter.host and parameter.required:
            settings.append(f"{parameter.name} = <{parameter.expects}>")
        elif not parameter.host and parameter.default is not None:
            settings.append(f"{parameter.name} = {json.dumps(parameter.default, default=repr)}")
    key, table = ("conditioners", "[{{ {} }}]") if part.kind == "conditioner" else (part.kind, "{{ {} }}")
    return f"{key} = {table.format(', '.join(settings))}"


def _row(parameter: dict[str, object]) -> list[str]:
    if parameter["given_by_host"]:
        return [str(parameter["name"]), "(given by the program)", ""]
    default = "(required)" if parameter["required"] else json.dumps(parameter["default"], default=repr)
    return [str(parameter["name"]), str(parameter["expects"]), default]
