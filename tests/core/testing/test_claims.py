"""What an author sees of the kit under pytest: the line of a check with its message, and typos in claims."""

from __future__ import annotations

import subprocess
import sys
import traceback

import pytest
from noiseform.core.testing.finding import Finding, of_the_part, refused
from noiseform.core.testing.suites.samplers import SamplerSuite

PLUGIN = """\
import pytest
from noiseform.testing import SamplerSuite

class Euler:
    order, stochastic, nfe_per_step = 1, False, 1
    def init(self, x): return None
    def step(self, x, here, next, denoise, noise, state):
        x0 = denoise(x, here)
        x.copy_(next.alpha * x0 + next.sigma * (x - here.alpha * x0) / here.sigma)
        return x, None

class TestEuler(SamplerSuite):
    component = Euler
    declared_order = 2
    pytestmark = [pytest.mark.filterwarnings("error")]
    _own = 3
"""


def test_a_typo_in_a_claim_is_refused():
    with pytest.raises(
        Finding, match=r"Typo: 'declared_ordr' is no claim of a sampler; did you mean 'declared_order'\?"
    ):
        type("Typo", (SamplerSuite,), {"component": "euler", "declared_ordr": 2})
    suite = type("Mine", (SamplerSuite,), {"component": "euler", "made_of": lambda self: 1, "_steps": 3})
    with pytest.raises(Finding, match="'superconvergant' is no claim"):
        type("Again", (suite,), {"superconvergant": True})


def test_the_check_is_shown_and_not_the_kit(tmp_path):
    (tmp_path / "test_own.py").write_text(PLUGIN)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "inputs_alone or declares"]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 1
    assert "2 failed" in done.stdout
    assert ">           with unchanged(x=x):" in done.stdout
    assert "x was changed in place" in done.stdout
    assert "holds(made.order == order" in done.stdout
    assert len(done.stdout.splitlines()) < 60
    assert not [word for word in ("def holds", "raise Finding", "contextlib", "finding.py") if word in done.stdout]


def test_of_an_exception_the_lines_of_the_part_stay():
    def part():
        raise ValueError("by the part")

    with pytest.raises(Finding) as caught, refused(KeyError, "what it does"):
        part()
    error = caught.value.__cause__
    assert error is not None
    names = [frame.name for frame in traceback.extract_tb(of_the_part(error).__traceback__)]
    assert names == ["test_of_an_exception_the_lines_of_the_part_stay", "part"]
    assert of_the_part(ValueError("never raised")).__traceback__ is None
