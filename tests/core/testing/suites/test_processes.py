"""The suite of processes passes on every built-in one."""

from __future__ import annotations

import pytest
from noiseform.core.registration.registry import current
from noiseform.testing import ProcessSuite

BUILT_IN = [part.name for part in current().plugins.parts("process") if part.plugin.candidate.builtin]
VARIANTS = [
    ("discrete-vp", {"parameters": {"zero_terminal_snr": True}}),
    ("discrete-vp", {"parameters": {"schedule": "cosine", "length": 10}, "idle": ["beta_start"]}),
    ("vp-sigmoid", {"parameters": {"start": 0.0, "end": 3.0, "tau": 0.3}}),
    ("vp-cosine", {"parameters": {"offset": 0.0}}),
]


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in(name, found):
    assert found("process", name) == {}


@pytest.mark.parametrize(("name", "claims"), VARIANTS)
def test_built_in_with_parameters(name, claims, found):
    assert found("process", name, claims) == {}


class TestAsAnAuthorWritesIt(ProcessSuite):
    """Collected by pytest: a name is a whole test."""

    component = "flow"
