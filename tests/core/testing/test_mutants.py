"""Every suite fails on each of its mutants, in the check that is named, and passes on the originals."""

from __future__ import annotations

import pytest
from noiseform.testing import MUTANTS, SUITES

CASES = [(kind, mutant) for kind, mutants in MUTANTS.items() for mutant in mutants]


@pytest.mark.parametrize(("kind", "mutant"), CASES, ids=[f"{kind}: {mutant.name}" for kind, mutant in CASES])
def test_mutants(kind, mutant, found):
    """Of a mutant only the check that is named is run; what the others say of it is the table of the docs."""
    failed = found(kind, mutant.factory, mutant.claims, only=mutant.caught_by)
    assert list(failed) == ([] if mutant.caught_by is None else [mutant.caught_by]), failed


@pytest.mark.parametrize("kind", SUITES)
def test_every_suite_has_an_original_and_mutants(kind):
    caught = [mutant.caught_by for mutant in MUTANTS[kind]]
    assert None in caught
    assert len(caught) > 3
