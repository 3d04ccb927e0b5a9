"""The suite of pipelines passes on every built-in one, and fails on every mutant."""

from __future__ import annotations

import pytest
from noiseform.core.registration.registry import current
from noiseform.core.testing.mutants.pipelines import MUTANTS
from noiseform.testing import PipelineSuite

BUILT_IN = [part.name for part in current().plugins.parts("pipeline") if part.plugin.candidate.builtin]


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in(name, found):
    assert found("pipeline", name) == {}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutants(mutant, judged):
    judged("pipeline", mutant)


class TestAsAnAuthorWritesIt(PipelineSuite):
    """Collected by pytest."""

    component = "noiseform/films-x2"
