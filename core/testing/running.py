"""Running a suite without pytest, for ``noiseform plugins check`` and the table of mutants."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from unittest import SkipTest

from ..registration.plugin_loading import reason_of
from .suite import Suite, claimed
from .suites import SUITES

__all__ = ["Outcome", "outcomes", "suite_for"]


@dataclass(frozen=True)
class Outcome:
    """What became of one check.

    Attributes:
        check: its name.
        verdict: ``"passed"``, ``"failed"`` or ``"left out"``.
        why: what was found, or why it was left out.
        seconds: how long it took.
    """

    check: str
    verdict: str
    why: str
    seconds: float


def outcomes(suite: type[Suite], *, only: str | None = None) -> Iterator[Outcome]:
    """Run the checks of a suite, or a single one, one after another, and tell what became of each."""
    for check in suite.checks() if only is None else (only,):
        started = time.perf_counter()
        verdict, why = "passed", ""
        try:
            getattr(suite(), check)()
        except SkipTest as left_out:
            verdict, why = "left out", str(left_out)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a part may raise SystemExit, or worse
            verdict, why = "failed", reason_of(error)
        yield Outcome(check, verdict, why, time.perf_counter() - started)


def suite_for(
    kind: str, component: str | Callable[..., object], claims: Mapping[str, object] | None = None
) -> type[Suite]:
    """Return the suite of a kind about one part, as a test class would be written.

    Args:
        kind: the kind.
        component: the part: its name or its factory.
        claims: attributes of the test class, above what the part's own attribute ``claims`` says.

    Raises:
        Finding: there is no such part, or its suite knows no such claim.
    """
    of_kind = SUITES[kind]
    of_kind.can_claim(claims := claims or {})
    suite: type[Suite] = claimed(type(of_kind.__name__, (of_kind,), {"component": component, **claims}))
    return suite
