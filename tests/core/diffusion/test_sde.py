"""The process as a stochastic equation: its rates, exact and first-order steps, the way back, and the ODE."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from noiseform import build
from noiseform.core.diffusion.process import complete, level_at, levels_at
from noiseform.core.diffusion.sde import diffusion, drift, first_order, forward, probability_flow, reverse_drift
from scipy.integrate import solve_ivp
from torch.testing import assert_close

EXACT = {"rtol": 1e-12, "atol": 1e-13}
EYE = torch.eye(2, dtype=torch.float64)


def moments_of(mixture, level):
    """Return mean and covariance of the mixture at a level."""
    share = mixture.log_weights.exp()
    mean = share @ mixture.means
    spread = (mixture.means - mean).T @ torch.diag(share) @ (mixture.means - mean)
    covariance = spread + (share @ mixture.widths**2) * EYE
    return level.alpha * mean, level.alpha**2 * covariance + level.sigma**2 * EYE


def assert_distributed(x, mixture, level, *, bias=0.0):
    """Compare with four standard errors of so many rows, and a bias relative to the size of x."""
    mean, covariance = moments_of(mixture, level)
    size = covariance.diagonal().max().item()
    assert_close(x.mean(0), mean, rtol=0, atol=bias * math.sqrt(size) + 4 * math.sqrt(size / len(x)))
    assert_close(x.T.cov(), covariance, rtol=0, atol=bias * size + 4 * size * math.sqrt(2 / len(x)))


def test_marginals_obey_the_stochastic_equation(process, times):
    """The mean and variance of ``dx = f x dt + g dw`` move as ``dm = f m dt``, ``dV = (2 f V + g**2) dt``."""
    f, g, width = drift(process, times), diffusion(process, times), 1e-6
    mean, variance = process.alpha, lambda t: process.sigma(t) ** 2
    slope = lambda of: (of(times + width) - of(times - width)) / (2 * width)  # noqa: E731
    assert_close(f * mean(times), slope(mean), rtol=1e-6, atol=1e-6)
    assert_close(2 * f * variance(times) + g**2, slope(variance), rtol=1e-5, atol=1e-6)


def test_known_stochastic_equations(times):
    """Song et al. 2021, appendix C: equations 30 (VE) and 32 (VP), and the sub-VP SDE at the rate of the latter."""
    t = torch.cat([times.new_zeros(1), times, times.new_ones(1)])
    beta = 0.1 + 19.9 * t
    integral = 0.1 * t + 9.95 * t**2
    known = {
        "vp-linear": (-beta / 2, beta.sqrt()),
        "sub-vp": (-beta / 2, (beta * -torch.expm1(-2 * integral)).sqrt()),
        "ve": (torch.zeros_like(t), 0.01 * 5000.0**t * math.sqrt(2 * math.log(5000.0))),
    }
    for name, (f, g) in known.items():
        process = build("process", name)
        assert_close(drift(process, t), f, **EXACT)
        assert_close(diffusion(process, t), g, rtol=1e-7, atol=0)
        assert_close(diffusion(process, times), g[1:-1], rtol=1e-9, atol=0)


def test_rates_are_finite_but_where_all_is_noise(process):
    t = torch.tensor([0.0, 1e-10, 0.5, 1.0], dtype=torch.float64)
    ends_in_noise = process.alpha(t[-1:]).item() == 0
    for rate in (drift(process, t), diffusion(process, t)):
        assert torch.isfinite(rate[:-1]).all()
        assert math.isfinite(rate[-1]) != ends_in_noise
    assert_close(diffusion(process, t)[0], diffusion(process, t)[1], rtol=1e-3, atol=2e-3)


def test_two_exact_steps_are_one(process, times):
    levels = levels_at(process, torch.cat([times.new_zeros(1), times, times.new_ones(1)]))
    for first, second, third in zip(levels, levels[7:], levels[16:], strict=False):
        one, other, whole = forward(first, second), forward(second, third), forward(first, third)
        assert_close(other.of_x * one.of_x, whole.of_x, **EXACT)
        assert_close(other.of_x**2 * one.variance + other.variance, whole.variance, **EXACT)
        assert one.variance > 0
    whole = forward(levels[0], levels[-1])
    assert (whole.of_x, whole.variance) == (levels[-1].alpha, levels[-1].sigma ** 2)


def test_exact_steps_take_tensors(process, times):
    here, there = times[:-1], times[1:]
    together = forward(level_at(process, here), level_at(process, there))
    alone = [forward(*pair) for pair in pairwise(levels_at(process, times))]
    for name in ("of_x", "variance"):
        expected = torch.tensor([getattr(one, name) for one in alone], dtype=torch.float64)
        assert_close(getattr(together, name), expected, **EXACT)


def test_steps_of_first_order_become_the_exact_one(process):
    """Mean and variance after many of them, which their factors give without drawing anything."""
    first, last, counts, errors = 0.1, 0.9, (40, 80, 160), []
    exact = forward(*levels_at(process, torch.tensor([first, last], dtype=torch.float64)))
    for count in counts:
        t = torch.linspace(first, last, count + 1, dtype=torch.float64)
        of_x, variance = 1.0, 0.0
        for kept, added in zip(*(part.tolist() for part in first_order(process, t[:-1], t[1:])), strict=True):
            of_x, variance = kept * of_x, kept**2 * variance + added
        errors.append(math.hypot(of_x / exact.of_x - 1, variance / exact.variance - 1))
    order = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert abs(order - 1) <= 0.2, errors


@pytest.mark.parametrize("exact", [True, False])
def test_the_forward_equation_leads_to_the_marginals(process, mixture, normal, exact):
    """Simulated from the data on, in 6 exact steps or 400 of first order."""
    t = torch.linspace(0, 0.9, 7 if exact else 401, dtype=torch.float64)
    levels = levels_at(process, t)
    short = zip(*first_order(process, t[:-1], t[1:]), strict=True)
    steps = [forward(*pair) for pair in pairwise(levels)] if exact else short
    x = mixture.sample(3000, seed=5)
    for index, (of_x, variance) in enumerate(steps):
        x = of_x * x + variance**0.5 * normal(*x.shape, purpose=f"step {index}")
    assert_distributed(x, mixture, levels[-1], bias=0 if exact else 0.05)


@pytest.mark.parametrize("noise", [0.5, 1.0])  # of 0 the ODE has tests below
def test_the_way_back_leads_to_the_data(process, mixture, normal, noise):
    """With the exact score, whatever the noise, from a log-SNR of -6 to one of 6, in 240 equal steps of it."""
    t = process.t_of_log_snr(torch.linspace(-6, 6, 241, dtype=torch.float64)).clamp(max=1)
    t = t[t.diff(prepend=t.new_full((1,), 2.0)) < 0]
    levels = levels_at(process, t)
    x = levels[0].alpha * mixture.sample(3000, seed=6) + levels[0].sigma * normal(3000, 2, purpose="start")
    g = diffusion(process, t)
    for index, (here, h) in enumerate(zip(levels, t.diff(), strict=False)):
        x = x + reverse_drift(process, t[index], x, mixture.score(x, here), noise=noise) * h
        x = x + noise * g[index] * (-h).sqrt() * normal(*x.shape, purpose=f"step {index}")
    assert_distributed(x, mixture, levels[-1], bias=0.05)


def test_the_way_back_takes_a_time_for_each_item(process, times, normal):
    x, score = normal(len(times), 2, 3), normal(len(times), 2, 3, purpose="score")
    f, g = drift(process, times), diffusion(process, times)
    for noise, share in ((1.0, 1.0), (0.0, 0.5)):
        expected = torch.stack([f[i] * x[i] - share * g[i] ** 2 * score[i] for i in range(len(times))])
        assert_close(reverse_drift(process, times, x, score, noise=noise), expected, **EXACT)


def test_the_ode_is_the_way_back_without_noise(process, times, mixture, normal):
    for t, level in zip(times, levels_at(process, times), strict=True):
        x = normal(5, 2) * math.hypot(level.alpha, level.sigma)
        by_score = reverse_drift(process, t, x, mixture.score(x, level), noise=0.0)
        slope = probability_flow(x, mixture(x, level), level)
        assert_close(slope, by_score, rtol=1e-6, atol=1e-7 * by_score.abs().max().item())
    level = level_at(process, times)
    x, x0 = normal(len(times), 2), normal(len(times), 2, purpose="x0")
    whole = probability_flow(x, x0, level)
    alone = [probability_flow(x[i : i + 1], x0[i : i + 1], one) for i, one in enumerate(levels_at(process, times))]
    assert_close(whole, torch.cat(alone), **EXACT)


def test_the_ode_ends_where_its_exact_solution_does(process, mixture, trajectories):
    t = torch.tensor([0.98, 0.02], dtype=torch.float64)
    if hasattr(process, "length"):  # its slope jumps at each entry: from one to the next, on a table of a few
        process = build("process", "discrete-vp", length=20, beta_end=0.5)
        t = torch.arange(19, 0, -1, dtype=torch.float64) / 20
    first, *_, last = levels_at(process, t)
    shape = (trajectories.rows, *mixture.shape)

    def slope(t, flat):
        (level,) = levels_at(process, torch.tensor([t], dtype=torch.float64))
        x = torch.from_numpy(flat.reshape(shape))
        return probability_flow(x, mixture(x, level), level).numpy().ravel()

    flat = trajectories.at(first).numpy().ravel()
    for here, there in pairwise(t.tolist()):
        span = (here, there + 1e-13)  # on this side of the entry
        flat = solve_ivp(slope, span, flat, method="DOP853", rtol=1e-9, atol=1e-9).y[:, -1]
    assert_close(torch.from_numpy(flat.reshape(shape)), trajectories.at(last), rtol=1e-7, atol=1e-7)


def test_the_ode_at_both_ends(process, normal):
    x, x0 = normal(3, 2), normal(3, 2, purpose="x0")
    data, noise = levels_at(process, torch.tensor([0.0, 1.0], dtype=torch.float64))
    if math.isfinite(data.d_sigma):
        assert_close(probability_flow(x0, x0, data), data.d_alpha * x0, **EXACT)
    if math.isfinite(noise.d_alpha):
        eps = (x - noise.alpha * x0) / noise.sigma
        assert_close(probability_flow(x, x0, noise), noise.d_alpha * x0 + noise.d_sigma * eps, **EXACT)


def test_the_ode_of_a_flow_is_a_straight_line(normal):
    process, x0, eps = complete(build("process", "flow")), normal(3, 2, purpose="x0"), normal(3, 2)
    for level in levels_at(process, torch.tensor([1.0, 0.7, 0.1], dtype=torch.float64)):
        assert_close(probability_flow(level.alpha * x0 + level.sigma * eps, x0, level), eps - x0, **EXACT)
