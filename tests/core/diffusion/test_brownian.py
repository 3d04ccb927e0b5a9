"""Noise by interval: the path is a Brownian motion in the clock SNR, the same for any steps, and samplers follow it."""

from __future__ import annotations

import itertools
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from noiseform import build, sample
from noiseform.core.diffusion.brownian import BrownianPath
from noiseform.core.diffusion.noise import Draws, Key
from noiseform.core.diffusion.process import complete, levels_at
from torch.testing import assert_close

FLOW = complete(build("process", "flow"))
FOLLOWERS = [
    ("ddpm", {}),
    ("ddim", {"eta": 0.6}),
    ("euler-ancestral", {}),
    ("dpmpp-2m-sde", {}),
    ("dpmpp-2m-sde", {"eta": 0.5, "solver": "heun"}),
]


def path_of(seed, shape=(10_000,)):
    draws = Draws()
    return BrownianPath(lambda node: draws.normal([Key(seed)], shape, purpose="path", step=node, dtype=torch.float64))


def levels(*log_snr):
    return levels_at(FLOW, FLOW.t_of_log_snr(torch.tensor(log_snr, dtype=torch.float64)))


def increment(path, here, next):
    """Return W(next) - W(here), by the clock as the path resolves it."""
    return path.between(here, next) * math.sqrt(clock(next) - clock(here))


def clock(level):
    """Return SNR where the path has its nearest node: 2**20 of them from -40 to 40."""
    node = round((level.log_snr + 40) / 80 * 2**20)
    return math.exp(node / 2**20 * 80 - 40)


@pytest.mark.parametrize(("start", "end"), [(-math.inf, -30.0), (-8.0, -7.9), (-1.0, 2.0), (3.0, 3.001), (9.0, 20.0)])
def test_an_increment_is_standard_normal(start, end):
    path, count = path_of(3), 10_000
    here = levels_at(FLOW, torch.ones(1, dtype=torch.float64))[0] if start == -math.inf else levels(start)[0]
    z = path.between(here, levels(end)[0])[0]
    assert abs(z.mean().item()) < 4 / math.sqrt(count)
    assert abs(z.var().item() - 1) < 4 * math.sqrt(2 / count)
    assert abs(z.pow(3).mean().item()) < 4 * math.sqrt(15 / count)
    assert abs(z.pow(4).mean().item() - 3) < 4 * math.sqrt(96 / count)


def test_disjoint_intervals_are_independent():
    path, count = path_of(4), 10_000
    along = levels(-9.0, -4.0, -3.9, 0.0, 1.0, 1.5, 6.0)
    z = torch.cat([path.between(here, next) for here, next in pairwise(along)])
    off = torch.corrcoef(z) - torch.eye(len(z), dtype=torch.float64)
    assert off.abs().max().item() < 4.5 / math.sqrt(count)


def test_halves_make_the_whole():
    path = path_of(5, (100,))
    for start, middle, end in [(-6.0, -2.0, 1.0), (0.1, 0.2, 0.3), (2.0, 5.5, 12.0), (-1.0, -0.999, 7.0)]:
        here, between, next = levels(start, middle, end)
        whole = increment(path, here, next)
        halves = increment(path, here, between) + increment(path, between, next)
        assert_close(halves, whole, rtol=1e-9, atol=1e-9 * math.sqrt(clock(next)))


def test_the_order_of_the_questions_does_not_matter():
    along = levels(-5.0, -2.0, 0.0, 0.5, 4.0)
    pairs = list(pairwise(along))
    expected = [path_of(6, (3, 4)).between(*pair) for pair in pairs]
    for order in itertools.islice(itertools.permutations(range(len(pairs))), 0, None, 5):
        path = path_of(6, (3, 4))
        found = {index: path.between(*pairs[index]) for index in order}
        for index, z in enumerate(expected):
            assert torch.equal(found[index], z)


def test_beyond_the_resolution_each_interval_has_numbers_of_its_own():
    path = path_of(7)
    one, two = (path.between(*levels(at, at + 1e-6))[0] for at in (1.0, 2.0))
    assert abs(one.var().item() - 1) < 0.06
    assert abs((one * two).mean().item()) < 0.04


class Even:
    """A grid of equal steps of log-SNR between two ends that no step reaches."""

    def times(self, process, steps):
        return process.t_of_log_snr(torch.linspace(-6, 6, steps + 1, dtype=torch.float64))


def run(name, settings, steps, seeds, denoise, *, points=1, brownian=True, process="flow", dtype=torch.float64):
    """Return x (seeds, points, 2) at a log-SNR of 6 from one of -6; an item is so many points of the plane."""
    process = complete(build("process", process))
    first = levels_at(process, Even().times(process, steps))[0]
    start = Draws().normal([Key(seed) for seed in seeds], (points, 2), purpose="start", dtype=torch.float64)
    return sample(
        lambda x, level: denoise(x.flatten(0, 1), level).reshape(x.shape),
        process=process,
        sampler=build("sampler", name, brownian=brownian, **settings),
        grid=Even(),
        steps=steps,
        x=(start * math.hypot(first.alpha, first.sigma)).to(dtype),
        seeds=seeds,
    )


@pytest.mark.parametrize(("name", "settings"), FOLLOWERS)
def test_items_follow_their_own_path(name, settings, mixture):
    """In any batch, alone, and again."""
    together = run(name, settings, 12, [5, 6, 7], mixture)
    assert torch.equal(run(name, settings, 12, [7, 5], mixture), together[[2, 0]])
    assert torch.equal(run(name, settings, 12, [6], mixture), together[1:2])
    assert not torch.equal(together[0], together[1])


@pytest.mark.parametrize(("name", "settings"), FOLLOWERS)
def test_finer_steps_follow_the_same_path(name, settings, mixture):
    """40 and 80 steps end nearer to each other than with noise by step, by far."""

    def apart(brownian):
        one, other = (run(name, settings, steps, [1], mixture, points=200, brownian=brownian) for steps in (40, 80))
        return (one - other).square().mean().sqrt().item()

    assert apart(True) < 0.25 * apart(False)


@pytest.mark.parametrize(("name", "settings"), FOLLOWERS)
def test_converges_path_by_path(name, settings, mixture):
    """The strong order is 1: the distance between n and 2 n steps halves as n doubles."""
    made = [run(name, settings, steps, [1], mixture, points=300) for steps in (16, 32, 64, 128, 256)]
    errors = [(one - other).square().mean().sqrt().item() for one, other in pairwise(made)]
    slope = -np.polyfit(np.log([16, 32, 64, 128]), np.log(errors), 1)[0]
    assert abs(slope - 1) < 0.2, errors


EXACT = [
    ("ddpm", {}),
    ("ddim", {"eta": 1.0}),
    ("euler-ancestral", {}),
    ("dpmpp-2m-sde", {}),
    ("dpmpp-2m-sde", {"solver": "heun"}),
]


@pytest.mark.parametrize(("name", "settings"), EXACT)
@pytest.mark.parametrize("process", ["flow", "vp-linear", "ve"])
def test_steps_of_equal_x0_compose(name, settings, process):
    """With an x0 that does not change, the noise of the SDE's own amount is an increment of the path: all agree."""
    point = torch.tensor([0.3, -0.8], dtype=torch.float64)

    def denoise(x, level):
        return point.expand_as(x)

    one, two, many = (run(name, settings, steps, [0, 1, 2], denoise, process=process) for steps in (1, 2, 31))
    # The path's nodes are 8e-5 of log-SNR apart, so that a level may be 4e-5 from its node.
    assert_close(two, one, rtol=0, atol=1e-4)
    assert_close(many, one, rtol=0, atol=1e-4)


@pytest.mark.parametrize("eta", [0.5, 0.9])
def test_steps_of_less_noise_do_not_compose(eta):
    """There the clock of the path is not that of the noise, so that only ever finer steps agree."""

    def denoise(x, level):
        return torch.zeros_like(x)

    one, two = (run("ddim", {"eta": eta}, steps, [0, 1, 2], denoise) for steps in (1, 2))
    assert (one - two).abs().max() > 1e-3


def test_half_precision_follows_the_same_path(mixture):
    fine, coarse = (run("ddpm", {}, 20, [0, 1], mixture, dtype=dtype) for dtype in (torch.float64, torch.bfloat16))
    assert coarse.dtype == torch.bfloat16
    assert_close(coarse.double(), fine, rtol=0, atol=0.2)
