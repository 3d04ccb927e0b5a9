"""Running a suite without pytest, for ``noiseform plugins check`` and the table of mutants."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from unittest import SkipTest

from ..registration.plugin_loading import reason_of
from .claims import check_claims
from .finding import Finding
from .origin import causes, place_of
from .suite import Suite, claimed
from .suites.every import SUITES

__all__ = ["CONTRACT", "Outcome", "failure", "outcomes", "suite_for"]

CONTRACT = "test_keeps_its_contract"
"""The check without which the others say nothing."""


@dataclass(frozen=True)
class Outcome:
    """What became of one check.

    Attributes:
        check: its name.
        verdict: ``"passed"``, ``"failed"`` or ``"left out"``.
        why: what was found, or why it was left out.
        seconds: how long it took.
        place: ``file:line`` of the part's code where an exception was raised; empty where there is none.
        raised: True where the part raised something, False where the check found something.
        cause: what was raised first, in one line; many checks may fail by one cause.
        trace: the traceback.
    """

    check: str
    verdict: str
    why: str
    seconds: float = 0.0
    place: str = ""
    raised: bool = False
    cause: str = ""
    trace: str = ""


def failure(check: str, error: BaseException, seconds: float = 0.0) -> Outcome:
    """Return what became of a check that ended with an exception."""
    first = causes(error)[0]
    trace = "".join(traceback.format_exception(error))
    raised = not isinstance(first, Finding)
    why, cause = (reason_of(one).removeprefix("Finding: ") for one in (error, first))
    return Outcome(check, "failed", why, seconds, place_of(error), raised, cause, trace)


def outcomes(suite: type[Suite], *, only: str | None = None, contract_first: bool = False) -> Iterator[Outcome]:
    """Run the checks of a suite, one after another, and tell what became of each.

    Args:
        suite: of a part.
        only: a single check.
        contract_first: begin with what the part must have; where it fails, leave the others out.
    """
    checks = list(suite.checks()) if only is None else [only]
    if contract_first and CONTRACT in checks:
        checks.remove(CONTRACT)
        kept = _outcome(suite, CONTRACT)
        yield kept
        if kept.verdict == "failed":
            yield from (Outcome(check, "left out", f"{CONTRACT} failed") for check in checks)
            return
    yield from (_outcome(suite, check) for check in checks)


def _outcome(suite: type[Suite], check: str) -> Outcome:
    started = time.perf_counter()
    try:
        getattr(suite(), check)()
    except SkipTest as left_out:
        return Outcome(check, "left out", str(left_out), time.perf_counter() - started)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a part may raise SystemExit, or worse
        return failure(check, error, time.perf_counter() - started)
    return Outcome(check, "passed", "", time.perf_counter() - started)


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
    check_claims(of_kind, claims := claims or {})
    suite: type[Suite] = claimed(type(of_kind.__name__, (of_kind,), {"component": component, **claims}))
    return suite
