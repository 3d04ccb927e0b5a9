"""Objectives: the minimum is at the posterior mean, weights and densities are the papers', EDM's loss is EDM's."""

from __future__ import annotations

import math

import pytest
import torch
from noiseform import GaussianMixture, build
from noiseform.core.diffusion.level import Level
from noiseform.core.diffusion.process import complete, level_at
from noiseform.core.diffusion.sde import diffusion
from scipy import stats
from torch.testing import assert_close

WEIGHTINGS = ("uniform", "snr", "min-snr", "p2", "edm", "likelihood")
DENSITIES = ("uniform", "logit-normal", "log-normal", "importance")
INSIDE = torch.tensor([0.02, 0.1, 0.35, 0.6, 0.85, 0.97], dtype=torch.float64)


@pytest.fixture
def line() -> GaussianMixture:
    return GaussianMixture([[-1.0], [0.8]], [0.3, 0.5], [0.4, 0.6])


def said(objective, output):
    """Return an output as the objective expects it; of the variance, where it asks for that too, it says nothing."""
    return torch.cat([output, 0 * output], 1) if objective.prediction.learns_variance else output


def refused(objective, process) -> bool:
    """Whether a stage refuses the two when it is built; test_prediction says which these are."""
    return objective.prediction.blindness(process) is not None


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_the_posterior_mean_is_the_minimum(process, objective_name, weighting, line, normal):
    """The loss's gradient by the output, ``E[weight * (output - target) * f(x_t, t)]``, is 0 for every f there."""
    objective = build("objective", objective_name, weighting=weighting)
    if refused(objective, process):
        return
    count = 4000
    u = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    t = objective.times(u, process)
    exact = level_at(process, t)
    level = exact.like(x0 := line.sample(count, seed=1))
    eps = normal(count, 1, purpose="eps")
    x = level.alpha * x0 + level.sigma * eps
    mean = line(x, exact)
    best = objective.prediction.target(mean, -level.sigma * line.score(x, exact), level)
    slack = (best - objective.prediction.target(x0, eps, level)) * objective.weighting(objective.prediction, exact)[
        :, None
    ]
    seen = x / (level.alpha**2 + level.sigma**2).sqrt()
    for f in (torch.ones_like(seen), seen, seen**2, torch.sin(3 * seen), seen * t[:, None]):
        gradient = slack * f
        assert gradient.mean().abs() < 5 * gradient.std() / math.sqrt(count)


def test_what_score_matching_learns_is_the_score(process, line):
    """Vincent 2011: denoising score matching is minimal, x by x, at the slope of log p_t; by quadrature over x0."""
    prediction, x0 = build("objective", "score").prediction, torch.linspace(-6, 6, 20_001, dtype=torch.float64)
    prior = line.log_prob(x0.reshape(-1, 1)).exp()
    for t in INSIDE:
        level = level_at(process, t.reshape(1))
        x = torch.linspace(-2, 2, 9, dtype=torch.float64).reshape(-1, 1) * torch.hypot(level.alpha, level.sigma)
        eps = (x - level.alpha * x0) / level.sigma
        weight = prior * torch.exp(-0.5 * eps**2)  # the joint density of x0 and x
        best = (weight * prediction.target(x0, eps, level)).sum(1) / weight.sum(1)
        assert_close(best, line.score(x, level).flatten(), rtol=1e-7, atol=1e-9)


def test_loss_is_the_weighted_mean_square(process, objective_name, normal):
    alone = {"vlb_weight": 0.0} if objective_name == "hybrid-vlb" else {}
    objective = build("objective", objective_name, weighting="min-snr", **alone)
    if refused(objective, process):
        return
    x0, eps = normal(6, 2, 3, purpose="x0"), normal(6, 2, 3, purpose="eps")
    level = level_at(process, INSIDE)
    shaped = level.like(x0)
    told = {}

    def network(x, time, cond):
        told.update(x=x, time=time, cond=cond)
        return said(objective, 0.7 * x - 0.2)

    loss = objective.loss(network, process, x0, INSIDE, eps, {"vector": eps})
    assert loss.shape == (6,)
    assert_close(told["x"], (shaped.alpha * x0 + shaped.sigma * eps) * objective.prediction.scale(shaped))
    assert_close(told["time"], objective.prediction.time(level))
    assert told["cond"]["vector"] is eps
    error = 0.7 * told["x"] - 0.2 - objective.prediction.target(x0, eps, shaped)
    weight = objective.weighting(objective.prediction, level)
    assert_close(loss, weight * (error**2).mean((1, 2)), rtol=1e-10, atol=0)


@pytest.mark.parametrize("gamma", [1.0, 5.0])
def test_weights_of_variance_preserving_processes_are_the_papers(gamma):
    """The weights of each prediction's error, written out as the papers do.

    Hang et al. 2023, section 3.4; Salimans and Ho 2022, section 4; Choi et al. 2022, equation 8 and table 1; Karras et
    al. 2022, table 1, in their x / alpha; Kingma et al. 2021, equation 17; Song et al. 2021, arXiv 2101.09258.
    """
    for name in ("vp-linear", "discrete-vp"):
        process, t = complete(build("process", name)), INSIDE + 1e-5  # no entry of a table
        level = level_at(process, t)
        snr = level.log_snr.exp()
        nsr = snr**-0.5
        slope = -(process.log_snr(t + 1e-6) - process.log_snr(t - 1e-6)) / 2e-6
        capped = snr.clamp(max=gamma)
        known = {
            ("eps", "uniform"): torch.ones_like(snr),
            ("eps", "snr"): torch.ones_like(snr),
            ("eps", "min-snr"): capped / snr,
            ("x0", "snr"): snr,
            ("x0", "min-snr"): capped,
            ("v", "snr"): snr / (snr + 1),
            ("v", "min-snr"): capped / (snr + 1),
            ("score", "uniform"): level.sigma**2,
            ("eps", "p2"): (1 + snr) ** -gamma,
            ("x0", "p2"): snr * (1 + snr) ** -gamma,
            ("v", "p2"): snr * (1 + snr) ** -(gamma + 1),
            ("x0", "edm"): (nsr**2 + 0.5**2) / (nsr * 0.5) ** 2,
            ("eps", "edm"): nsr**2 * (nsr**2 + 0.5**2) / (nsr * 0.5) ** 2,
            ("edm", "edm"): torch.ones_like(snr),
            ("eps", "likelihood"): slope / 2,
            ("x0", "likelihood"): slope * snr / 2,
            ("score", "likelihood"): diffusion(process, t) ** 2 / 2,
        }
        for (use, weighting), expected in known.items():
            objective = build("objective", use, weighting=weighting, gamma=gamma)
            near = 1e-6 if weighting == "likelihood" else 1e-9  # finite differences
            assert_close(objective.weighting(objective.prediction, level), expected, rtol=near, atol=0)


def test_weighted_errors_are_the_same_for_every_prediction(process, objective_name, normal):
    """Weights are of the error of eps or of x0, whatever the network says."""
    x, output = normal(6, 4, purpose="x"), normal(6, 4, purpose="output")
    t = INSIDE + 1e-5  # no entry of a table
    exact = level_at(process, t)
    level, snr = exact.like(x), exact.log_snr.exp()
    prediction = build("objective", objective_name).prediction
    truth = normal(6, 4, purpose="truth")
    clean, noise = prediction.pair(truth, x, level)
    seen_clean, seen_noise = prediction.pair(output, x, level)
    slope = -(process.log_snr(t + 1e-6) - process.log_snr(t - 1e-6)) / 2e-6
    square = lambda error: (error**2).mean(1)  # noqa: E731
    for weighting, expected in (
        ("snr", square(seen_noise - noise)),
        ("min-snr", snr.clamp(max=5.0) * square(seen_clean - clean)),
        ("p2", square(seen_noise - noise) / (1 + snr)),
        ("edm", (snr + 4) * square(seen_clean - clean)),
        ("likelihood", slope / 2 * square(seen_noise - noise)),
    ):
        weight = build("objective", objective_name, weighting=weighting).weighting(prediction, exact)
        assert_close(weight * square(output - truth), expected, rtol=1e-6, atol=0)


def test_edm_loss_is_edms(normal):
    """Equations 5 to 8 of Karras et al. 2022, as their code writes them."""
    count, data = 64, 0.5
    process, objective = complete(build("process", "edm")), build("objective", "edm")
    u = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    t = objective.times(u, process)
    y, eps = data * normal(count, 3, purpose="y"), normal(count, 3, purpose="eps")

    def network(x, time, cond):
        return torch.tanh(x) * time.reshape(-1, 1)

    sigma = torch.exp(-1.2 + 1.2 * torch.special.ndtri(u)).reshape(-1, 1)
    noisy = y + sigma * eps
    root = (sigma**2 + data**2).sqrt()
    inner = network(noisy / root, (sigma.log() / 4).flatten(), {})
    denoised = data**2 / root**2 * noisy + sigma * data / root * inner
    weight = root**2 / (sigma * data) ** 2
    expected = (weight * (denoised - y) ** 2).mean(1)
    assert_close(objective.loss(network, process, y, t, eps, {}), expected, rtol=1e-9, atol=1e-12)


def test_flow_matching_loss_is_its_formula(normal):
    process, objective = complete(build("process", "flow")), build("objective", "velocity")
    x0, eps, t = normal(6, 3, purpose="x0"), normal(6, 3, purpose="eps"), INSIDE.reshape(-1, 1)

    def network(x, time, cond):
        return torch.sin(x)

    x = (1 - t) * x0 + t * eps
    norm = ((1 - t) ** 2 + t**2).sqrt()  # the network sees unit variance
    expected = ((torch.sin(x / norm) - (eps - x0)) ** 2).mean(1)
    assert_close(objective.loss(network, process, x0, INSIDE, eps, {}), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("density", DENSITIES)
def test_times_have_the_density(process, objective_name, density):
    count = 4096
    u = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    t = build("objective", objective_name, density=density).times(u, process)
    assert (t.dtype, t.shape) == (torch.float64, u.shape)
    assert ((t > 0) & (t < 1)).all()
    variable, law = {
        "uniform": (t, stats.uniform()),
        "logit-normal": (torch.logit(t), stats.norm(0, 1)),
        "log-normal": (-process.log_snr(t) / 2, stats.norm(-1.2, 1.2)),
        "importance": (t, stats.uniform()),  # as long as it has seen no losses
    }[density]
    # What a process cannot reach (an nsr above that of t = 1) gathers at its end: less than 2 % of the numbers.
    assert stats.kstest(variable.numpy(), law.cdf).statistic < 0.02


def test_importance_follows_the_losses_and_keeps_their_mean():
    """Nichol and Dhariwal 2021, equation 18, for a loss of 0.1 + 3 t**2 that is now and then four times as large."""
    process, objective = complete(build("process", "flow")), build("objective", "v", density="importance")
    losses = lambda t: 0.1 + 3 * t**2  # noqa: E731
    u = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    for shift in range(10):  # each bin sees one of the hundred times
        t = objective.times(u[shift * 20 :: 200], process)
        objective.memory.corrected(t, losses(t) * (4 if shift == 3 else 1))
    t = objective.times(u, process)
    assert_close(t, t.sort().values)
    edges = torch.linspace(0, 1, 101)
    expected = stats.rv_histogram((losses((edges[1:] + edges[:-1]) / 2).numpy(), edges.numpy()))
    assert stats.kstest(t.numpy(), expected.cdf).statistic < 0.005
    assert objective.memory.density().mean().item() == pytest.approx(1)
    twin = build("objective", "v", density="importance")
    twin.memory.load_state_dict(objective.memory.state_dict())
    assert torch.equal(twin.times(u, process), t)
    corrected = objective.memory.corrected(t, losses(t))
    assert corrected.mean().item() == pytest.approx(1.1, rel=1e-3)  # the integral over t
    assert corrected.std() < 0.1 * losses(u).std()


def test_importance_draws_everywhere_where_losses_vanish():
    process, objective = complete(build("process", "flow")), build("objective", "v", density="importance")
    u = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    for loss in (torch.zeros_like(u), (u > 0.5).double()):
        objective.memory.corrected(u, loss)
        t = objective.times(torch.cat([u, torch.tensor([0.0, 1 - 2**-53])]), process)
        assert (t > 0).all()
        assert (t < 1).all()
    assert t.min() < 0.5


def test_centre_and_width_of_a_density_can_be_set():
    process, u = complete(build("process", "flow")), torch.tensor([0.5, 0.8413447460685429], dtype=torch.float64)
    t = build("objective", "v", density="logit-normal", mean=0.4, std=0.5).times(u, process)
    assert_close(torch.logit(t), torch.tensor([0.4, 0.9], dtype=torch.float64), rtol=1e-9, atol=0)
    with pytest.raises(Exception, match="std"):
        build("objective", "v", density="logit-normal", std=0.0)


@pytest.mark.parametrize("density", DENSITIES)
def test_losses_are_finite_at_every_time_that_is_drawn(process, objective_name, density, normal):
    for weighting in WEIGHTINGS:
        objective = build("objective", objective_name, weighting=weighting, density=density)
        if refused(objective, process):
            return
        u = torch.tensor([0.0, 1e-12, 1e-3, 0.5, 0.999, 1 - 2**-24, 1 - 2**-53], dtype=torch.float64)
        t = objective.times(u, process)
        x0, eps = (normal(len(u), 3, purpose=name).float() for name in ("x0", "eps"))
        loss = objective.loss(lambda x, time, cond: said(objective, x), process, x0, t, eps, {})  # noqa: B023
        assert loss.dtype == torch.float32
        assert torch.isfinite(loss).all(), weighting


def test_weights_at_the_end_of_zero_terminal_snr_are_finite():
    process = complete(build("process", "discrete-vp", zero_terminal_snr=True))
    level = level_at(process, torch.ones(1, dtype=torch.float64))
    assert isinstance(level, Level)
    for use in ("v", "x0", "velocity", "edm"):
        for weighting in WEIGHTINGS:
            objective = build("objective", use, weighting=weighting)
            assert torch.isfinite(objective.weighting(objective.prediction, level)).all(), (use, weighting)
