"""Which process and objective a stage refuses together: those at whose noise the clean item cannot be told."""

from __future__ import annotations

import pytest
from noiseform.core.errors import ConfigError, PluginError
from noiseform.core.media import MediaSpec
from noiseform.core.pipeline.stage import Stage, build_stage
from noiseform.core.registration.config import StageConfig, checked

ZERO_SNR = {"use": "discrete-vp", "schedule": "scaled-linear", "zero_terminal_snr": True}
SIGMOID = {"use": "vp-sigmoid"}


def stage(process: dict[str, object], objective: dict[str, object]) -> Stage:
    table = {
        "process": process,
        "objective": objective,
        "codec": {"use": "identity"},
        "network": {"use": "unet-1d", "channels": [8], "blocks": 1, "head_width": 8},
    }
    return build_stage(
        checked(StageConfig, table, what="stage"), MediaSpec((1, 16), rates=(1000.0,), low=-1.0, high=1.0)
    )


@pytest.mark.parametrize("process", [ZERO_SNR, SIGMOID], ids=lambda table: table["use"])
@pytest.mark.parametrize("objective", ["eps", "score", "hybrid-vlb"])
def test_eps_and_score_are_refused_where_all_ends_in_noise(process, objective):
    with pytest.raises(ConfigError) as caught:
        stage(process, {"use": objective})
    text = str(caught.value)
    assert f"process {process['use']!r} and objective {objective!r} do not go together" in text
    assert "at t = 1, where alpha is 0; use v, x0 or edm, or another process" in text
    assert "\n" not in text


def test_velocity_is_refused_where_it_has_no_end():
    with pytest.raises(ConfigError, match="velocity cannot tell the clean item at t = 1"):
        stage(SIGMOID, {"use": "velocity"})
    assert stage(ZERO_SNR, {"use": "velocity"}).objective.prediction.name == "velocity"


@pytest.mark.parametrize("process", [ZERO_SNR, SIGMOID], ids=lambda table: table["use"])
@pytest.mark.parametrize("objective", ["v", "x0", "edm"])
def test_what_is_advised_goes(process, objective):
    assert stage(process, {"use": objective}).objective.prediction.name == objective


def test_the_same_table_with_some_signal_left_takes_eps():
    assert stage(ZERO_SNR | {"zero_terminal_snr": False}, {"use": "eps"}).objective.prediction.name == "eps"


REVERSED = """
    from noiseform import hookimpl

    class Reversed:
        def alpha(self, t): return 1 * t
        def sigma(self, t): return 1 - t

    @hookimpl
    def noiseform_processes(): return {"reversed": Reversed}
"""


@pytest.mark.parametrize("objective", ["v", "x0", "edm", "eps", "velocity"])
def test_a_process_that_runs_from_noise_to_data_is_told_as_such(site, objective):
    site.add("turned", {"turned": REVERSED})
    with pytest.raises(PluginError) as caught:
        stage({"use": "reversed"}, {"use": objective})
    text = str(caught.value)
    assert text.startswith(
        "process 'reversed': alpha is 0 and sigma 1 at t = 0, 1 and 0 at t = 1; expected alpha(0) = 1 "
    )
    assert "objective" not in text
