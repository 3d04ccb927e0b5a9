"""What the conformance kit holds a part of each kind to, and which check catches which mutant, as a page.

python docs/generate_conformance.py            # a minute or two: every suite is run on every mutant
python docs/generate_conformance.py --check    # say whether the page is what it would write
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from noiseform.core.testing.mutants.every import MUTANTS
from noiseform.core.testing.mutants.mutant import Mutant
from noiseform.core.testing.running import outcomes, suite_for
from noiseform.core.testing.suite import Suite
from noiseform.core.testing.suites.every import SUITES

PAGE = Path(__file__).parent / "reference" / "conformance.md"

HEAD = """\
<!-- Made by docs/generate_conformance.py; change the code instead. -->

# What the conformance kit checks

One suite for each kind of parts, in `noiseform.testing`; how to use them: [prove it](../guide/conformance.md). Below
each list of checks stand the mutants that ship with the kit, parts that are wrong in one way each, and what every check
says of them: ✗ for what it catches, **✗** where it is the one that must. The originals, which are right, come first.
"""


def page() -> str:
    """Return the page."""
    return "\n".join([HEAD, *(line for kind in SUITES for line in section(kind))]).rstrip() + "\n"


def section(kind: str) -> Iterator[str]:
    """Give the lines about one kind."""
    suite = SUITES[kind]
    checks = list(suite.checks())
    yield f"## {kind}: `{suite.__name__}`\n"
    yield "| | check | holds that |"
    yield "|---|---|---|"
    for number, check in enumerate(checks, 1):
        yield f"| {number} | `{check}` | {_first_line(getattr(suite, check))} |"
    claims = list(_claims(suite))
    if claims:
        yield "\nWhat an author may claim, as attributes of the test class, or of the part as a mapping `claims`:\n"
        yield "| claim | meaning |"
        yield "|---|---|"
        yield from (f"| `{name}` | {meaning} |" for name, meaning in claims)
    yield "\n| mutant | " + " | ".join(str(number) for number in range(1, len(checks) + 1)) + " |"
    yield "|---" * (len(checks) + 1) + "|"
    for mutant in MUTANTS.get(kind, ()):
        yield f"| {mutant.name} | {' | '.join(_marks(kind, mutant, checks))} |"
    yield ""


def _marks(kind: str, mutant: Mutant, checks: list[str]) -> Iterator[str]:
    verdicts = {one.check: one.verdict for one in outcomes(suite_for(kind, mutant.factory, mutant.claims))}
    for check in checks:
        mark = "**✗**" if check == mutant.caught_by else "✗"
        yield mark if verdicts[check] == "failed" else ""


def _first_line(check: object) -> str:
    return " ".join((inspect.getdoc(check) or "").partition("\n\n")[0].split()).replace("``", "`").replace("|", "\\|")


def _claims(suite: type[Suite]) -> Iterator[tuple[str, str]]:
    """Give the attributes that a suite's docstring describes, beside those that every suite has."""
    text = (inspect.getdoc(suite) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    name, meaning = "", ""
    for line in [*text.splitlines(), "    end:"]:
        started = line.startswith("    ") and not line.startswith("     ") and ":" in line
        if started and name:
            yield name, meaning.replace("``", "`").replace("|", "\\|")
        if started:
            name, _, meaning = line.strip().partition(": ")
        else:
            meaning += " " + line.strip()


def main(arguments: list[str]) -> int:
    """Write the page, or compare it."""
    made = page()
    if "--check" not in arguments:
        PAGE.write_text(made, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != made:
        print(
            "docs/reference/conformance.md is not what docs/generate_conformance.py makes; run it and commit the result"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
