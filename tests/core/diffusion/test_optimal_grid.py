"""The times that a trial chooses: closer to the ODE than the usual ones, on starts that it has not seen."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from noiseform import GaussianMixture, build, optimal_grid, sample
from noiseform.core.diffusion.descent import descended
from noiseform.core.diffusion.noise import Draws, keys_of
from noiseform.core.diffusion.optimal import Trial
from noiseform.core.errors import ConfigError
from torch.testing import assert_close

USUAL = [("angle", {}), ("angle", {"stretch": 2.0}), ("log-snr", {}), ("karras", {}), ("uniform", {})]
DOUBLE = {"dtype": torch.float64}


class Counted:
    """A denoiser that counts its calls."""

    def __init__(self, denoise):
        self.denoise, self.calls = denoise, 0

    def __call__(self, x, level):
        self.calls += 1
        return self.denoise(x, level)


def distance(mixture, process, sampler, grid, steps, seeds):
    """Return the mean distance between where runs end and where the exact ODE, finely solved by Heun's method, does."""
    ends = [
        sample(mixture, process=process, sampler=s, grid=g, steps=n, shape=(2,), seeds=seeds, **DOUBLE)
        for s, g, n in ((sampler, grid, steps), ("heun", "angle", 600))
    ]
    return (ends[0] - ends[1]).square().mean(1).sqrt().mean().item()


def chosen(mixture, process, sampler, steps, **settings):
    given = {"shape": (2,), "seeds": range(16), **DOUBLE, **settings}
    return optimal_grid(mixture, process=process, sampler=sampler, steps=steps, **given)


@pytest.mark.parametrize(
    ("process", "sampler", "steps", "share"),
    [
        ("discrete-vp", "spline", 5, 0.9),
        ("discrete-vp", "spline", 10, 0.6),
        ("flow", "dpmpp-2m", 6, 0.9),
        ("edm", "heun", 6, 0.9),
        ("vp-linear", "ddim", 8, 1.02),  # in first order equal angles can hardly be bettered
    ],
)
def test_brings_unseen_starts_nearer_than_any_usual_grid(mixture, process, sampler, steps, share):
    grid, unseen = chosen(mixture, process, sampler, steps), range(1000, 1200)
    usual = [
        distance(mixture, process, sampler, build("grid", name, **params), steps, unseen) for name, params in USUAL
    ]
    assert distance(mixture, process, sampler, grid, steps, unseen) < share * min(usual)


def test_is_the_part_with_ratios_that_fall(mixture):
    grid = chosen(mixture, "flow", "spline", [4, 7], calls=200)
    assert type(grid) is type(build("grid", "optimal"))
    assert [len(one) for one in grid.nsr] == [3, 6]
    assert all(here > next > 0 for one in grid.nsr for here, next in pairwise(one))


def test_is_the_same_again_and_whatever_the_batch(mixture):
    def row_by_row(x, level):
        return torch.cat([mixture(row[None], level) for row in x])

    first, again, alone = (chosen(one, "flow", "spline", 5, calls=200) for one in (mixture, mixture, row_by_row))
    assert first == again
    assert_close(torch.tensor(alone.nsr), torch.tensor(first.nsr), rtol=1e-9, atol=0)


@pytest.mark.parametrize("sampler", ["spline", "heun"])
def test_keeps_to_its_calls_and_tells_them(mixture, sampler):
    denoise = Counted(mixture)
    trial = Trial(denoise, process="flow", sampler=sampler, shape=(2,), seeds=range(4), steps=5)
    fine = denoise.calls
    assert fine == trial.calls == 100
    part = build("sampler", sampler)
    for calls in (40 * part.nfe_per_step, 100 * part.nfe_per_step):
        before = denoise.calls
        found = trial.best(5, calls=calls)
        assert found.calls == denoise.calls - before
        assert calls / 2 < found.calls <= calls
    assert trial.calls == denoise.calls


def test_more_calls_find_times_that_are_no_worse(mixture):
    found = []
    for calls in (45, 120, 400):
        trial = Trial(mixture, process="flow", sampler="spline", shape=(2,), seeds=range(32), steps=5)
        found.append(trial.best(5, than="log-snr", calls=calls))
    assert found[0].before > found[0].after > found[1].after > found[2].after
    assert len({one.before for one in found}) == 1


def test_never_gives_up_a_grid_for_a_worse_one(mixture):
    trial = Trial(mixture, process="discrete-vp", sampler="spline", shape=(2,), seeds=range(16), steps=5, **DOUBLE)
    first = trial.best(5)
    second = trial.best(5, than=build("grid", "optimal", nsr=[list(first.nsr)]), calls=100)
    assert second.before == pytest.approx(first.after, rel=1e-9)
    assert second.after <= second.before


def test_a_grid_that_stops_before_zero_may_be_replaced(mixture):
    trial = Trial(mixture, process="discrete-vp", sampler="ddim", shape=(2,), seeds=range(8), steps=5)
    found = trial.best(5, than=build("grid", "leading", offset=1, to_zero=False), calls=150)
    assert found.after < found.before / 1.5


def test_the_fine_runs_end_where_the_ode_does():
    """Of one Gaussian of unit variance at the origin that is where they began."""
    one = GaussianMixture([[0.0, 0.0]], [1.0])
    trial = Trial(one, process="vp-cosine", sampler="ddim", shape=(2,), seeds=range(6), steps=40, **DOUBLE)
    start = Draws().normal(keys_of(range(6)), (2,), purpose="prior", dtype=torch.float64)
    assert trial.spread == pytest.approx(start.square().mean().sqrt().item(), rel=1e-6)


@pytest.mark.parametrize("sampler", ["ddpm", build("sampler", "ddim", eta=1.0)], ids=["ddpm", "ddim-1"])
def test_a_sampler_that_adds_noise_is_refused(mixture, sampler):
    with pytest.raises(ConfigError, match="adds noise"):
        chosen(mixture, "flow", sampler, 5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"seeds": [0]}, "seeds: expected at least two"),
        ({"steps": 1}, "steps: expected a whole number from 2, got 1"),
        ({"steps": [4, True]}, "got True"),
        ({"power": 0}, "power: expected a number above 0"),
        ({"power": math.nan}, "power: expected a number above 0"),
    ],
)
def test_what_cannot_be_is_refused(mixture, settings, said):
    given = {"steps": 4, **settings}
    with pytest.raises(ConfigError, match=said):
        chosen(mixture, "flow", "spline", **given)


def test_a_candidate_that_fails_is_no_candidate(mixture):
    def brittle(x, level):
        """Knows nothing of the levels that only the grids in log-SNR visit."""
        return mixture(x, level) * (math.nan if 0 < level.sigma / max(level.alpha, 1e-9) < 0.02 else 1.0)

    class Reference:
        done = False

        def __call__(self, x, level):
            return mixture(x, level) if not self.done else brittle(x, level)

    denoise = Reference()
    trial = Trial(denoise, process="flow", sampler="ddim", shape=(2,), seeds=range(8), steps=5)
    denoise.done = True
    found = trial.best(5, calls=200)
    assert found.nsr[-1] >= 0.02
    assert math.isfinite(found.after)
    assert found.after < found.before


def test_the_descent_finds_the_bottom_of_a_valley():
    def value(x):
        return (x[0] - 0.7) ** 2 + 3 * (x[1] + 0.2) ** 2 + 0.5 * (x[0] - 0.7) * (x[1] + 0.2) + math.cosh(x[2])

    point, least = descended(value, (0.0, 0.0, 0.4), value((0.0, 0.0, 0.4)), 0.5, gain=1e-9)
    assert_close(torch.tensor(point), torch.tensor([0.7, -0.2, 0.0]), rtol=0, atol=1e-2)
    assert least == value(point)


def test_the_descent_ends_where_everything_is_worthless():
    asked = []

    def value(x):
        asked.append(x)
        return math.inf

    assert descended(value, (1.0, 2.0), 5.0, 0.5) == ((1.0, 2.0), 5.0)
    assert len(asked) == 8
