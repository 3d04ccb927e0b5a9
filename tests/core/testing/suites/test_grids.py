"""The suite of grids passes on every built-in one."""

from __future__ import annotations

import pytest
from noiseform.core.registration.registry import current
from noiseform.testing import GridSuite

BUILT_IN = [part.name for part in current().plugins.parts("grid") if part.plugin.candidate.builtin]
SHORT = {"ends_at_data": False, "starts_at_noise": False}
VARIANTS = [
    (
        "leading",
        {"parameters": {"to_zero": False, "offset": 1}, "most_steps": 999, "processes": ["discrete-vp"], **SHORT},
    ),
    ("trailing", {"parameters": {"to_zero": False}, "ends_at_data": False, "most_steps": 600}),
    ("karras", {"parameters": {"rho": 3.0}}),
    ("optimal", {"parameters": {"nsr": [[20.0, 3.0, 0.4], [8.0, 3.0, 1.5, 0.2]]}}),
]


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in(name, found):
    assert found("grid", name) == {}


@pytest.mark.parametrize(("name", "claims"), VARIANTS)
def test_built_in_with_parameters(name, claims, found):
    assert found("grid", name, claims) == {}


class TestAsAnAuthorWritesIt(GridSuite):
    """Collected by pytest: a name is a whole test."""

    component = "uniform"
