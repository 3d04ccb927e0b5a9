"""Rows of text: a table on a terminal, plain columns in a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

import click

from ..naming import printable

__all__ = ["print_facts", "print_json", "print_rows"]

_LONGEST = 400  # characters of a cell, where the rows tell of what others named
_NAME = 24  # characters of the first column that are kept together


def print_rows(headings: Sequence[str], rows: Iterable[Sequence[str]], *, longest: int = _LONGEST) -> None:
    """Print rows under headings; what is foreign in them is escaped.

    On a terminal cells are wrapped, names in the first column last of all; in a pipe each row is a line.

    Args:
        headings: of the columns.
        rows: a text for each column.
        longest: a cell that is longer loses its middle.
    """
    shown = [[printable(cell, longest) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*headings, box=None, pad_edge=False, header_style="bold")
        table.columns[0].min_width = min(max((len(row[0]) for row in shown), default=0), _NAME)
        for column in table.columns:
            column.overflow = "fold"
        for row in shown:
            table.add_row(*map(Text, row))
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(headings, *shown, strict=True)]
    for cells in (headings, *shown):
        click.echo("  ".join(map(str.ljust, cells, widths)).rstrip())


def print_facts(facts: Iterable[tuple[str, str]], *, longest: int) -> None:
    """Print names with their values, one below the other: wrapped on a terminal, in a pipe a line for each.

    Args:
        facts: names and values; those without a value are left out.
        longest: a value that is longer loses its middle.
    """
    shown = [(name, printable(value, longest)) for name, value in facts if value]
    width = max(len(name) for name, _ in shown)
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=width, no_wrap=True, style="bold")
        grid.add_column(overflow="fold")
        for name, value in shown:
            grid.add_row(name, Text(value))
        Console().print(grid)
        return
    for name, value in shown:
        click.echo(f"{name:{width}}  {value}")


def print_json(value: object) -> None:
    """Print a value as JSON; what JSON cannot hold appears as its Python text."""
    click.echo(json.dumps(value, indent=2, default=repr))
