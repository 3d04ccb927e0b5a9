"""The suite of pipelines passes on every built-in one."""

from __future__ import annotations

import pytest
from noiseform.core.pipeline.conversion import write_converted
from noiseform.core.registration.registry import current
from noiseform.core.testing.mutants.converters import TABLE, Squares, example
from noiseform.testing import PipelineSuite

BUILT_IN = [part.name for part in current().plugins.parts("pipeline") if part.plugin.candidate.builtin]


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in(name, found):
    assert found("pipeline", name) == {}


DRIFTING = """
from noiseform import hookimpl
class Drifting:
    order, stochastic, nfe_per_step, steps = 1, False, 1, 0
    def init(self, x): return None
    def step(self, x, here, next, denoise, noise, state):
        Drifting.steps += 1
        return denoise(x, here) * (0.5 + 0.4 * (Drifting.steps % 2)), None
@hookimpl
def noiseform_samplers(): return {"drifting": "drifting:Drifting"}
"""


@pytest.mark.parametrize(("sampler", "failed"), [("euler", []), ("drifting", ["test_is_deterministic"])])
def test_a_part_that_remembers_other_items_is_found(found, site, tmp_path, sampler, failed):
    site.add("drifting", {"drifting": DRIFTING})
    (tmp_path / "squares").mkdir()
    example(tmp_path / "squares")
    write_converted(Squares().convert(tmp_path / "squares", pickles=False), tmp_path / "model", source="squares")
    stage = {**TABLE["stages"][0], "sampler": {"use": sampler}}
    table = {**TABLE, "stages": [stage], "weights": str(tmp_path / "model")}
    assert list(found("pipeline", lambda: table)) == failed


def test_checks_of_parameters_are_not_there():
    assert not {name for name in PipelineSuite.checks() if "parameters" in name}


class TestAsAnAuthorWritesIt(PipelineSuite):
    """Collected by pytest."""

    component = "noiseform/films-x2"
