"""The suite of metrics passes on every built-in one."""

from __future__ import annotations

import pytest
from noiseform.core.registration.registry import current
from noiseform.core.testing.mutants.metrics import MUTANTS, Moments
from noiseform.testing import MetricSuite

BUILT_IN = [part.name for part in current().plugins.parts("metric") if part.plugin.candidate.builtin]


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in(name, found):
    assert found("metric", name) == {}


@pytest.mark.parametrize("method", ["bound", "chain"])
def test_other_ways_of_the_likelihood(method, found):
    assert found("metric", "likelihood", {"parameters": {"method": method, "draws": 8}, "of_the_work": ("nfe",)}) == {}


def test_nothing_warns_where_a_figure_is_not_finite(found):
    """The table of the docs is made by running every check on every mutant, where a warning is no finding."""
    (mutant,) = [one for one in MUTANTS if one.name == "is not finite for a single item"]
    assert "expected a mapping of names to finite numbers" in found("metric", mutant.factory)["test_small_sets"]


class TestAsAnAuthorWritesIt(MetricSuite):
    """Collected by pytest, with the factory itself, and an example of its own."""

    component = Moments
    symmetric = True
    media = {"height": 6, "width": 5, "channels": 1}  # noqa: RUF012
