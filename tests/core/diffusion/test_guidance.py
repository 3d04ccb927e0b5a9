"""Guidance: what it computes, what it costs, and that it knows nothing of the rest."""

from __future__ import annotations

import pytest
import torch
from noiseform import GaussianMixture, build, sample
from noiseform.core.diffusion.level import Level
from noiseform.core.diffusion.oracle import OracleDenoiser
from noiseform.core.errors import ConfigError
from torch.testing import assert_close

ALL = GaussianMixture([[-1.0, 0.5], [1.0, -0.5]], [0.3, 0.3])
ASKED = GaussianMixture([[1.0, -0.5]], [0.3])
LEVEL = Level(0.5, 0.6, 0.8, -1.0, 1.0, -0.575)
COND, NULL = {"vector": torch.ones(4, 1)}, {"vector": torch.zeros(4, 1)}


@pytest.fixture
def oracle() -> OracleDenoiser:
    return OracleDenoiser(ALL, build("objective", "v").prediction, asked=ASKED, dtype=torch.float64)


@pytest.fixture
def x(normal):
    return normal(4, 2)


def test_every_guidance_makes_a_denoiser(guidance, oracle, x):
    x0 = guidance.wrap(oracle, COND, NULL)(x, LEVEL)
    assert (x0.shape, x0.dtype) == (x.shape, x.dtype)
    assert torch.isfinite(x0).all()


def test_none_is_the_conditional_denoiser(oracle, x):
    assert_close(build("guidance", "none").wrap(oracle, COND, NULL)(x, LEVEL), ASKED(x, LEVEL))
    assert oracle.rows == 4


def test_scale_one_is_the_conditional_denoiser_at_its_price(oracle, x):
    assert_close(build("guidance", "cfg", scale=1.0).wrap(oracle, COND, NULL)(x, LEVEL), ASKED(x, LEVEL))
    assert oracle.rows == 4


@pytest.mark.parametrize("scale", [-1.0, 0.0, 0.5, 2.0, 7.5])
def test_scale_goes_from_the_null_to_the_condition_and_beyond(oracle, x, scale):
    """Equation 6 of Ho and Salimans 2022, of x0 here; of eps it is the same, since they are linear in each other."""
    x0 = build("guidance", "cfg", scale=scale).wrap(oracle, COND, NULL)(x, LEVEL)
    with_cond, without = ASKED(x, LEVEL), ALL(x, LEVEL)
    assert_close(x0, without + scale * (with_cond - without))
    eps, eps_cond, eps_null = ((x - LEVEL.alpha * one) / LEVEL.sigma for one in (x0, with_cond, without))
    assert_close(eps, eps_null + scale * (eps_cond - eps_null))
    assert oracle.rows == 8


def test_rows_are_not_mixed_up(oracle, x):
    mixed = {"vector": torch.tensor([[1.0], [0.0], [1.0], [0.0]])}
    x0 = build("guidance", "cfg", scale=3.0).wrap(oracle, mixed, NULL)(x, LEVEL)
    assert_close(x0[1::2], ALL(x, LEVEL)[1::2])
    assert_close(x0[::2], (3 * ASKED(x, LEVEL) - 2 * ALL(x, LEVEL))[::2])


@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_rescale_is_its_formula(oracle, normal, share):
    """Equations 15 and 16 of Lin et al. 2024."""
    x = normal(4, 2)
    guided = build("guidance", "cfg", scale=4.0).wrap(oracle, COND, NULL)(x, LEVEL)
    with_cond = ASKED(x, LEVEL)
    rescaled = guided * with_cond.std(1, keepdim=True) / guided.std(1, keepdim=True)
    x0 = build("guidance", "cfg", scale=4.0, rescale=share).wrap(oracle, COND, NULL)(x, LEVEL)
    assert_close(x0, share * rescaled + (1 - share) * guided)


def test_rescale_leaves_a_constant_item_alone():
    def denoise(x, level, cond):
        return torch.full_like(x, 2.0)

    for shape in ((2, 3), (2, 1)):
        x0 = build("guidance", "cfg", rescale=0.7).wrap(denoise, NULL, NULL)(torch.ones(shape), LEVEL)
        assert_close(x0, torch.full(shape, 2.0))


def test_outside_the_interval_it_costs_half(oracle):
    guidance = build("guidance", "cfg", scale=3.0, interval=(0.25, 0.75))
    calls = []

    def counted(x, level, cond):
        calls.append((level.t, len(x)))
        return oracle(x, level, cond)

    run = {"process": build("process", "flow"), "sampler": build("sampler", "euler"), "grid": build("grid", "uniform")}
    sample(guidance.wrap(counted, COND, NULL), steps=8, shape=(2,), seeds=range(4), **run)
    assert calls == [(t, 8 if 0.25 <= t <= 0.75 else 4) for t in (1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125)]
    assert oracle.rows == 5 * 8 + 3 * 4


def test_the_guided_samples_are_of_what_was_asked_for(oracle):
    run = {
        "process": build("process", "flow"),
        "sampler": build("sampler", "default"),
        "grid": build("grid", "default"),
    }
    cond, null = {"vector": torch.ones(64, 1)}, {"vector": torch.zeros(64, 1)}
    denoise = build("guidance", "cfg", scale=1.5).wrap(oracle, cond, null)
    x0 = sample(denoise, steps=12, shape=(2,), seeds=range(64), **run)
    assert ((x0 - ASKED.means.float()).norm(dim=1) < 1).all()
    nothing = build("guidance", "cfg", scale=0.0).wrap(oracle, cond, null)
    share = (sample(nothing, steps=12, shape=(2,), seeds=range(64), **run)[:, 0] > 0).double().mean()
    assert 0.3 < share < 0.7


def test_without_conditioning_it_is_no_guidance():
    rows = []

    def denoise(x, level, cond):
        rows.append(len(x))
        return 0.5 * x

    build("guidance", "cfg", scale=5.0).wrap(denoise, {}, {})(torch.ones(3, 2), LEVEL)
    assert rows == [3]


@pytest.mark.parametrize(
    "settings",
    [
        {"scale": float("nan")},
        {"scale": float("inf")},
        {"rescale": 1.5},
        {"interval": (0.8, 0.2)},
        {"interval": (0.0, 1.2)},
        {"weight": 2.0},
    ],
)
def test_wrong_parameters_are_refused(settings):
    with pytest.raises(ConfigError):
        build("guidance", "cfg", **settings)


@pytest.mark.parametrize("scale", [0.5, 4.0])
def test_apg_that_holds_nothing_back_is_cfg(oracle, x, scale):
    free = build("guidance", "apg", scale=scale, parallel=1.0, momentum=0.0).wrap(oracle, COND, NULL)
    assert_close(free(x, LEVEL), build("guidance", "cfg", scale=scale).wrap(oracle, COND, NULL)(x, LEVEL))


def test_apg_moves_at_right_angles_and_no_further_than_its_limit(oracle, x):
    with_cond = ASKED(x, LEVEL)
    plain = build("guidance", "apg", scale=3.0, momentum=0.0).wrap(oracle, COND, NULL)(x, LEVEL) - with_cond
    assert_close((plain * with_cond).sum(1), torch.zeros(4, dtype=x.dtype), atol=1e-9, rtol=0)
    limited = build("guidance", "apg", scale=3.0, momentum=0.0, parallel=1.0, limit=1e-3).wrap(oracle, COND, NULL)
    lengths = (limited(x, LEVEL) - with_cond).square().mean(1).sqrt()
    assert_close(lengths, torch.full_like(lengths, 2e-3))


def test_momentum_of_apg_is_its_recurrence_and_begins_anew_with_each_run(oracle, x):
    """Equation 11 of Sadat et al. 2024: the sum of the differences, each before times beta."""
    guidance = build("guidance", "apg", scale=2.0, parallel=1.0, momentum=-0.5)
    change = ASKED(x, LEVEL) - ALL(x, LEVEL)
    for _ in range(2):
        denoise = guidance.wrap(oracle, COND, NULL)
        factors = [((denoise(x, LEVEL) - ASKED(x, LEVEL)) / change).mean().item() for _ in range(3)]
        assert factors == pytest.approx([1.0, 0.5, 0.75])


def test_exact_classifier_makes_the_conditional_denoiser_of_the_unconditional_one(oracle, x):
    """Bayes' rule: the score of p(x | y) is that of p(x) and the gradient of log p(y | x)."""

    def guide(x, level):
        half = torch.log(torch.tensor(0.5, dtype=x.dtype))
        return ASKED.log_prob(x, level) + half - ALL.log_prob(x, level)

    guided = build("guidance", "classifier", scale=1.0).wrap(oracle, {}, {}, guide=guide)
    with torch.no_grad():
        assert_close(guided(x, LEVEL), ASKED(x, LEVEL))
        doubled = build("guidance", "classifier", scale=2.0).wrap(oracle, {}, {}, guide=guide)(x, LEVEL)
    assert_close(doubled, 2 * ASKED(x, LEVEL) - ALL(x, LEVEL))


def test_classifier_is_not_asked_where_there_is_nothing_to_classify(x):
    def denoise(x, level, cond):
        return 0.5 * x

    def guide(x, level):
        raise AssertionError("asked")

    noise = Level(1.0, 0.0, 1.0, -1.0, 1.0, float("-inf"))
    assert_close(build("guidance", "classifier").wrap(denoise, {}, {}, guide=guide)(x, noise), 0.5 * x)
    within = build("guidance", "classifier", interval=(0.1, 0.4)).wrap(denoise, {}, {}, guide=guide)
    assert_close(within(x, LEVEL), 0.5 * x)
    with pytest.raises(ConfigError):
        build("guidance", "classifier", interval=(0.8, 0.2))


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5])
def test_autoguidance_leads_away_from_the_weaker_model(oracle, x, scale):
    guided = build("guidance", "autoguidance", scale=scale).wrap(oracle, COND, NULL, guide=ALL)(x, LEVEL)
    assert_close(guided, ALL(x, LEVEL) + scale * (ASKED(x, LEVEL) - ALL(x, LEVEL)))
