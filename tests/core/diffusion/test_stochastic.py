"""Stochastic samplers: what is left without noise, order in distribution, bias as derived, points as distributed."""

from __future__ import annotations

import itertools
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from noiseform import GaussianMixture, build, sample
from noiseform.core.diffusion.noise import Draws, Key
from noiseform.core.diffusion.process import complete, levels_at
from noiseform.core.diffusion.sde import forward
from noiseform.core.errors import ConfigError
from torch.testing import assert_close

PROCESSES = ["flow", "vp-cosine", "ve", "discrete-vp", "edm"]
GAUSSIAN = GaussianMixture([[0.7]], [0.6])

INSIDE = [
    ("euler-ancestral", {"eta": 1.7}),
    ("edm-stochastic", {"solver": "euler"}),
    ("dpmpp-2m-sde", {"solver": "heun", "eta": 0.5}),
    ("predictor-corrector", {"predictor": "reverse-diffusion", "corrections": 2}),
    ("predictor-corrector", {"predictor": "none", "corrections": 3}),
    ("predictor-corrector", {"corrections": 0}),
    ("restart", {"intervals": [[0.2, 1.0, 1, 2], [1.0, 5.0, 2, 3]]}),
]
"""Settings under which a run that begins within (0, 1) stays there."""

SETTINGS = [
    *INSIDE,
    ("euler-ancestral", {"brownian": True}),
    ("edm-stochastic", {"churn": 0.4, "nsr_min": 0.0, "nsr_max": 1e9, "noise": 1.01}),
    ("dpmpp-2m-sde", {"brownian": True}),
    ("restart", {"intervals": [[0.5, 1e4, 1, 20], [1e-2, 0.1, 1, 1]]}),
    ("restart", {"intervals": [[1e-3, 1e-2, 1, 3]]}),
]


class Even:
    """A grid of equal steps of log-SNR between two ends that no step reaches."""

    def __init__(self, first=-4.0, last=4.0):
        self._ends = first, last

    def times(self, process, steps):
        return process.t_of_log_snr(torch.linspace(*self._ends, steps + 1, dtype=torch.float64))


@pytest.mark.parametrize(
    ("name", "settings", "plain"),
    [
        ("euler-ancestral", {"eta": 0.0}, "euler"),
        ("ddim", {"eta": 0.0}, "euler"),
        ("dpmpp-2m-sde", {"eta": 0.0}, "dpmpp-2m"),
        ("edm-stochastic", {"churn": 0.0}, "heun"),
        ("edm-stochastic", {"churn": 0.0, "solver": "euler"}, "euler"),
        ("edm-stochastic", {"churn": 0.3, "nsr_min": 2.0, "nsr_max": 1.0}, "heun"),
    ],
)
def test_without_noise_it_is_the_deterministic_one(process, name, settings, plain, mixture):
    """To the last bit."""
    for grid in ("uniform", "karras"):
        run = {"process": process, "grid": grid, "steps": 9, "shape": (2,), "seeds": range(5), "dtype": torch.float64}
        sampler = build("sampler", name, **settings)
        assert torch.equal(sample(mixture, sampler=sampler, **run), sample(mixture, sampler=plain, **run)), grid
        assert sampler.stochastic == (settings.get("churn", 0) > 0)


def test_euler_ancestral_is_ddim_of_the_same_eta(process, mixture):
    run = {"process": process, "grid": "uniform", "steps": 9, "shape": (2,), "seeds": range(5), "dtype": torch.float64}
    for eta in (0.5, 1.0, 2.0):
        one, other = (sample(mixture, sampler=build("sampler", n, eta=eta), **run) for n in ("euler-ancestral", "ddim"))
        assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("name", "settings"), SETTINGS)
def test_every_variant_is_finite(process, name, settings, mixture):
    sampler = build("sampler", name, **settings)
    for grid, (steps, dtype) in itertools.product(
        ("uniform", "karras", "log-snr"),
        [(1, torch.float32), (2, torch.float16), (3, torch.bfloat16), (50, torch.float32)],
    ):
        if steps == 50 and grid != "uniform":
            continue
        run = {"process": process, "grid": grid, "steps": steps, "shape": (2,), "seeds": [0, 1], "dtype": dtype}
        x0 = sample(mixture, sampler=sampler, **run)  # the loop raises on what is not finite
        assert x0.dtype == dtype


@pytest.mark.parametrize(("name", "settings"), INSIDE)
@pytest.mark.parametrize("process", PROCESSES)
def test_every_variant_agrees_between_processes_of_equal_snr(process, name, settings, normal):
    """On the same sequence of log-SNR, x / alpha is the same under every process."""
    start = normal(3, 4, purpose="start")

    def scaled(process):
        levels, draws = levels_at(process, Even(-3, 6).times(process, 14)), Draws()
        x, state = levels[0].alpha * start, sampler.init(start)
        for step, (here, there) in enumerate(pairwise(levels)):

            def noise(purpose="step", step=step):
                return draws.normal([Key(0)], start.shape, purpose=purpose, step=step, dtype=torch.float64)[0]

            x, state = sampler.step(x, here, there, wavy, noise, state)
        return x / levels[-1].alpha

    def wavy(x, level):
        return torch.sin(3 * x / level.alpha) + level.log_snr / 10

    sampler = build("sampler", name, **settings)
    expected = scaled(complete(build("process", "vp-linear")))
    assert_close(scaled(complete(build("process", process))), expected, rtol=1e-7, atol=1e-7)


def outcome(sampler, process, steps, data=GAUSSIAN, grid=None):
    """Return how far mean and deviation of a run's last x are off, on one Gaussian, without drawing anything.

    There a run is linear in its noise: see test_sampler_laws. Here a step may ask for any number of draws.
    """
    process = complete(build("process", process))
    levels = levels_at(process, (grid or Even()).times(process, steps))

    def last(rows):
        drawn, x = 1, torch.zeros(rows, 1, dtype=torch.float64)
        x[1] = 1

        def noise(purpose="step"):
            nonlocal drawn
            drawn += 1
            one = torch.zeros_like(x)
            one[drawn % rows] = 1
            return one

        state = sampler.init(x)
        for here, there in pairwise(levels):
            x, state = sampler.step(x, here, there, data, noise, state)
        return x, drawn + 1

    x, _ = last(last(2)[1])
    (offset, *moved) = x.flatten().tolist()
    factor, *shares = (value - offset for value in moved)
    start, end, mean, width = levels[0], levels[-1], data.means.item(), data.widths.item()
    deviation = math.hypot(factor * math.hypot(start.alpha * width, start.sigma), *shares)
    norm = math.hypot(end.alpha * width, end.sigma)
    return (offset + (factor * start.alpha - end.alpha) * mean) / norm, deviation / norm - 1


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize(
    ("of", "order"),
    [
        (lambda steps: build("sampler", "edm-stochastic", churn=8 / steps), 2),
        (lambda steps: build("sampler", "edm-stochastic", churn=8 / steps, solver="euler"), 1),
        (
            lambda steps: build("sampler", "restart", intervals=[[0.3, 1.5, 3, steps // 8], [0.5, 3.0, 2, steps // 8]]),
            2,
        ),
        (lambda steps: build("sampler", "predictor-corrector", corrections=0), 1),
        (lambda steps: build("sampler", "predictor-corrector", predictor="reverse-diffusion", corrections=0), 1),
        (lambda steps: build("sampler", "dpmpp-2m-sde", eta=1.5), 2),
        (lambda steps: build("sampler", "dpmpp-2m-sde", eta=0.5, solver="heun"), 2),
    ],
    ids=["edm", "edm-euler", "restart", "ancestral", "reverse-diffusion", "2m-sde", "2m-sde-heun"],
)
def test_order_in_distribution(process, of, order):
    numbers = (48, 96, 192)
    errors = [math.hypot(*outcome(of(steps), process, steps)) for steps in numbers]
    slope = -np.polyfit(np.log(numbers), np.log(errors), 1)[0]
    assert abs(slope - order) <= 0.2, errors
    assert of(48).order == order


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_lcm_is_exact_with_a_consistency_function(process, steps):
    """One that maps x to the end of its trajectory: for a Gaussian, ``m + s (x - alpha m) / sqrt(var)``."""

    class Consistent:
        means, widths = GAUSSIAN.means, GAUSSIAN.widths

        def __call__(self, x, level):
            scale = self.widths / math.hypot(level.alpha * self.widths, level.sigma)
            return self.means + scale * (x - level.alpha * self.means)

    mean, deviation = outcome(build("sampler", "lcm"), process, steps, Consistent(), build("grid", "uniform"))
    first = levels_at(complete(build("process", process)), torch.ones(1, dtype=torch.float64))[0]
    prior = first.alpha * 0.6 / first.sigma  # what the start, as ``outcome`` has it, is off from pure noise: nothing
    assert prior < 0.1
    assert_close((mean, deviation), (0.0, 0.0), rtol=0, atol=1e-9)


def test_lcm_with_the_ideal_denoiser_forgets():
    """Each step draws anew what it knows the mean of; more steps do not bring the deviation back."""
    errors = [outcome(build("sampler", "lcm"), "flow", steps)[1] for steps in (20, 40, 80)]
    assert max(errors) < -0.15
    assert_close(errors[1], errors[2], rtol=0.1, atol=0)


def variance_of(levels, width, predictor, corrections, snr):
    """Return the variance that a run of predictor-corrector ends with, in items of ever so many numbers.

    Of N(0, v) the score is -x / v, so with V for x's variance ``|z| / |score|`` is ``v / sqrt(V)`` and the length of a
    correction is ``e = 2 snr**2 v**2 / V``. It makes ``V (1 - e / v)**2 + 2 e`` of V, which rests at v (1 + snr**2).
    """
    first = levels[0]
    variance = (first.alpha * width) ** 2 + first.sigma**2
    for here, next in pairwise(levels):
        target = (here.alpha * width) ** 2 + here.sigma**2
        gain = here.alpha * width**2 / target  # x0 = gain x
        if next.sigma == 0:
            return variance * (gain * next.alpha) ** 2
        nsr, after = here.sigma / here.alpha, next.sigma / next.alpha
        if predictor == "none":
            variance *= (next.alpha / here.alpha) ** 2
        else:
            share = (after / nsr) ** 2
            fresh = (nsr**2 - after**2) * (share if predictor == "ancestral" else 1)
            variance = (next.alpha * (share / here.alpha + (1 - share) * gain)) ** 2 * variance + next.alpha**2 * fresh
        target = (next.alpha * width) ** 2 + next.sigma**2
        for _ in range(corrections):
            length = 2 * snr**2 * target**2 / variance
            variance = variance * (1 - length / target) ** 2 + 2 * length
    return variance


@pytest.mark.parametrize("process", ["flow", "ve"])
@pytest.mark.parametrize(
    ("predictor", "corrections", "snr"),
    [("ancestral", 1, 0.3), ("reverse-diffusion", 2, 0.25), ("none", 8, 0.3), ("ancestral", 3, 0.05)],
)
def test_the_bias_of_corrections_is_as_derived(process, predictor, corrections, snr):
    """In variance, of a Gaussian, in 40000 numbers that are one item; and more steps do not take it away."""
    count, width, process = 40_000, 0.6, complete(build("process", process))
    data = GaussianMixture(torch.zeros(1, count, dtype=torch.float64), [width])
    sampler = build("sampler", "predictor-corrector", predictor=predictor, corrections=corrections, snr=snr)
    for steps in (10, 40):
        levels = levels_at(process, Even(-5, 7).times(process, steps))
        start = Draws().normal([Key(2)], (count,), purpose="start", dtype=torch.float64)
        x = start * math.hypot(levels[0].alpha * width, levels[0].sigma)
        made = sample(data, process=process, sampler=sampler, grid=Even(-5, 7), steps=steps, x=x)
        derived = variance_of(levels, width, predictor, corrections, snr)
        assert_close(made.var().item(), derived, rtol=5 * math.sqrt(2 / count), atol=0)
    right = (levels[-1].alpha * width) ** 2 + levels[-1].sigma ** 2
    many = variance_of(levels_at(process, Even(-5, 7).times(process, 4000)), width, predictor, corrections, snr)
    assert_close(many / right - 1, snr**2, rtol=0.02, atol=0)


def test_langevin_dynamics_alone_rests_at_the_bias():
    """200 corrections at one level, of rows that begin anywhere."""
    count, snr, process = 20_000, 0.4, complete(build("process", "vp-linear"))
    data = GaussianMixture(torch.zeros(1, count, dtype=torch.float64), [1.0])
    here, next = levels_at(process, process.t_of_log_snr(torch.tensor([0.0, 0.01], dtype=torch.float64)))
    sampler = build("sampler", "predictor-corrector", predictor="none", corrections=60, snr=snr)
    draws = Draws()

    def noise(purpose="step"):
        return draws.normal([Key(0), Key(1)], (count,), purpose=purpose, dtype=torch.float64)

    start = torch.stack([torch.full((count,), 3.0, dtype=torch.float64), noise("start")[0] / 10])
    x, _ = sampler.step(start, here, next, data, noise, None)
    assert_close(x.var(1), torch.full((2,), 1 + snr**2, dtype=torch.float64), rtol=0.05, atol=0)
    assert x.mean(1).abs().max() < 0.05


def test_a_score_of_nothing_moves_by_no_more_than_the_data_is_wide():
    here, next = levels_at(complete(build("process", "vp-linear")), torch.tensor([0.5, 0.4], dtype=torch.float64))
    sampler = build("sampler", "predictor-corrector", predictor="none")
    x = torch.ones(2, 3, dtype=torch.float16)
    after, _ = sampler.step(x, here, next, lambda x, level: x / level.alpha, lambda purpose="step": x, None)
    moved = after - x * (next.alpha / here.alpha)
    assert torch.isfinite(after).all()
    assert moved.abs().max() <= math.sqrt(2) + 0.01


@pytest.fixture(scope="module")
def crowd(mixture):
    """Return a function that draws points exactly, and the largest energy distance of 12 pairs of such draws."""

    def drawn(seed):
        return mixture.sample(1500, seed=seed)

    return drawn, max(energy(drawn(2 * seed), drawn(2 * seed + 1)) for seed in range(12))


def energy(one, other):
    """Return the energy distance of two sets of points (Székely and Rizzo 2013), each pair of one set counted once."""

    def among(x):
        return torch.cdist(x, x).sum() / (len(x) * (len(x) - 1))

    return (2 * torch.cdist(one, other).mean() - among(one) - among(other)).item()


def points(mixture, process, name, settings, steps, count=1500):
    """Return points that a sampler draws. They are one item, so that their noise is one draw."""
    return sample(
        lambda x, level: mixture(x[0], level)[None],
        process=process,
        sampler=build("sampler", name, **settings),
        grid="log-snr",
        steps=steps,
        shape=(count, 2),
        seeds=[11],
        dtype=torch.float64,
    )[0]


@pytest.mark.parametrize("process", ["flow", "vp-cosine", "edm"])
@pytest.mark.parametrize(
    ("name", "settings", "steps"),
    [
        ("euler-ancestral", {}, 200),
        ("edm-stochastic", {"churn": 0.15}, 60),
        ("edm-stochastic", {"churn": 0.4, "nsr_min": 0.0, "nsr_max": 1e9}, 100),
        ("dpmpp-2m-sde", {}, 60),
        ("dpmpp-2m-sde", {"solver": "heun", "eta": 0.5}, 60),
        ("predictor-corrector", {"snr": 0.08}, 150),
        ("predictor-corrector", {"predictor": "reverse-diffusion", "snr": 0.08}, 200),
        ("restart", {}, 60),
        ("restart", {"intervals": [[0.1, 1.0, 4, 12], [1.0, 4.0, 2, 8]]}, 60),
    ],
)
def test_points_are_distributed_like_the_data(process, name, settings, steps, mixture, crowd):
    """Mean, covariance and energy distance, within the error of so many points."""
    drawn, furthest = crowd
    x0 = points(mixture, process, name, settings, steps)
    share = mixture.log_weights.exp()
    mean = share @ mixture.means
    spread = (mixture.means - mean).T @ torch.diag(share) @ (mixture.means - mean)
    covariance = spread + (share @ mixture.widths**2) * torch.eye(2, dtype=torch.float64)
    size = covariance.diagonal().max().item()
    assert_close(x0.mean(0), mean, rtol=0, atol=4 * math.sqrt(size / len(x0)))
    assert_close(x0.T.cov(), covariance, rtol=0, atol=4 * size * math.sqrt(2 / len(x0)))
    assert energy(x0, drawn(99)) < furthest


def test_energy_distance_tells_a_wrong_distribution(mixture, crowd):
    """What the test above would see, were something wrong: a sampler that forgets, and one with too much noise."""
    drawn, furthest = crowd
    for name, settings in (("lcm", {}), ("edm-stochastic", {"churn": 0.4, "noise": 1.5})):
        assert energy(points(mixture, "flow", name, settings, 60), drawn(99)) > 2 * furthest


def watched(sampler, levels, data=GAUSSIAN):
    """Return the levels at which the denoiser was called and the purposes of the noise, step by step."""
    x, state, seen = torch.ones(1, 1, dtype=torch.float64), sampler.init(None), []
    for here, there in pairwise(levels):
        called, asked = [], []

        def denoise(x, level, called=called):
            called.append(level)
            return data(x, level)

        def noise(purpose="step", asked=asked, like=x):
            asked.append(purpose)
            return torch.ones_like(like)

        x, state = sampler.step(x, here, there, denoise, noise, state)
        seen.append((called, asked))
    return seen


def nsr(level):
    return level.sigma / level.alpha


def test_churn_is_within_its_bounds_and_not_beyond_the_first_level():
    process = complete(build("process", "edm"))  # its noisiest level is 80
    levels = levels_at(process, torch.tensor([80, 79, 40, 5, 0.5, 0.04, 0], dtype=torch.float64) / 80)
    sampler = build("sampler", "edm-stochastic", churn=0.2, nsr_min=0.1, nsr_max=100.0)
    seen = watched(sampler, levels)
    assert [asked for _, asked in seen] == [[], ["step"], ["step"], ["step"], ["step"], []]
    first = [nsr(called[0]) for called, _ in seen]
    assert_close(first, [80.0, 80.0, 48.0, 6.0, 0.6, 0.04], rtol=1e-9, atol=0)
    seen = watched(build("sampler", "edm-stochastic", churn=5.0), levels)
    assert_close(nsr(seen[3][0][0]), 5 * math.sqrt(2), rtol=1e-9, atol=0)


def test_forward_noise_ends_in_the_marginal(process, times):
    levels = levels_at(process, times)
    for here, there in zip(levels, levels[7:], strict=False):
        step = forward(here, there)
        assert_close(step.of_x * here.alpha, there.alpha, rtol=1e-12, atol=0)
        assert_close(math.hypot(step.of_x * here.sigma, step.deviation), there.sigma, rtol=1e-9, atol=0)
        assert forward(there, here).deviation == 0


@pytest.mark.parametrize("steps", [7, 8])
def test_restart_goes_through_its_intervals(steps):
    """Steps of 8 pass -log(0.3) within a step; 2 log(4) is a level of the grid."""
    process = complete(build("process", "flow"))
    low = 0.25 if steps == 8 else 0.3
    ends = -2 * math.log(4), 2 * math.log(4)
    levels = levels_at(process, process.t_of_log_snr(torch.linspace(ends[0], ends[1] * 2, steps + 1).double()))
    levels = (*levels[:-1], levels_at(process, torch.zeros(1, dtype=torch.float64))[0])
    if steps == 8:
        low = nsr(levels[6])
    seen = watched(build("sampler", "restart", intervals=[[low, 2.0, 3, 4]]), levels)
    passed = [index for index, (_, asked) in enumerate(seen) if asked]
    (index,) = passed
    assert nsr(levels[index]) > low * (1 + 1e-6)
    assert nsr(levels[index + 1]) <= low * (1 + 1e-6)
    called, asked = seen[index]
    assert len(set(asked)) == 3
    split = 0 if steps == 8 else 2
    last = 1 if levels[index + 1].sigma == 0 else 0
    assert len(called) == 2 + split + 2 * 3 * 4 - last
    assert_close(max(nsr(level) for level in called[2:]), 2.0, rtol=1e-9, atol=0)
    around = called[2:26]
    assert [nsr(level) for level in around[::8]] == pytest.approx([2.0] * 3)
    assert min(nsr(level) for level in around) == pytest.approx(low)
    for number, (others, none) in enumerate(seen):
        assert number == index or (len(others), none) == (1 if levels[number + 1].sigma == 0 else 2, [])


def test_restart_in_a_single_step_passes_all():
    levels = levels_at(complete(build("process", "flow")), torch.tensor([1, 0], dtype=torch.float64))
    sampler = build("sampler", "restart", intervals=[[0.1, 0.5, 1, 2], [1.0, 3.0, 2, 2]])
    ((called, asked),) = watched(sampler, levels)
    assert len(asked) == len(set(asked)) == 3
    reached = [nsr(level) if level.alpha else math.inf for level in called]
    # From alpha = 0 and to sigma = 0 Heun's step is Euler's.
    assert len(called) == 1 + 2 * 2 * 2 + 2 + 1 * 2 * 2 + 1
    assert reached[-1] == pytest.approx(0.1)
    assert max(reached[1:]) == pytest.approx(3.0)


def test_restart_past_its_interval_leaves_it_alone():
    run = {"process": "flow", "grid": "uniform", "steps": 60, "x": torch.ones(2, 1, dtype=torch.float64), "start": 0.05}
    one, other = (sample(GAUSSIAN, sampler=name, **run) for name in ("restart", "heun"))
    assert torch.equal(one, other)


def test_restart_goes_back_no_further_than_the_run_began():
    """An edit of little strength stays one."""
    levels = levels_at(complete(build("process", "flow")), torch.tensor([0.3, 0.2, 0.1, 0], dtype=torch.float64))
    sampler = build("sampler", "restart", intervals=[[0.2, 5.0, 2, 3]])
    called, asked = watched(sampler, levels)[1]
    assert len(asked) == 2
    assert max(level.t for level in called) == pytest.approx(0.3)


def test_restart_draws_anew_for_each_interval():
    """Two with the same lower end, and two below all that the process's table tells apart."""
    levels = levels_at(complete(build("process", "discrete-vp")), torch.tensor([1, 0.5, 0], dtype=torch.float64))
    for low in (0.5, 1e-3):
        sampler = build("sampler", "restart", intervals=[[low, 1.0, 1, 2], [low, 3.0, 2, 2]])
        asked = [purpose for _, asked in watched(sampler, levels) for purpose in asked]
        assert len(asked) == len(set(asked)) == 3


def test_restart_from_pure_noise(mixture):
    """Where the noisiest level of a table has no data in it at all, an upper end beyond the table is that level."""
    process = complete(build("process", "discrete-vp", zero_terminal_snr=True))
    sampler = build("sampler", "restart", intervals=[[0.5, 1e4, 2, 12]])
    run = {"process": process, "grid": "log-snr", "steps": 20, "shape": (2,), "seeds": range(4)}
    assert sample(mixture, sampler=sampler, **run).abs().max() < 10


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("restart", {"intervals": [[0.3, 0.3, 1, 1]]}, "upper end"),
        ("restart", {"intervals": []}, "intervals"),
        ("restart", {"intervals": [[0.1, 0.3, 0, 1]]}, "intervals"),
        ("restart", {"intervals": [[0.1, 0.3]]}, "intervals"),
        ("restart", {"intervals": [[0.0, 0.3, 1, 1]]}, "intervals"),
        ("predictor-corrector", {"predictor": "none", "corrections": 0}, "corrections"),
        ("predictor-corrector", {"snr": 0.0}, "snr"),
        ("edm-stochastic", {"churn": -0.1}, "churn"),
        ("dpmpp-2m-sde", {"solver": "midpont"}, "solver"),
        ("euler-ancestral", {"eta": -1.0}, "eta"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name, settings, message):
    with pytest.raises(ConfigError, match=message):
        build("sampler", name, **settings)
