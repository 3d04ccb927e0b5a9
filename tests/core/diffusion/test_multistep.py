"""Samplers that reuse evaluations: exact weights, the order of every setting, the ends of a process."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from noiseform import build, sample
from noiseform.core.diffusion.multistep import Seen, exponential_weights
from noiseform.core.diffusion.process import complete, levels_at
from scipy.integrate import quad
from torch.testing import assert_close

SETTINGS = [
    ("dpmpp-2s", {}),
    ("dpmpp-3m", {}),
    ("dpmpp-3m", {"variant": "released"}),
    *(("unipc", {"points": points, "variant": variant}) for points in (1, 2, 3) for variant in ("bh1", "bh2")),
    *(("deis", {"points": points}) for points in (1, 2, 3, 4)),
    ("ipndm", {}),
    ("ipndm", {"start": "heun"}),
]


class Fixed:
    """A grid of given times."""

    def __init__(self, times):
        self._times = times

    def times(self, process, steps):
        return self._times


@pytest.mark.parametrize("rate", [1e-9, 0.003, 0.7, 3.9, 4.1, 40.0, -1e-9, -0.003, -0.7, -3.9, -4.1, -40.0])
@pytest.mark.parametrize("nodes", [(0.0,), (0.0, -0.4), (0.0, 1.0, -2.5), (0.0, -0.9, -1.1, -7.0)])
def test_weights_integrate_polynomials_exactly(rate, nodes):
    weights = exponential_weights(rate, nodes)
    for power in range(len(nodes)):
        expected, _ = quad(
            lambda u, power=power: rate * math.exp(rate * (u - 1)) * u**power, 0, 1, epsrel=1e-13, epsabs=0, limit=200
        )
        made = [weight * node**power for weight, node in zip(weights, nodes, strict=True)]
        assert_close(math.fsum(made), expected, rtol=1e-12, atol=1e-13 * max(map(abs, made)))


def levels_of(name, log_snr):
    process = complete(build("process", name))
    return levels_at(process, process.t_of_log_snr(torch.tensor(log_snr, dtype=torch.float64)))


@pytest.mark.parametrize("under", ["vp-linear", "ve", "flow"])
def test_a_polynomial_of_x0_is_followed_exactly(under):
    """dpmpp-3m after its first steps, on uneven steps: x0 is a parabola of lambda, whatever x is."""
    *seen, here, there = levels_of(under, [-4.0, -2.6, -1.8, 0.4])

    def parabola(lam):
        return 0.3 - 0.7 * lam + 0.2 * lam**2

    def denoise(x, level):
        return torch.full_like(x, parabola(level.log_snr / 2))

    x = torch.tensor([[1.3]], dtype=torch.float64)
    past = tuple(Seen(level, denoise(x, level)) for level in reversed(seen))
    made, _ = build("sampler", "dpmpp-3m").step(x, here, there, denoise, None, past)
    end = there.log_snr / 2
    gained, _ = quad(lambda lam: math.exp(lam - end) * parabola(lam), here.log_snr / 2, end, epsrel=1e-13)
    assert_close(made.item(), there.sigma / here.sigma * x.item() + there.alpha * gained, rtol=1e-11, atol=0)


@pytest.mark.parametrize("under", ["vp-linear", "ve", "flow"])
def test_a_polynomial_of_eps_is_followed_exactly(under):
    """deis with four points, on uneven steps: eps is a cubic of log(nsr), whatever x is."""
    *seen, here, there = levels_of(under, [-4.4, -4.0, -2.6, -1.8, 0.4])

    def cubic(lam):
        return 0.3 - 0.7 * lam + 0.2 * lam**2 + 0.1 * lam**3

    def denoise(x, level):
        return (x - level.sigma * cubic(level.log_snr / 2)) / level.alpha

    x = torch.tensor([[1.3]], dtype=torch.float64)
    past = tuple(Seen(level, torch.full_like(x, level.sigma * cubic(level.log_snr / 2))) for level in reversed(seen))
    made, _ = build("sampler", "deis", points=4).step(x, here, there, denoise, None, past)
    start, end = here.log_snr / 2, there.log_snr / 2
    change, _ = quad(lambda lam: math.exp(-lam) * cubic(lam), start, end, epsrel=1e-13)
    assert_close(made.item(), there.alpha * (x.item() / here.alpha - change), rtol=1e-11, atol=0)


@pytest.mark.parametrize(("name", "settings"), SETTINGS)
def test_every_setting_converges_at_its_order(name, settings, mixture, trajectories):
    """From an nsr of 1, where x0 curves: there a first step of lower order cannot hide."""
    process, grid, sampler = build("process", "vp-linear"), build("grid", "log-snr"), build("sampler", name, **settings)
    errors, counts = [], []
    for steps in (120, 240, 480):
        times = grid.times(process, steps)
        log_snr = process.log_snr(times)
        times = times[(log_snr >= 0) & (log_snr <= 4)]
        first, *_, last = levels_at(complete(process), times)
        counts.append(len(times) - 1)
        x0 = sample(
            mixture, process=process, sampler=sampler, grid=Fixed(times), steps=counts[-1], x=trajectories.at(first)
        )
        errors.append((x0 - trajectories.at(last)).square().mean().sqrt().item())
    slope = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert abs(slope - sampler.order) <= 0.2, (counts, errors)


@pytest.mark.parametrize(("name", "settings"), SETTINGS)
def test_every_setting_agrees_between_processes_of_equal_snr(name, settings, normal):
    start, sampler, made = normal(3, 4, purpose="start"), build("sampler", name, **settings), []
    for under in ("edm", "flow", "vp-linear", "vp-cosine"):
        levels = levels_of(under, [-4.0, -3.5, -2.5, -2.0, -0.5, 0.2, 1.5, 3.0])
        x = levels[0].alpha * start
        state = sampler.init(x)
        for here, there in pairwise(levels):
            x, state = sampler.step(
                x, here, there, lambda x, level: torch.sin(3 * x / level.alpha) + level.log_snr / 10, None, state
            )
        made.append(x / levels[-1].alpha)
    for other in made[1:]:
        assert_close(other, made[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("under", ["flow", "ve"])
def test_every_setting_is_finite_from_end_to_end(under, mixture):
    """Also from alpha = 0 to sigma = 0 in float32: few steps may be coarse, many are right."""
    run = {"process": under, "grid": "uniform", "shape": (2,), "seeds": range(8)}

    def denoise(x, level):
        return mixture(x.double(), level).float()

    fine = sample(denoise, sampler="dpmpp-2m", steps=200, **run)
    for name, settings in SETTINGS:
        for steps in (1, 2, 3, 50):
            x0 = sample(denoise, sampler=build("sampler", name, **settings), steps=steps, **run)
            assert x0.isfinite().all(), (name, settings, steps)
        error = (x0 - fine).abs().max().item()
        assert error < 0.06, (name, settings, error)


@pytest.mark.parametrize("name", ["deis", "dpmpp-3m", "unipc", "ipndm"])
def test_one_step_is_ddims(name, mixture):
    run = {"process": "flow", "grid": "uniform", "steps": 1, "shape": (2,), "seeds": range(3), "start": 0.8}
    assert_close(sample(mixture, sampler=name, **run), sample(mixture, sampler="ddim", **run))


def test_deis_of_one_point_is_ddim(process, grid, mixture):
    run = {"process": process, "grid": grid, "steps": 9, "shape": (2,), "seeds": range(3), "dtype": torch.float64}
    one = sample(mixture, sampler=build("sampler", "deis", points=1), **run)
    assert_close(one, sample(mixture, sampler="ddim", **run), rtol=1e-9, atol=1e-9)


def test_heuns_start_takes_one_evaluation_more(mixture):
    calls = 0

    def counted(x, level):
        nonlocal calls
        calls += 1
        return mixture(x, level)

    run = {"process": "vp-linear", "grid": "log-snr", "steps": 9, "shape": (2,), "seeds": [0], "dtype": torch.float64}
    for start, expected in (("adams", 9), ("heun", 10)):
        sampler, calls = build("sampler", "ipndm", start=start), 0
        sample(counted, sampler=sampler, **run)
        assert calls == expected
        assert sampler.nfe_varies == (calls != 9)
