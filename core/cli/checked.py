"""What ``noiseform plugins check`` found, and how it is told: a table, then what failed, the most telling first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from ..naming import printable
from .rows import print_rows

if TYPE_CHECKING:
    from ..testing.running import Outcome

__all__ = ["Checked", "report"]

VERDICTS = ("passed", "left out", "failed")

BASIC = (
    *("loads", "test_import", "test_parameters", "test_keeps_its_contract", "test_declares", "test_keeps_shape"),
    *("test_latents_have", "test_media_come_back_in", "test_gives_what_it_declares", "test_leaves"),
)
"""Heads of the names of checks whose findings explain those of others, which are listed after them."""

NUMBERS = re.compile(r"\d[\d., e+-]*")
"""What may differ in messages that say the same: counts, shapes and errors."""


@dataclass(frozen=True)
class Checked:
    """A part, or a plugin without usable parts, and what became of its checks.

    Attributes:
        name: what it is called: ``KIND/NAME``.
        owner: its distribution and version.
        outcomes: of its checks.
        note: why there are none.
        seconds: how long they took.
    """

    name: str
    owner: str
    outcomes: tuple[Outcome, ...]
    note: str = ""
    seconds: float = 0.0

    def count(self, verdict: str) -> int:
        """Return how many checks ended so."""
        return sum(one.verdict == verdict for one in self.outcomes)

    def failures(self) -> list[list[Outcome]]:
        """Return what failed, in groups of one cause: exceptions first, then the findings that explain others."""
        groups: dict[tuple[str, str], list[Outcome]] = {}
        for one in sorted((one for one in self.outcomes if one.verdict == "failed"), key=_order):
            groups.setdefault((one.place, NUMBERS.sub("#", one.cause or one.why)), []).append(one)
        return list(groups.values())


def report(checked: Sequence[Checked], *, verbose: bool, debug: bool) -> None:
    """Print a table of parts, then what failed, then the sum.

    Args:
        checked: the parts.
        verbose: print every check in a line of its own.
        debug: print tracebacks, on the error output.
    """
    headings = ("PART", "DISTRIBUTION", *(verdict.upper() for verdict in VERDICTS), "SECONDS", "NOTE")
    rows = [
        (one.name, one.owner, *(str(one.count(verdict)) for verdict in VERDICTS), f"{one.seconds:.1f}", one.note)
        for one in checked
    ]
    print_rows(headings, rows)
    for one in checked:
        for group in one.failures():
            _tell(one.name, group, verbose=verbose)
            if debug and group[0].trace:
                click.echo("\n".join(printable(line, 2000) for line in group[0].trace.splitlines()), err=True)
        if verbose:
            for outcome in one.outcomes:
                if outcome.verdict != "failed":
                    _tell(one.name, [outcome], verbose=True)
        elif (left := _left_out_with_the_contract(one.outcomes)) > 0:
            click.echo(f"left out: {printable(one.name)}: {left} other checks, until the part keeps its contract")
    passed, left_out, failed = (sum(one.count(verdict) for one in checked) for verdict in VERDICTS)
    unchecked = sum(not one.outcomes for one in checked)
    aside = f", {unchecked} without checks" if unchecked else ""
    parts = f"{len(checked)} part{'s' if len(checked) != 1 else ''}{aside}"
    click.echo(f"{parts}: {passed} checks passed, {left_out} left out, {failed or 'none'} failed")


def _tell(name: str, group: Sequence[Outcome], *, verbose: bool) -> None:
    """Print the first outcome of a group, and how many others there are; all of them where everything is listed."""
    others = len(group) - 1
    for one in group if verbose else group[:1]:
        why = f": {printable(one.why, 600)}" if one.why else ""
        place = f" ({printable(one.place)})" if one.place else ""
        more = f" ... and in {others} more check{'s' if others > 1 else ''}" if others and not verbose else ""
        click.echo(f"{one.verdict}: {printable(name)}: {one.check}{why}{place}{more}")


def _left_out_with_the_contract(outcomes: Iterable[Outcome]) -> int:
    from ..testing.running import CONTRACT

    return sum(one.verdict == "left out" and one.why == f"{CONTRACT} failed" for one in outcomes)


def _order(one: Outcome) -> tuple[bool, int]:
    """Return where a failure stands in the list; those that are alike in this keep the order of the suite."""
    basic = next((number for number, head in enumerate(BASIC) if one.check.startswith(head)), len(BASIC))
    return (not one.raised, basic)
