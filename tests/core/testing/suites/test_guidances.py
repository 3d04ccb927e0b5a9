"""The suite of guidances passes on every built-in one."""

from __future__ import annotations

import pytest
from noiseform.core.registration.registry import current
from noiseform.testing import GuidanceSuite

BUILT_IN = [part.name for part in current().plugins.parts("guidance") if part.plugin.candidate.builtin]
VARIANTS = [
    ("cfg", {"rescale": 0.7, "scale": 5.0}),
    ("cfg", {"interval": [0.2, 0.8]}),
    ("apg", {"limit": 0.5, "momentum": 0.0, "parallel": 0.3}),
]


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in(name, found):
    assert found("guidance", name) == {}


@pytest.mark.parametrize(("name", "parameters"), VARIANTS)
def test_built_in_with_parameters(name, parameters, found):
    assert found("guidance", name, {"parameters": parameters}) == {}


class TestAsAnAuthorWritesIt(GuidanceSuite):
    """Collected by pytest: a name is a whole test."""

    component = "cfg"
