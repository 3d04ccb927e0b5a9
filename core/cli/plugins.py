"""``noiseform plugins``: the plugins, and what became of them. Each larger command has a file of its own."""

from __future__ import annotations

import click

from ..registration.registry import current
from .doctor import doctor
from .plugin_entry import plugin_entry
from .plugins_check import check
from .plugins_new import new
from .rows import print_json, print_rows

__all__ = ["plugins"]


@click.group()
def plugins() -> None:
    """Look at the plugins and what became of them. Nothing here installs or updates anything."""


@plugins.command("list", short_help="List the plugins, and what became of them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_plugins(as_json: bool) -> None:
    """List the plugins: distribution, version, what it is built for, state, file, and why one is not loaded."""
    found = [plugin_entry(plugin) for plugin in current().plugins.plugins]
    if as_json:
        print_json(found)
        return
    headings = ("NAME", "DISTRIBUTION", "VERSION", "BUILT FOR", "STATE", "FILE", "REASON")
    keys = [heading.lower().replace(" ", "_") for heading in headings]
    print_rows(headings, [[str(entry[key]) for key in keys] for entry in found])


plugins.add_command(new)
plugins.add_command(check)
plugins.add_command(doctor)
