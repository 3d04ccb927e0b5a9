"""Measurements, side by side with the peers that are installed: ``python tests/bench [GROUP]... [--json]``.

Groups: loop bare start networks convert; all of them where none is named. --rounds N takes more or fewer. --processor
takes time of the processor, which others on the machine disturb less than the clock's. Figures are medians over rounds
in which everything that is compared takes its turn.
"""

from __future__ import annotations

import argparse
import json
import os
import pkgutil
import sys
from collections.abc import Sequence
from dataclasses import asdict

from noiseform.core.machine.threads import wait_briefly
from timing import PROCESSOR, Row

GROUPS = {
    "loop": ("loop:overhead", 30),
    "bare": ("loop:bare", 30),
    "start": ("startup:startup", 7),
    "networks": ("networks:networks", 15),
    "convert": ("conversion:conversion", 5),
}
"""What measures, imported when how threads wait is settled, and how many rounds it takes."""


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(prog="python tests/bench", description=__doc__.partition("\n")[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; all if omitted")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--processor", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    unknown = [group for group in given.groups if group not in GROUPS]
    if unknown:
        parser.error(f"unknown group {unknown[0]!r}; known: {', '.join(GROUPS)}")
    if given.processor:
        os.environ[PROCESSOR] = "1"  # which the programs that a group starts see too
    wait_briefly()  # as the command line has it
    rows: list[Row] = []
    if not given.json:
        print(f"{'':77} {'median':>9} {'best':>9}")
    for group in given.groups or GROUPS:
        target, usual = GROUPS[group]
        for row in pkgutil.resolve_name(target)(given.rounds or usual):
            rows.append(row)
            if not given.json:
                print(line(row), flush=True)
    if given.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))


def line(row: Row) -> str:
    """Return a row of the table."""
    share = f"{row.ratio:.3f} x {row.reference}" if row.ratio is not None else ""
    goal = f"goal {row.goal}: {'met' if row.met else 'not met'}" if row.goal else ""
    figures = f"{row.value:9.3f} {row.best:9.3f} {row.unit:8}"
    return f"{row.group:40} {row.name:36} {figures} {share:30} {goal}".rstrip()


if __name__ == "__main__":
    main(sys.argv[1:])
