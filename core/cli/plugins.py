"""``noiseform plugins``: the plugins, and what became of them."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import sys
import tempfile
import traceback
from pathlib import Path

import click

from ..errors import NoiseformError, PluginError
from ..registration.plugin_loading import Plugin
from ..registration.registry import Registry, current, user_folder
from ..registration.targets import PACKAGE
from .lazy_group import DEBUG_KEY
from .plugins_new import new
from .rows import print_json, print_rows

__all__ = ["plugins"]

LIBRARIES = ("torch", "torchaudio", "numpy", "soundfile", "av", "safetensors", "pydantic", "pluggy", "click", "rich")


@click.group()
def plugins() -> None:
    """Look at the plugins and what became of them. Nothing here installs or updates anything."""


plugins.add_command(new)


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_plugins(as_json: bool) -> None:
    """List the plugins: distribution, version, file, state, and why one is not loaded."""
    found = current().plugins.plugins
    if as_json:
        print_json([_entry(plugin) for plugin in found])
        return
    headings = ("NAME", "DISTRIBUTION", "VERSION", "STATE", "FILE", "REASON")
    print_rows(headings, [[str(_entry(plugin)[key.lower()]) for key in headings] for plugin in found])


def _entry(plugin: Plugin) -> dict[str, object]:
    return {
        "name": plugin.candidate.name,
        "distribution": plugin.distribution,
        "version": plugin.candidate.version,
        "state": plugin.state,
        "file": plugin.file,
        "reason": plugin.reason,
        "named_in": plugin.candidate.origin,
        "seconds": round(plugin.seconds, 6),
    }


@plugins.command()
def doctor() -> None:
    """Look at everything that plugins depend on, and say what is wrong.

    Ends with 5 where a plugin, a part or a pipeline cannot be used. --debug shows the tracebacks of plugins set aside.
    """
    registry = current()
    package = importlib.import_module(PACKAGE)
    print_rows(
        ("WHAT", "IS"),
        [
            ("noiseform", f"{package.__version__} in {Path(str(package.__file__)).parent}"),
            ("python", f"{platform.python_version()} ({sys.executable})"),
            ("platform", platform.platform()),
            *((name, _version(name)) for name in LIBRARIES),
            ("NOISEFORM_PLUGINS", os.environ.get("NOISEFORM_PLUGINS", "(not set: all)")),
            *((f"registry ({layer.name})", str(layer.origin(()))) for layer in registry.layers),
        ],
    )
    click.echo()
    print_rows(
        ("PLUGIN", "OWNER", "STATE", "IMPORT", "NAMED IN", "FILE"),
        [
            (
                p.candidate.name,
                p.candidate.distribution,
                p.state,
                f"{p.seconds * 1e3:.1f} ms",
                p.candidate.origin,
                p.file,
            )
            for p in registry.plugins.plugins
        ],
    )
    unusable, odd = _unusable(registry), _odd()
    problems = [*unusable, *odd]
    click.echo(f"\nproblems: {len(problems) or 'none'}")
    print_rows(("WHAT", "WHY"), problems) if problems else None
    if click.get_current_context().meta.get(DEBUG_KEY):
        for plugin in registry.plugins.plugins:
            if plugin.error is not None:
                click.echo("".join(["\n", *traceback.format_exception(plugin.error)]), err=True, nl=False)
    if unusable:
        raise click.exceptions.Exit(PluginError.exit_code)


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _unusable(registry: Registry) -> list[tuple[str, str]]:
    """Return the plugins, parts and pipelines that cannot be used, or not by their short names, and why."""
    found = [
        (f"plugin {plugin.label}", plugin.reason) for plugin in registry.plugins.plugins if plugin.state == "set aside"
    ]
    for rivals in registry.plugins.clashes():
        owners = " and ".join(part.full_name for part in rivals)
        found.append(
            (f"{rivals[0].kind} {rivals[0].name!r}", f"claimed by {owners}; write one of these, or prefer one")
        )
    for part in registry.plugins.parts():
        if part.kind != "pipeline":
            try:
                part.load()
            except NoiseformError as error:
                found.append((f"{part.kind}/{part.name}", str(error)))
    for name in registry.pipelines:
        try:
            registry.pipeline(name)
        except NoiseformError as error:
            found.append((f"pipeline/{name}", str(error)))
    return found


def _odd() -> list[tuple[str, str]]:
    """Return what is odd about this machine, and why."""
    found = []
    try:
        importlib.import_module("..libraries", __package__).torchaudio_module()
    except NoiseformError as error:
        found.append(("torchaudio", str(error)))
    for purpose, folder in (("temporary files", Path(tempfile.gettempdir())), ("your registry", user_folder())):
        existing = next(place for place in (folder, *folder.parents) if place.exists())
        if not os.access(existing, os.W_OK):
            found.append((f"folder for {purpose}", f"{existing} cannot be written"))
    return found
