"""Samplers: order of convergence, convergence in distribution, agreement between processes, equalities, exactness."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from noiseform import GaussianMixture, build, sample
from noiseform.core.diffusion.noise import Draws, Key
from noiseform.core.diffusion.process import complete, levels_at
from torch.testing import assert_close

EXAMPLES = True  # the sampler and the process of the docs' example plugin are held to the same laws

VARIANTS = {
    "ddpm-large": ("sampler", "ddpm", {"variance": "large"}),
    "ddim-0.5": ("sampler", "ddim", {"eta": 0.5}),
    "ddim-1": ("sampler", "ddim", {"eta": 1.0}),
    "dpmpp-2m-sde-heun": ("sampler", "dpmpp-2m-sde", {"solver": "heun"}),
}
EXACT = {"rtol": 1e-10, "atol": 1e-10}

OWN_LAWS = {
    "EDMStochastic": "its order holds where churn falls like 1 / steps, not with the same churn in ever more",
    "LCM": "with the ideal denoiser, not a consistency function, each step forgets what it cannot see the mean of",
    "PredictorCorrector": "its corrections depend on the norm of x, and leave a variance too large by snr**2",
    "Restart": "its order holds where the steps within the intervals grow with the others",
}
"""Why a stochastic sampler, as it is without settings, is not held to the law of the order in distribution. Each has
laws of its own in test_stochastic.py, of its order or of the error that it is left with.
"""

LATE = {"DEIS", "IPNDM", "Spline", "UniPC"}
"""Multistep samplers whose order is tested from an nsr of 1 on. Their first step is of lower order, and what it leaves
is of the declared order in all: h**2 of deis and ipndm, h**3 of unipc. From an nsr of 7, where x0 hardly curves, that
share is smaller than the others', which are of another order, and what shows is neither.
"""

HIGHER = {"Spline", "UniPC"}
"""Samplers that declare the order of their first step, or of their weakest; that of most others is one more, and may
show. A spline through smooth values is right to one power more where its nodes come at equal steps."""


def deterministic(sampler):
    return not sampler.stochastic


def by_the_grid(sampler):
    """Leave out those that divide steps by their own error, which is then the tolerance's and not the grid's."""
    return deterministic(sampler) and not getattr(sampler, "nfe_varies", False)


def stochastic(sampler):
    return sampler.stochastic


def ordered_in_distribution(sampler):
    return sampler.stochastic and type(sampler).__name__ not in OWN_LAWS


def like_the_data(sampler):
    """Of OWN_LAWS only LCM fails by far: what churn, corrections and restarts leave is within the law's bias."""
    return sampler.stochastic and type(sampler).__name__ != "LCM"


class Fixed:
    """A grid of given times."""

    def __init__(self, times):
        self._times = times

    def times(self, process, steps):
        return self._times


def windowed(process, grid, steps, lowest=-4):
    """Return the times of a grid at which both data and noise are seen: nsr from 7.4 (or ``lowest``) down to 0.14.

    A grid is taken as a density of times: whatever its ends are, every grid gets finer between them. The ends are
    another matter: most grids keep a last jump to the data that does not shrink, and some processes start at
    alpha = 0. Those have a test of their own below.
    """
    times = grid.times(process, steps)
    log_snr = process.log_snr(times)
    return times[(log_snr >= lowest) & (log_snr <= 4)]


class Tabled:
    """A process whose table, for the grids that thin one out, is long enough not to be the limit."""

    length = 2**16

    def __init__(self, process):
        self._process = process

    def __getattr__(self, name):
        return getattr(self._process, name)


def angles(process, times):
    return torch.atan(torch.exp(-process.log_snr(times) / 2))


def refined(process, grid, coarsest, lowest=-4):
    """Return a process, and three series of times, each twice as fine in the angle as the one before.

    Numbers of steps that divide a table of 1000 are taken where there is one, so that ``leading`` keeps its density.
    """
    if not hasattr(process, "length"):
        process = Tabled(process)
    numbers = [n for n in range(8, 1001) if 1000 % n == 0] if process.length == 1000 else [2**k for k in range(3, 17)]
    widest = {}
    for steps in numbers:
        times = windowed(process, grid, steps, lowest)
        if len(times) > 4:
            widest[times] = angles(process, times).diff().abs().max().item()
            if widest[times] < coarsest / 8:
                break
    return process, [min(widest, key=lambda t: abs(math.log(widest[t] * 2**k / coarsest))) for k in range(3)]


def slope(errors, counts):
    return -np.polyfit(np.log(counts), np.log(errors), 1)[0]


def rms(error):
    return error.square().mean().sqrt().item()


@pytest.mark.only(sampler=deterministic)  # the others: see the test of convergence in distribution
def test_converges_at_the_declared_order(process, grid, sampler, mixture, trajectories):
    kind = type(sampler).__name__
    process, series = refined(process, grid, coarsest=0.03, lowest=0 if kind in LATE else -4)
    errors, counts = [], []
    for times in series:
        first, *_, last = levels_at(process, times)
        x, steps = trajectories.at(first), len(times) - 1
        made = sample(mixture, process=process, sampler=sampler, grid=Fixed(times), steps=steps, x=x)
        errors.append(rms(made - trajectories.at(last)) / math.hypot(last.alpha, last.sigma))
        counts.append(steps)
    made = slope(errors, counts)
    assert sampler.order - 0.2 <= made <= sampler.order + (1.2 if kind in HIGHER else 0.2), (counts, errors)


def outcome(sampler, process, times, data):
    """Return the exact mean and standard deviation of a run's last x on one Gaussian, without drawing anything.

    There a run is linear: x = b + A x_start + sum_k c_k z_k. One row starts at 0, one at 1, and each of the others is
    given a single noise of 1, so the last x holds b, A and every c_k.
    """
    levels = levels_at(process, times)
    x = torch.zeros(len(levels) + 1, 1, dtype=torch.float64)
    x[1] = 1
    drawn = 1

    def noise(purpose="step"):
        nonlocal drawn
        drawn += 1
        one = torch.zeros_like(x)
        one[drawn] = 1
        return one

    state = sampler.init(x)
    for here, there in pairwise(levels):
        x, state = sampler.step(x, here, there, data, noise, state)
    (offset, *moved) = x.flatten().tolist()
    factor, *shares = (value - offset for value in moved)
    start, mean, width = levels[0], data.means.item(), data.widths.item()
    deviation = math.hypot(factor * math.hypot(start.alpha * width, start.sigma), *shares)
    return offset + factor * start.alpha * mean, deviation, levels[-1]


@pytest.mark.only(sampler=ordered_in_distribution)
def test_converges_in_distribution_at_the_declared_order(process, grid, sampler):
    data = GaussianMixture([[0.7]], [0.6])
    process, series = refined(process, grid, coarsest=0.06 / sampler.order)
    errors, counts = [], []
    for times in series:
        mean, deviation, last = outcome(sampler, process, times, data)
        norm = math.hypot(last.alpha, last.sigma)
        wrong = (mean - last.alpha * 0.7, deviation - math.hypot(last.alpha * 0.6, last.sigma))
        errors.append(math.hypot(*wrong) / norm)
        counts.append(len(times) - 1)
    assert abs(slope(errors, counts) - sampler.order) <= 0.2, (counts, errors)


@pytest.mark.only(sampler=like_the_data)
def test_samples_are_distributed_like_the_data(process, mixture, sampler):
    """Mean and covariance of 3000 samples; a batch is one item here, so that its noise is one draw."""
    rows, steps = 3000, 60
    grid = build("grid", "log-snr")

    def denoise(x, level):
        return mixture(x[0], level)[None]

    x0 = sample(
        denoise,
        process=process,
        sampler=sampler,
        grid=grid,
        steps=steps,
        shape=(rows, 2),
        seeds=[7],
        dtype=torch.float64,
    )[0]
    share = mixture.log_weights.exp()
    mean = share @ mixture.means
    spread = (mixture.means - mean).T @ torch.diag(share) @ (mixture.means - mean)
    covariance = spread + (share @ mixture.widths**2) * torch.eye(2, dtype=torch.float64)
    size = covariance.diagonal().max().item()
    bias = 0.04  # of order 1 in 60 steps; see the test above for how it falls
    assert_close(x0.mean(0), mean, rtol=0, atol=bias + 4 * math.sqrt(size / rows))
    assert_close(x0.T.cov(), covariance, rtol=0, atol=bias + 4 * size * math.sqrt(2 / rows))


def end_to_end(process, grid, sampler, mixture, trajectories, numbers, *, jump=True):
    """Return errors of x0 for numbers of steps, from t = 1 (or where the grid starts) to 0.

    Without ``jump`` they are counted from what the last jump makes of an exact x, where that is nearer: the jump's own
    error is the square of its nsr whatever the order is (see below), and would hide what comes before it.
    """
    errors = []
    for steps in numbers:
        first, *_, before, last = levels_at(process, grid.times(process, steps))
        assert last.sigma == 0
        made = sample(mixture, process=process, sampler=sampler, grid=grid, steps=steps, x=trajectories.at(first))
        error = rms(made - trajectories.at(last))
        errors.append(error if jump else min(error, rms(made - mixture(trajectories.at(before), before))))
    return errors


@pytest.mark.parametrize(
    ("under", "on", "numbers", "slack"),
    [
        ("ve", "uniform", (80, 160, 320), 0.1),
        ("ve", "karras", (40, 80, 160), 0.1),
        ("edm", "karras", (40, 80, 160), 0.1),
        ("vp-linear", "karras", (40, 80, 160), 0.1),
        ("vp-linear", "log-snr", (40, 80, 160), 0.1),
        ("flow", "karras", (80, 160, 320), 0.1),
        ("ve", "exponential", (40, 80, 160), 0.1),
        ("vp-linear", "quadratic", (40, 80, 160), 0.1),
        ("sub-vp", "quadratic", (40, 80, 160), 0.1),
        # Next to alpha = 0 equal steps of t are growing steps of log-SNR: h**2 log(1 / h).
        ("flow", "uniform", (160, 320, 640), 0.25),
    ],
)
@pytest.mark.only(sampler=by_the_grid)
def test_end_to_end_order(under, on, numbers, slack, sampler, mixture, trajectories):
    """From noise to data the order is the declared one, up to 2, where the grid gets finer at both ends.

    Next to pure noise equal steps of t are growing steps of log-SNR, whose errors come to h**2 log(1 / h) for every
    sampler of order 2 or more.
    """
    # From alpha = 0 to karras' first nsr of 80 the first step stays as it is, and leaves 5e-5 whatever comes after it.
    settings = {"nsr_max": 8000.0} if (under, on) == ("flow", "karras") else {}
    process, grid = complete(build("process", under)), build("grid", on, **settings)
    errors = end_to_end(process, grid, sampler, mixture, trajectories, numbers, jump=False)
    assert slope(errors, numbers) >= min(sampler.order, 2) - slack, errors


@pytest.mark.only(sampler=deterministic)
def test_end_to_end_order_is_one_at_least(process, grid, sampler, mixture, trajectories):
    """Wherever the last jump shrinks at all. Where sigma starts like a root of t (VP), equal steps of t make it shrink
    like h only, whatever the sampler is; the discrete grids follow ``uniform``.
    """
    for first in (20, 40, 80):
        if angles(process, grid.times(process, first)).diff().abs().max() < 0.4:
            break
    else:
        return  # even 80 steps hold one over much of the noise, as the last of 80 equal steps of EDM's t is
    numbers = (first, 2 * first, 4 * first)
    errors = end_to_end(process, grid, sampler, mixture, trajectories, numbers)
    # Where alpha leaves 0 like a root of 1 - t, the first step is one in the root of h, whatever the sampler is.
    rooted = not math.isfinite(process.d_alpha(torch.ones(1, dtype=torch.float64)).item())
    assert slope(errors, numbers) >= (0.5 if rooted else 0.8), errors


def test_the_last_jump_costs_the_square_of_its_nsr(mixture, trajectories):
    """What a fixed last jump leaves, however many steps come before it."""
    process, sampler = complete(build("process", "ve")), build("sampler", "dpmpp-2m")
    errors = [
        end_to_end(process, build("grid", "log-snr", high=high), sampler, mixture, trajectories, (400,))[0]
        for high in (3.0, 5.0, 7.0)
    ]
    for shallow, deep in pairwise(errors):
        assert_close(shallow / deep, math.exp(2), rtol=0.15, atol=0)


def scaled_run(process, sampler, log_snr, start):
    """Return x / alpha after a run along a sequence of log-SNR, with a denoiser that is no oracle."""
    levels = levels_at(process, process.t_of_log_snr(log_snr))
    draws, step = Draws(), 0

    def noise(purpose="step"):
        return draws.normal([Key(0)], start.shape, purpose=purpose, step=step, dtype=torch.float64)[0]

    def denoise(x, level):
        # A slope below 1: a sampler that keeps nothing but x0 would make rounding grow by it at every step.
        return torch.sin(0.9 * x / level.alpha) + level.log_snr / 10

    x = levels[0].alpha * start
    state = sampler.init(x)
    for step, (here, there) in enumerate(pairwise(levels)):  # noqa: B007
        x, state = sampler.step(x, here, there, denoise, noise, state)
    return x / levels[-1].alpha


def test_agrees_between_processes_of_equal_snr(process, sampler, grid, normal):
    """On the same sequence of log-SNR, x / alpha is the same under every process."""
    straight, start = complete(build("process", "edm")), normal(3, 4, purpose="start")
    log_snr = straight.log_snr(windowed(straight, grid, 1000)[::12])
    expected = scaled_run(straight, sampler, log_snr, start)
    assert_close(scaled_run(process, sampler, log_snr, start), expected, rtol=1e-7, atol=1e-8)


def test_ddim_with_all_noise_is_ddpm(process, grid, mixture):
    run = {"process": process, "grid": grid, "steps": 13, "shape": (2,), "seeds": range(5), "dtype": torch.float64}
    one = sample(mixture, sampler=build("sampler", "ddim", eta=1.0), **run)
    other = sample(mixture, sampler=build("sampler", "ddpm"), **run)
    assert_close(one, other, **EXACT)


def test_euler_is_ddim_without_noise(process, grid, mixture):
    run = {"process": process, "grid": grid, "steps": 13, "shape": (2,), "seeds": range(5), "dtype": torch.float64}
    one = sample(mixture, sampler=build("sampler", "ddim"), **run)
    other = sample(mixture, sampler=build("sampler", "euler"), **run)
    assert_close(one, other, **EXACT)


def test_noise_of_ddim_never_exceeds_the_noise_there_is(process, mixture):
    """At eta = 3 the paper's deviation is larger than sigma; all of the noise is fresh then, and no more."""
    grid = build("grid", "uniform")
    run = {"process": process, "steps": 3, "grid": grid, "shape": (2,), "seeds": range(200), "dtype": torch.float64}
    x0 = sample(mixture, sampler=build("sampler", "ddim", eta=3.0), **run)
    assert x0.abs().max() < 5


def test_one_point_of_data_is_hit_exactly(process, grid, sampler, normal):
    """If the denoiser says the same everywhere, every sampler ends there, in any number of steps."""
    point = normal(2, 3, purpose="point")
    for steps in (1, 2, 5):
        x0 = sample(
            lambda x, level: point.clone(),
            process=process,
            sampler=sampler,
            grid=grid,
            steps=steps,
            x=normal(2, 3, purpose="start") * 3,
        )
        assert_close(x0, point, rtol=1e-9, atol=1e-9)


def test_calls_the_denoiser_as_often_as_declared(process, sampler, mixture):
    calls = 0

    def counted(x, level):
        nonlocal calls
        calls += 1
        return mixture(x, level)

    sample(counted, process=process, sampler=sampler, grid=build("grid", "log-snr"), steps=9, shape=(2,), seeds=[0])
    assert calls >= sampler.nfe_per_step * 9 - 2
    assert calls <= sampler.nfe_per_step * 9 or getattr(sampler, "nfe_varies", False)


@pytest.mark.parametrize("shape", [(3,), (2, 5), (2, 4, 3), (2, 3, 2, 4)], ids=lambda shape: f"{len(shape)}d")
def test_items_of_any_rank_and_rows_of_any_batch(sampler, shape):
    """Elementwise, whatever the shape: the same numbers in another shape, or alone, take the same way."""
    process, grid = build("process", "flow"), build("grid", "uniform")
    count = math.prod(shape)

    def denoise(x, level):
        return torch.tanh(2 * x)

    run = {"process": process, "sampler": sampler, "grid": grid, "steps": 5, "dtype": torch.float64}
    x0 = sample(denoise, shape=shape, seeds=[4, 5, 6], **run)
    assert x0.shape == (3, *shape)
    flat = sample(denoise, shape=(count,), seeds=[4, 5, 6], **run)
    assert torch.equal(x0.flatten(1), flat)
    alone = sample(denoise, shape=shape, seeds=[5], **run)
    assert torch.equal(alone[0], x0[1])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(1,), (3, 7), (129,)])
def test_no_bit_of_an_item_depends_on_the_batch(sampler, shape, dtype):
    """Nor on where in memory it stands, which decides what torch does with several numbers at once."""

    def denoise(x, level):
        return torch.stack([torch.tanh(2 * row) for row in x])

    run = {"process": "vp-cosine", "sampler": sampler, "grid": "angle", "steps": 9, "shape": shape, "dtype": dtype}
    together = sample(denoise, seeds=range(5), **run)
    for rows in ([0], [4], [1, 2, 3]):
        assert torch.equal(sample(denoise, seeds=rows, **run), together[rows])
