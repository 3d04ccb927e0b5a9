"""Rows of text: a table on a terminal, plain columns in a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

import click

from ..naming import printable
from ..registration.plugin_loading import Plugin

__all__ = ["plugin_entry", "print_json", "print_rows"]


def print_rows(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under headings; what is foreign in them is escaped."""
    shown = [[printable(cell, 400) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*headings, box=None, pad_edge=False, header_style="bold")
        for row in shown:
            table.add_row(*map(Text, row))
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(headings, *shown, strict=True)]
    for cells in (headings, *shown):
        click.echo("  ".join(map(str.ljust, cells, widths)).rstrip())


def print_json(value: object) -> None:
    """Print a value as JSON; what JSON cannot hold appears as its Python text."""
    click.echo(json.dumps(value, indent=2, default=repr))


def plugin_entry(plugin: Plugin) -> dict[str, object]:
    """Return what is told of a plugin wherever plugins are listed."""
    candidate = plugin.candidate
    return {
        "name": candidate.name,
        "distribution": plugin.distribution,
        "version": candidate.version,
        "built_for": str(plugin.built_for),
        "state": plugin.state,
        "file": plugin.file,
        "reason": plugin.reason,
        "warnings": list(plugin.warnings),
        "named_in": ", ".join(filter(None, [candidate.origin, candidate.also])),
        "seconds": round(plugin.seconds, 6),
    }
