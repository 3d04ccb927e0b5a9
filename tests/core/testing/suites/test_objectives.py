"""The suite of objectives passes on every built-in one."""

from __future__ import annotations

import pytest
from noiseform.core.registration.registry import current
from noiseform.testing import ObjectiveSuite

BUILT_IN = [part.name for part in current().plugins.parts("objective") if part.plugin.candidate.builtin]
VARIANTS = [
    ("v", {"weighting": "min-snr", "density": "importance"}),
    ("edm", {"weighting": "edm"}),
    ("velocity", {"density": "logit-normal"}),
    ("score", {"weighting": "likelihood"}),
]


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in(name, found):
    assert found("objective", name) == {}


@pytest.mark.parametrize(("name", "parameters"), VARIANTS)
def test_built_in_with_parameters(name, parameters, found):
    assert found("objective", name, {"parameters": parameters}) == {}


class TestAsAnAuthorWritesIt(ObjectiveSuite):
    """Collected by pytest: a name is a whole test."""

    component = "v"
