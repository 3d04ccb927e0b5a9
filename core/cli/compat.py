"""``noiseform compat``: which parts work together, tried out on the spot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from .rows import print_json, print_rows

if TYPE_CHECKING:
    from ..pipeline.compat import Combination

__all__ = ["compat"]


@click.command()
@click.option("--steps", type=click.IntRange(1, 10_000), default=6, show_default=True, help="Steps of each run.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: every combination.")
def compat(steps: int, as_json: bool) -> None:
    """Say which parts work together.

    Every combination of process, objective, grid, sampler and guidance runs on a small problem whose ideal network is
    known; it works if what comes out is finite and near the data. This takes some minutes.
    """
    from ..pipeline.compat import combinations, how_many
    from ..pipeline.work import Work
    from .counting import counted

    tried: list[Combination] = []
    of = how_many()
    with counted() as tell:
        for one in combinations(steps=steps):
            tried.append(one)
            tell(Work(f"{one.process}, {one.objective}", len(tried), of, "combinations"))
    if as_json:
        print_json([{**asdict(one), "works": one.works} for one in tried])
        return
    notes: list[str] = []
    _print_matrix(tried, "process", "objective", notes)
    pairs = {(one.process, one.objective) for one in tried if one.works}
    others = [one for one in tried if (one.process, one.objective) in pairs]
    for kind in ("grid", "guidance"):
        click.echo()
        _print_matrix(others, kind, "sampler", notes)
    click.echo()
    for number, note in enumerate(notes, start=1):
        click.echo(f"[{number}] {note}")
    click.echo(f"{sum(one.works for one in tried)} of {len(tried)} combinations work")


def _print_matrix(tried: Sequence[Combination], rows: str, columns: str, notes: list[str]) -> None:
    """Print the parts of one kind against those of another; reasons go to the notes."""
    names = list(dict.fromkeys(getattr(one, columns) for one in tried))
    table = []
    for row in dict.fromkeys(getattr(one, rows) for one in tried):
        mine = [one for one in tried if getattr(one, rows) == row]
        cells = [_cell([one for one in mine if getattr(one, columns) == name], notes) for name in names]
        table.append([row, *cells])
    print_rows((rows.upper(), *names), table)


def _cell(tried: Iterable[Combination], notes: list[str]) -> str:
    """Return ``works``, or how many combinations do and the number of the commonest reason why the others do not."""
    reasons = Counter(one.why for one in tried)
    working, count = reasons.pop(None, 0), reasons.total()
    if not count:
        return "works"
    ((reason, _),) = reasons.most_common(1)
    if reason not in notes:
        notes.append(str(reason))
    share = "no" if not working else f"{working} of {working + count}"
    return f"{share} [{notes.index(str(reason)) + 1}]"
