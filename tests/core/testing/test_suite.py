"""What every suite shares: the claims of a part, and the small words that checks are written in."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from noiseform.core.registration.build import find
from noiseform.core.testing.finding import same
from noiseform.core.testing.mutants.grids import EqualTimes
from noiseform.testing import Finding, GridSuite, SamplerSuite


class TestLeading(GridSuite):
    """A part that claims something itself: its two lines are a whole test as well."""

    component = "leading"


class TestUniPC(SamplerSuite):
    """What the test class says goes above what the part claims."""

    component = "unipc"
    superconvergent = False

    def test_order_of_convergence(self) -> None:
        with pytest.raises(Finding, match="superconvergent = True"):
            super().test_order_of_convergence()


def about(part: Any, **attributes: object) -> type[GridSuite]:
    return type("About", (GridSuite,), {"component": part, **attributes})


def test_a_part_is_loaded_when_a_suite_of_it_is_made():
    suite = about("no-such-grid")
    with pytest.raises(Finding, match="unknown grid 'no-such-grid'"):
        suite()


def test_the_claims_of_a_part_stay_with_it():
    assert about("leading")().starts_at_noise is find("grid", "leading").load().claims["starts_at_noise"]
    assert about("leading", starts_at_noise=True)().starts_at_noise
    assert type("Nearer", (about("leading"),), {"component": "uniform"})().starts_at_noise
    assert GridSuite.starts_at_noise


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        ({"superb": True}, "a grid can claim no 'superb'; .*starts_at_noise"),
        ({"test_levels_differ": None}, "a grid can claim no 'test_levels_differ'"),
        ({"component": "uniform"}, "a grid can claim no 'component'"),
        (["starts_at_noise"], "expected values by name, got a list"),
    ],
)
def test_claims_that_no_suite_knows(claims, found):
    class Claims(EqualTimes):
        pass

    Claims.claims = claims
    with pytest.raises(Finding, match=found):
        about(Claims)()


def test_same_of_nothing():
    same(torch.zeros(0, 3), torch.zeros(0, 3), "nothing")
    with pytest.raises(Finding, match="expected shape"):
        same(torch.zeros(0, 3), torch.zeros(3, 0), "nothing")


@pytest.mark.parametrize("wrong", [1e-3, float("nan"), float("inf")])
def test_same_tells_by_how_much(wrong):
    with pytest.raises(Finding, match=rf"a number: off by {'0.001' if wrong == 1e-3 else wrong}"):
        same(torch.tensor([1.0, 1.0 + wrong]).double(), torch.ones(2).double(), "a number", atol=1e-4)


NAMES = "from noiseform import hookimpl\n@hookimpl\ndef noiseform_grids():\n    return {'even': 'even_grid:Even'}\n"
EVEN = "from noiseform.core.testing.mutants.grids import EqualTimes\nclass Even(EqualTimes): pass\n"


@pytest.mark.parametrize(
    ("module", "top", "found"),  # a module of another name each, since each is looked at once
    [("light", "", None), ("pictures", "import PIL\n", "imports PIL at its top"), ("heavy", "import torch\n", "torch")],
)
def test_a_plugin_that_imports_something_heavy_is_found(site, module, top, found):
    site.add("even-kit", {f"{module}_names": f"{top}{NAMES}", "even_grid": EVEN})
    check = about("even")().test_import_is_light
    if found is None:
        check()
        return
    with pytest.raises(Finding, match=found):
        check()
