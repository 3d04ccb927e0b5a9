"""The variance of a step: what it is between any two levels, how a model says it, how it gets to the sampler."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from noiseform import GaussianMixture, build, sample
from noiseform.core.diffusion.denoiser import Denoiser
from noiseform.core.diffusion.guided import Guided
from noiseform.core.diffusion.oracle import OracleDenoiser
from noiseform.core.diffusion.prediction import EPS
from noiseform.core.diffusion.process import complete, level_at, levels_at
from noiseform.core.diffusion.transition import learnt_variance, transition
from noiseform.core.errors import ConfigError
from torch.testing import assert_close

ALL = GaussianMixture([[-1.0, 0.5], [1.0, -0.5]], [0.3, 0.3])
ASKED = GaussianMixture([[1.0, -0.5]], [0.4])
COND, NULL = {"vector": torch.ones(4, 1)}, {"vector": torch.zeros(4, 1)}
PREDICTION = build("objective", "hybrid-vlb", predict="v").prediction
HERE, NEXT = levels_at(build("process", "discrete-vp"), torch.tensor([0.5, 0.45], dtype=torch.float64))


def oracle() -> OracleDenoiser:
    return OracleDenoiser(ALL, PREDICTION, asked=ASKED, dtype=torch.float64)


def test_transition_is_the_posterior(process, times, normal):
    """By conditioning the joint Gaussian of x_next and x_here, given x0, on x_here."""
    for next, here in pairwise(levels_at(process, times)):
        kept = here.alpha / next.alpha
        together = kept * next.sigma**2  # their covariance
        gain = together / here.sigma**2
        step = transition(here, next)
        assert math.isclose(step.of_x, gain, rel_tol=1e-9)
        assert math.isclose(step.of_x0, next.alpha - gain * here.alpha, rel_tol=1e-6)
        assert math.isclose(step.small, next.sigma**2 - gain * together, rel_tol=1e-6)
        unit = (
            next.alpha**2 + next.sigma**2 - (next.alpha * here.alpha + together) ** 2 / (here.alpha**2 + here.sigma**2)
        )
        assert math.isclose(step.large, unit, rel_tol=1e-6)
        assert step.small < step.large


def test_transition_of_a_table_is_that_of_its_betas():
    process, index = build("process", "discrete-vp"), torch.arange(1, 1000, dtype=torch.float64)
    alpha_bar = process.alpha(torch.arange(1001, dtype=torch.float64) / 1000) ** 2
    beta = 1 - alpha_bar[1:] / alpha_bar[:-1]
    process = complete(process)
    step = transition(level_at(process, (index + 1) / 1000), level_at(process, index / 1000))
    assert_close(step.large, beta[1:], rtol=1e-9, atol=0)
    assert_close(step.small, beta[1:] * (1 - alpha_bar[1:-1]) / (1 - alpha_bar[2:]), rtol=1e-9, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_a_denoiser_says_what_lies_between_small_and_large(dtype):
    said = torch.tensor([[-1.0, 1.0, 0.0, -0.5, 1.5]], dtype=dtype)
    denoise = Denoiser(lambda x, time, cond: torch.cat([x, said], 1), PREDICTION, dtype=dtype)
    assert not hasattr(denoise, "variance")  # before it was ever asked
    denoise(torch.zeros(1, 5, dtype=dtype), HERE)
    step, variance = transition(HERE, NEXT), denoise.variance(HERE, NEXT)
    between = [step.small**0.75 * step.large**0.25, step.large**1.25 / step.small**0.25]
    expected = torch.tensor([[step.small, step.large, math.sqrt(step.small * step.large), *between]])
    assert variance.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert_close(variance.float(), expected, rtol=1e-6, atol=0)


def test_nothing_is_in_doubt_at_the_data():
    (data,) = levels_at(build("process", "discrete-vp"), torch.zeros(1, dtype=torch.float64))
    assert not bool(learnt_variance(torch.tensor([[-3.0, 0.0, 3.0]]), HERE, data).any())


def test_variance_of_the_mixture_is_the_slope_of_its_denoiser(process, mixture, normal):
    """Var[x0 | x_t] of a value is sigma**2 / alpha times the derivative of the denoiser by it."""
    for level in levels_at(process, torch.tensor([0.02, 0.2, 0.6, 0.95], dtype=torch.float64)):
        x = (normal(9, 2) * math.hypot(level.alpha, level.sigma)).requires_grad_()
        x0 = mixture(x, level)
        slope = torch.stack([torch.autograd.grad(x0[:, i].sum(), x, retain_graph=True)[0][:, i] for i in (0, 1)], 1)
        expected = level.sigma**2 / level.alpha * slope
        assert_close(mixture.posterior_variance(x.detach(), level), expected, rtol=1e-7, atol=1e-10)


def test_the_oracle_says_the_best_variance_of_short_steps(process, mixture, normal):
    """Bao et al. 2022, theorem 1: the posterior's, and what the doubt about x0 adds."""
    denoise = OracleDenoiser(mixture, PREDICTION, dtype=torch.float64)
    for t in (0.02, 0.2, 0.6, 0.95):
        errors = []
        for short in (1e-3, 1e-4):
            here, next = levels_at(process, torch.tensor([t + short, t], dtype=torch.float64))
            x = normal(9, 2) * math.hypot(here.alpha, here.sigma)
            denoise(x, here)
            step = transition(here, next)
            best = step.small + step.of_x0**2 * mixture.posterior_variance(x, here)
            errors.append((denoise.variance(here, next) / best - 1).abs().max().item())
        assert errors[1] < max(0.03 * errors[0], 1e-9)  # of second order in the step


def test_guidance_leaves_the_variance_to_the_condition(guidance, normal):
    denoise = oracle()
    x = normal(4, 2)
    guided = Guided(guidance, denoise, COND, NULL, of="guidance", given={})
    assert not hasattr(guided, "variance")
    guided(x, HERE)
    denoise(x, HERE, COND)
    assert_close(guided.variance(HERE, NEXT), denoise.variance(HERE, NEXT))
    denoise(x, HERE, NULL)
    assert (guided.variance(HERE, NEXT) / denoise.variance(HERE, NEXT) - 1).abs().min() > 1e-4


class Twice:
    """Calls for the condition and for none, one after the other."""

    def wrap(self, denoise, cond, null):
        return lambda x, level: 2 * denoise(x, level, cond) - denoise(x, level, null)


class NullFirst:
    def wrap(self, denoise, cond, null):
        return lambda x, level: -denoise(x, level, null) + 2 * denoise(x, level, cond)


class AtOnce:
    """Calls for both at once, none first."""

    def wrap(self, denoise, cond, null):
        both = {name: torch.cat([null[name], cond[name]]) for name in cond}

        def guided(x, level):
            plain, conditioned = denoise(torch.cat([x, x]), level, both).chunk(2)
            return 2 * conditioned - plain

        return guided


@pytest.mark.parametrize("kind", [Twice, NullFirst, AtOnce])
def test_the_variance_is_that_of_the_condition_whatever_the_order_of_calls(normal, kind):

    denoise, x = oracle(), normal(4, 2)
    guided = Guided(kind(), denoise, COND, NULL, of="guidance", given={})
    for shift in (0.0, 1.0):  # the second time as the first
        guided(x + shift, HERE)
        told = guided.variance(HERE, NEXT)
        denoise(x + shift, HERE, COND)
        assert_close(told, denoise.variance(HERE, NEXT))


def test_a_model_without_has_none_under_guidance_either(guidance, normal):
    denoise = OracleDenoiser(ALL, EPS, asked=ASKED)
    guided = Guided(guidance, denoise, COND, NULL, of="guidance", given={})
    guided(normal(4, 2), HERE)
    assert not hasattr(guided, "variance")


RUN = {"steps": 7, "shape": (2,), "seeds": range(4), "dtype": torch.float64}


def test_ddpm_takes_what_is_said(process, grid):
    """A network that says -1 or 1 everywhere is "small" or "large", on any process and in steps of any length."""
    for name, said in (("small", -1.0), ("large", 1.0)):

        class Fixed:
            def __call__(self, x, level):
                self.output = torch.full_like(x, said)  # noqa: B023
                return ALL(x, level)

            def variance(self, here, next):
                return learnt_variance(self.output, here, next)

        run = RUN | {"process": process, "grid": grid}
        one = sample(Fixed(), sampler=build("sampler", "ddpm", variance="learned"), **run)
        other = sample(ALL, sampler=build("sampler", "ddpm", variance=name), **run)
        assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_observers_do_not_stand_in_the_way():
    class Watcher:
        every, needs_x0 = 1, True

        def __call__(self, step):
            pass

    run = RUN | {"process": "discrete-vp", "grid": "uniform"}
    learned = build("sampler", "ddpm", variance="learned")
    watched, plain = (sample(oracle(), sampler=learned, observers=some, **run) for some in ([Watcher()], []))
    assert torch.equal(watched, plain)
    assert (plain - sample(oracle(), sampler="ddpm", **run)).abs().max() > 1e-3


class Columns:
    """An item of many numbers, each of which is one of the data: so that its noise is one draw."""

    def __init__(self, denoise):
        self.denoise = denoise

    def __call__(self, x, level):
        return self.denoise(x.reshape(-1, 1), level).reshape(x.shape)

    def variance(self, here, next):
        return self.denoise.variance(here, next).reshape(1, -1)


def test_learned_variance_is_closer_in_distribution_than_small_or_large(process):
    """Of one Gaussian, in as few as 20 steps; both of the others miss its width by more."""
    data, missed = GaussianMixture([[0.0]], [0.5]), {}
    grid = build("grid", "log-snr")
    for variance in ("small", "large", "learned"):
        made = sample(
            Columns(OracleDenoiser(data, PREDICTION, dtype=torch.float64)),
            process=process,
            sampler=build("sampler", "ddpm", variance=variance),
            grid=grid,
            steps=20,
            shape=(20_000,),
            seeds=[3],
            dtype=torch.float64,
        )
        missed[variance] = abs(made.std().item() - 0.5)
    assert missed["learned"] < 0.5 * min(missed["small"], missed["large"]), missed


@pytest.mark.parametrize("denoise", [ALL, lambda x, level: 0.5 * x, OracleDenoiser(ALL, EPS)])
def test_a_model_without_is_told_with_the_cure(denoise):
    with pytest.raises(ConfigError, match='the denoiser has none; use "small" or "large", or a model') as caught:
        sample(
            denoise,
            sampler=build("sampler", "ddpm", variance="learned"),
            **RUN | {"process": "discrete-vp", "grid": "uniform"},
        )
    assert "\n" not in str(caught.value)


def test_every_sampler_runs_with_a_model_that_says_more(sampler, process, grid):
    plain = OracleDenoiser(ALL, build("objective", "v").prediction, dtype=torch.float64)
    run = RUN | {"process": process, "grid": grid, "sampler": sampler}
    assert_close(sample(OracleDenoiser(ALL, PREDICTION, dtype=torch.float64), **run), sample(plain, **run))
