"""The suite of samplers passes on every built-in one."""

from __future__ import annotations

import pytest
from noiseform.core.registration.registry import current
from noiseform.core.testing.running import outcomes, suite_for
from noiseform.testing import SamplerSuite

BUILT_IN = [part.name for part in current().plugins.parts("sampler") if part.plugin.candidate.builtin]

VARIANTS = [
    ("adaptive", {"parameters": {"order": 5, "rtol": 1.0, "atol": 1.0}, "idle": ["rtol"]}),  # none of it is divided
    ("ipndm", {"parameters": {"start": "heun"}, "first_step_calls": 2}),
]


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in(name, found):
    assert found("sampler", name) == {}


@pytest.mark.parametrize(("name", "claims"), VARIANTS)
def test_built_in_with_parameters(name, claims, found):
    assert found("sampler", name, claims) == {}


@pytest.mark.parametrize("check", ["test_order_of_convergence", "test_order_on_uneven_steps"])
def test_order_is_left_out_where_a_tolerance_is_held(check):
    for claims, verdict in (({}, "failed"), ({"held_to_tolerance": True}, "left out")):
        suite = suite_for("sampler", "heun", {"declared_order": 3, **claims})
        assert [one.verdict for one in outcomes(suite, only=check)] == [verdict]


class TestAsAnAuthorWritesIt(SamplerSuite):
    """Collected by pytest: two lines are a whole test."""

    component = "heun"
    declared_order = 2
