"""The error-controlled sampler: its tolerance against exact trajectories, and what it does not depend on."""

from __future__ import annotations

import math

import pytest
import torch
from noiseform import ConfigError, GaussianMixture, NumericError, build, sample
from noiseform.core.diffusion.process import complete, levels_at
from torch.testing import assert_close

EXAMPLES = True


class Counted:
    """A denoiser that counts its calls."""

    def __init__(self, denoise):
        self.denoise, self.calls = denoise, 0

    def __call__(self, x, level):
        self.calls += 1
        return self.denoise(x, level)


def errors_of(process, mixture, trajectories, order, tolerances, steps=1):
    """Return the largest error of a row, and the NFE, from pure noise to data."""
    grid, errors, calls = build("grid", "log-snr"), [], []
    first, *_, last = levels_at(process, grid.times(process, steps))
    for tolerance in tolerances:
        sampler = build("sampler", "adaptive", order=order, rtol=tolerance, atol=tolerance)
        denoise = Counted(mixture)
        made = sample(denoise, process=process, sampler=sampler, grid=grid, steps=steps, x=trajectories.at(first))
        errors.append((made - trajectories.at(last)).square().mean(1).sqrt().max().item())
        calls.append(denoise.calls)
    return errors, calls


@pytest.mark.parametrize("order", [3, 5])
def test_meets_its_tolerance(process, mixture, trajectories, order):
    """From noise to data in one step of the grid: all steps are its own."""
    tolerances = (1e-3, 1e-6)
    errors, calls = errors_of(process, mixture, trajectories, order, tolerances)
    for error, tolerance in zip(errors, tolerances, strict=True):
        assert error <= 4 * tolerance, errors
    assert errors[-1] < errors[0] / 20, errors
    assert calls == sorted(set(calls)), calls
    assert calls[0] < 80, calls


def test_order_five_takes_fewer_steps_for_a_small_tolerance(mixture, trajectories):
    process = complete(build("process", "vp-cosine"))
    (_, (third,)), (_, (fifth,)) = (errors_of(process, mixture, trajectories, order, (1e-6,)) for order in (3, 5))
    assert fifth < third / 2


@pytest.mark.parametrize("steps", [2, 7, 40])
def test_meets_its_tolerance_on_any_grid(process, mixture, trajectories, steps):
    errors, calls = errors_of(process, mixture, trajectories, 3, (1e-4,), steps)
    assert errors[0] <= 4e-4
    assert calls[0] >= 3 * steps - 2


def test_narrow_data_take_smaller_angles(trajectories_of):
    """Two points but for a width of 1e-3, which only angles about as small can see: none is passed over."""
    narrow = GaussianMixture([[-1.0], [1.0]], [1e-3, 1e-3])
    process, exact = complete(build("process", "flow")), trajectories_of(narrow)
    errors, _ = errors_of(process, narrow, exact, 5, (1e-4, 1e-6))
    assert errors[0] <= 4e-4
    assert errors[1] <= 4e-6


def test_a_row_does_not_depend_on_its_batch(process):
    """Rows of which some cross a steep place and others do not: each is the same alone, to the last bit."""
    data = GaussianMixture([[-1.0, 0.0], [1.0, 0.0], [0.0, 3.0]], [0.01, 0.02, 0.5])
    run = {"process": process, "sampler": "adaptive", "grid": "log-snr", "steps": 3, "dtype": torch.float64}
    together = sample(data, shape=(2,), seeds=range(6), **run)
    for seed in range(6):
        assert_close(sample(data, shape=(2,), seeds=[seed], **run)[0], together[seed], rtol=0, atol=1e-13)


def test_float32_is_float64_within_the_tolerance(mixture):
    run = {"process": "vp-linear", "sampler": "adaptive", "grid": "log-snr", "steps": 4}
    start = sample(mixture, shape=(2,), seeds=range(8), dtype=torch.float64, **run)
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(1))
    single, double = sample(mixture, x=x, **run), sample(mixture, x=x.double(), **run)
    assert single.dtype == torch.float32
    assert start.dtype == torch.float64
    assert_close(single.double(), double, rtol=0, atol=1e-3)


def test_what_jumps_without_end_is_refused():
    """A denoiser that says something else at each angle cannot be integrated."""
    with pytest.raises(NumericError, match=r"raise rtol and atol"):
        sample(
            lambda x, level: torch.sin(x * 1e9) + math.sin(1e9 * level.sigma),
            process="flow",
            sampler=build("sampler", "adaptive", rtol=1e-8, atol=1e-8),
            grid="uniform",
            steps=1,
            shape=(1,),
            seeds=[0],
            dtype=torch.float64,
        )


@pytest.mark.parametrize("wrong", [{"order": 4}, {"rtol": 0.0}, {"atol": -1.0}, {"rtol": 2.0}])
def test_parameters_have_bounds(wrong):
    with pytest.raises(ConfigError, match="adaptive"):
        build("sampler", "adaptive", **wrong)
