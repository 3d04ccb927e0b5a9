"""The closed-form mixture against quadrature, automatic derivatives, samples, and an independent solver."""

from __future__ import annotations

import math

import pytest
import torch
from noiseform import ConfigError, GaussianMixture, build
from noiseform.core.diffusion.level import Level
from noiseform.core.diffusion.oracle import OracleDenoiser
from noiseform.core.diffusion.process import complete, level_at, levels_at
from torch.testing import assert_close

INSIDE = torch.tensor([0.02, 0.2, 0.6, 0.95], dtype=torch.float64)


@pytest.fixture
def line() -> GaussianMixture:
    return GaussianMixture([[-1.0], [0.8]], [0.3, 0.5], [1.0, 3.0])


def test_denoiser_is_the_posterior_mean(process, line):
    """Bayes by quadrature over x0."""
    x0 = torch.linspace(-6, 6, 20_001, dtype=torch.float64)
    prior = sum(w * torch.exp(-0.5 * ((x0 - m) / s) ** 2) / s for w, m, s in ((0.25, -1.0, 0.3), (0.75, 0.8, 0.5)))
    for level in levels_at(process, INSIDE):
        x = torch.linspace(-2, 2, 9, dtype=torch.float64).reshape(-1, 1) * math.hypot(level.alpha, level.sigma)
        weight = prior * torch.exp(-0.5 * ((x - level.alpha * x0) / level.sigma) ** 2)
        assert_close(line(x, level).flatten(), (weight * x0).sum(1) / weight.sum(1), rtol=1e-7, atol=1e-9)


def test_score_is_the_slope_of_the_density(process, mixture, normal):
    for level in levels_at(process, INSIDE):
        x = (normal(20, 2) * math.hypot(level.alpha, level.sigma)).requires_grad_()
        (slope,) = torch.autograd.grad(mixture.log_prob(x, level).sum(), x)
        assert_close(mixture.score(x.detach(), level), slope, rtol=1e-9, atol=1e-10)


def test_score_and_denoiser_are_tweedies_formula(process, mixture, normal):
    for level in levels_at(process, INSIDE):
        x = normal(20, 2) * math.hypot(level.alpha, level.sigma)
        x0 = (x + level.sigma**2 * mixture.score(x, level)) / level.alpha
        assert_close(mixture(x, level), x0, rtol=1e-8, atol=1e-8)


def test_density_integrates_to_one(process, line):
    for level in levels_at(process, torch.cat([torch.zeros(1, dtype=torch.float64), INSIDE])):
        x = torch.linspace(-9, 9, 20_001, dtype=torch.float64) * math.hypot(level.alpha, level.sigma)
        density = line.log_prob(x.reshape(-1, 1), level).exp()
        assert math.isclose(torch.trapezoid(density, x).item(), 1, rel_tol=1e-8)


def test_ends(mixture, normal):
    x = normal(10, 2)
    noise, data = Level(1.0, 0.0, 1.0, 0.0, 0.0, -math.inf), Level(0.0, 1.0, 0.0, 0.0, 0.0, math.inf)
    mean = mixture.log_weights.exp() @ mixture.means
    assert_close(mixture(x, noise), mean.expand(10, 2))
    assert_close(mixture(x, data), x)
    assert_close(mixture.score(x, noise), -x)


def test_each_row_at_its_own_level(process, mixture, normal):
    x = normal(len(INSIDE), 2)
    together = mixture(x, level_at(process, INSIDE))
    scores = mixture.score(x, level_at(process, INSIDE))
    for row, level in enumerate(levels_at(process, INSIDE)):
        assert_close(mixture(x[row : row + 1], level)[0], together[row])
        assert_close(mixture.score(x[row : row + 1], level)[0], scores[row])


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 3, 2), (1, 2, 2, 3)])
def test_items_of_any_rank_keep_their_dtype(shape, normal):
    mixture = GaussianMixture(normal(3, *shape, purpose="means"), [0.5, 0.4, 0.3])
    assert mixture.shape == shape
    (level,) = levels_at(complete(build("process", "flow")), INSIDE[1:2])
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        x = normal(5, *shape).to(dtype)
        for value in (mixture(x, level), mixture.score(x, level)):
            assert (value.shape, value.dtype) == (x.shape, dtype)


def test_samples_have_its_moments(line):
    x = line.sample(40_000, seed=2)
    mean = 0.25 * -1.0 + 0.75 * 0.8
    variance = 0.25 * (0.3**2 + 1.0) + 0.75 * (0.5**2 + 0.8**2) - mean**2
    assert_close(x.mean().item(), mean, rtol=0, atol=4 * math.sqrt(variance / 40_000))
    assert_close(x.var().item(), variance, rtol=0.03, atol=0)
    assert_close((x < -0.1).double().mean().item(), 0.277, rtol=0, atol=0.01)
    assert torch.equal(x, line.sample(40_000, seed=2))
    assert not torch.equal(x, line.sample(40_000, seed=3))


def test_trajectories_of_one_gaussian_are_known(process, trajectories_of):
    """There x_t = alpha m + sqrt((alpha s)**2 + sigma**2) z with one z for every t."""
    data = GaussianMixture([[0.7, -0.2]], [0.4])
    solved = trajectories_of(data)
    z = solved.at(Level(1.0, 0.0, 1.0, 0.0, 0.0, -math.inf))
    for level in levels_at(process, torch.tensor([0.9, 0.5, 0.1, 0.0], dtype=torch.float64)):
        known = level.alpha * data.means + math.hypot(0.4 * level.alpha, level.sigma) * z
        assert_close(solved.at(level), known, rtol=1e-9, atol=1e-9)


def test_oracle_is_the_mixture_in_every_prediction(process, objective, mixture, normal):
    denoise = OracleDenoiser(mixture, objective.prediction, dtype=torch.float64)
    for level in levels_at(process, INSIDE):
        x = normal(7, 2) * math.hypot(level.alpha, level.sigma)
        assert_close(denoise(x, level), mixture(x, level), rtol=1e-8, atol=1e-8)
    assert denoise.rows == 7 * len(INSIDE)


@pytest.mark.parametrize(
    ("means", "widths", "weights"),
    [
        ([1.0, 2.0], [1.0, 1.0], None),
        ([[1.0], [2.0]], [1.0], None),
        ([[1.0], [2.0]], [1.0, 1.0], [1.0]),
        ([[1.0]], [0.0], None),
        ([[1.0], [2.0]], [1.0, 1.0], [1.0, 0.0]),
        ([[1.0], [2.0]], [1.0, float("nan")], None),
        ([["a"]], [1.0], None),
        (3.0, 1.0, None),
    ],
)
def test_what_is_no_mixture_is_refused(means, widths, weights):
    with pytest.raises(ConfigError, match=r"expected|positive|numbers"):
        GaussianMixture(means, widths, weights)
