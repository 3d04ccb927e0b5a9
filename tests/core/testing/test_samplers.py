"""The suite of samplers passes on every built-in one, and fails on every mutant."""

from __future__ import annotations

import pytest
from noiseform.core.registration.registry import current
from noiseform.core.testing.mutants.samplers import MUTANTS
from noiseform.testing import SamplerSuite

BUILT_IN = [part.name for part in current().plugins.parts("sampler") if part.plugin.candidate.builtin]


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in(name, found):
    assert found("sampler", name) == {}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutants(mutant, judged):
    judged("sampler", mutant)


class TestAsAnAuthorWritesIt(SamplerSuite):
    """Collected by pytest: two lines are a whole test."""

    component = "heun"
    declared_order = 2
