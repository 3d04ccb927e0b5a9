"""``noiseform plugins new``: a plugin to begin with."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from ..authoring.template import ALL_KINDS

__all__ = ["new"]


@click.command(short_help="Write the project of a new plugin.")
@click.argument("name")
@click.option(
    "--kind", "kinds", multiple=True, metavar="KIND", help=f"What it has: {', '.join(ALL_KINDS)}; repeatable."
)
@click.option("-o", "--output", metavar="FOLDER", help="Where to write it. [default: ./NAME]")
def new(name: str, kinds: tuple[str, ...], output: str | None) -> None:
    """Write a plugin that works: a part of each KIND, its tests, and all that it takes to publish it.

    \b
    noiseform plugins new acme-noise --kind sampler
    pip install -e ./acme-noise
    pytest ./acme-noise
    """
    from ..authoring.project import (
        kit_is_installed,
        project_commands,
        project_files,
        refuse_known_parts,
        refuse_taken,
        write_project,
    )
    from ..authoring.project_name import project_name
    from ..authoring.template import template_of
    from ..errors import ConfigError
    from ..naming import printable

    if not kinds:
        raise ConfigError(
            f"plugins new: of which kind? say --kind, as in --kind sampler; known: {', '.join(ALL_KINDS)}"
        )
    folder = name if output is None else output
    named = project_name(name)
    refuse_taken(Path(folder))
    templates = [template_of(kind) for kind in dict.fromkeys(kinds)]
    refuse_known_parts(named, templates, _taken())
    files = project_files(named, templates)
    write_project(Path(folder), files)
    for path in files:
        click.echo(printable(Path(folder, path)))
    click.echo("\nnext:")
    for command in project_commands(named, templates, folder, with_kit=not kit_is_installed()):
        click.echo(f"  {command}")


def _taken() -> dict[str, list[str]]:
    """Return by kind the names that parts have, and for commands and modalities those of noiseform itself."""
    from ..registration.kinds import KINDS
    from ..registration.registry import current
    from ..registration.targets import PACKAGE
    from .main import COMMANDS

    taken = {kind: [part.name for part in current().plugins.parts(kind)] for kind in KINDS}
    taken["command"] += COMMANDS
    taken["modality"] += dir(importlib.import_module(PACKAGE))
    return taken
