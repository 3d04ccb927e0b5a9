"""Likelihoods against the closed-form mixture, for every process: what is exact, what bounds it, and by how much."""

from __future__ import annotations

import math

import pytest
import torch
from noiseform import ConfigError, GaussianMixture, NumericError, build, log_likelihood
from noiseform.core.diffusion.likelihood import Likelihood
from noiseform.core.diffusion.oracle import OracleDenoiser
from noiseform.core.diffusion.process import complete, levels_at
from torch.testing import assert_close

EXAMPLES = True
START = 1e-3


def of_size(size, normal):
    """Return three modes of about unit variance in so many dimensions."""
    return GaussianMixture(0.8 * normal(3, size, purpose=f"means-{size}"), [0.5, 0.6, 0.4], [0.3, 0.4, 0.3])


def true_bits(data, x0):
    return -data.log_prob(x0) / (x0[0].numel() * math.log(2))


def as_seen(process, data, x0):
    """Return the log-density (rows,) of the data with the noise of ``START``."""
    (level,) = levels_at(process, process.t_of_log_snr(torch.tensor([-2 * math.log(START)], dtype=torch.float64)))
    return data.log_prob(level.alpha * x0, level) + x0[0].numel() * math.log(level.alpha)


@pytest.mark.parametrize("size", [1, 2, 64])
def test_ode_gives_the_true_density(process, normal, size):
    """In the mean over items; where alpha(1) is not 0, one item's own may be off by what noise still knows of it."""
    data = of_size(size, normal)
    x0 = data.sample(4 if size == 64 else 48, seed=3)
    found = log_likelihood(data, x0, process=process, trace="exact", rtol=1e-4, atol=1e-4)
    assert found.bits_per_dim.shape == (len(x0),)
    assert found.bits_per_dim.mean().item() == pytest.approx(true_bits(data, x0).mean().item(), abs=0.005)
    assert_close(found.bits_per_dim, true_bits(data, x0), rtol=0, atol=0.1)
    assert torch.equal(found.error, torch.zeros(len(x0), dtype=torch.float64))


def test_ode_is_exact_where_the_prior_is(normal):
    """On cosine and flow alpha(1) = 0: nothing is left but the tolerance, and START's noise."""
    for name in ("vp-cosine", "flow"):
        process, data = complete(build("process", name)), of_size(2, normal)
        x0 = data.sample(16, seed=5)
        found = log_likelihood(data, x0, process=process, start=START, rtol=1e-7, atol=1e-7)
        assert_close(found.nats, as_seen(process, data, x0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("trace", ["rademacher", "gaussian"])
def test_estimated_traces_are_right_within_their_error(normal, trace):
    data = of_size(64, normal)
    x0 = data.sample(12, seed=7)
    exact = log_likelihood(data, x0, process="flow", trace="exact")
    found = log_likelihood(data, x0, process="flow", trace=trace, probes=8, rtol=1e-4, atol=1e-4)
    assert (found.error > 0).all()
    off = (found.nats - exact.nats).sum() / found.error.square().sum().sqrt()
    assert off.abs() < 3.5
    assert_close(found.bits_per_dim.mean(), exact.bits_per_dim.mean(), rtol=0, atol=0.1)


def test_rademacher_is_exact_for_a_gaussian(normal):
    """There the derivative is a multiple of the identity, of whose trace each probe is sure."""
    data = GaussianMixture(normal(1, 40), [0.7])
    x0 = data.sample(3)
    found = log_likelihood(data, x0, process="vp-linear", trace="rademacher", probes=2)
    assert_close(found.bits_per_dim, true_bits(data, x0), rtol=0, atol=0.002)
    assert found.error.max() < 1e-6


@pytest.mark.parametrize("size", [1, 2, 64])
def test_bound_is_that_of_the_exact_denoiser(process, normal, size):
    """With it the bound is the cross entropy of items with noise: E log p_start(x0 + start * eps), and no gap else."""
    data = of_size(size, normal)
    x0 = data.sample(24, seed=2)
    found = log_likelihood(data, x0, process=process, method="bound", draws=200)
    noisy = torch.stack([x0 + START * normal(*x0.shape, purpose=f"eps-{n}") for n in range(8)])
    expected = torch.stack([as_seen(process, data, one) for one in noisy]).mean(0)
    off = (found.nats - expected) / found.error
    assert off.square().mean().sqrt() < 1.6, off
    mean_off = (found.bits_per_dim - true_bits(data, x0)).mean()
    assert mean_off > -4 * (found.error.square().mean() / len(x0)).sqrt() / (size * math.log(2)) - 0.001
    assert found.nfe == 200


def test_bound_lies_above_by_what_its_noise_costs(normal):
    """Of one Gaussian, in the mean: log(1 + (start / width)**2) / 2 nats a number."""
    data = GaussianMixture(normal(1, 64), [0.3])
    x0 = data.sample(200, seed=1)
    for start in (0.3, 0.1):
        found = log_likelihood(data, x0, process="flow", method="bound", start=start, draws=400)
        entropy = 0.5 * math.log(2 * math.pi * math.e * 0.09)
        gap = 0.5 * math.log1p((start / 0.3) ** 2)
        assert_close(found.nats.mean().item() / 64, -entropy - gap, rtol=0, atol=0.03)


def test_a_worse_denoiser_is_less_likely(normal):
    data = of_size(8, normal)
    x0 = data.sample(16, seed=4)

    def worse(x, level):
        return 0.9 * data(x, level)

    for method in ("ode", "bound", "chain"):
        good, bad = (log_likelihood(one, x0, process="flow", method=method) for one in (data, worse))
        assert bad.bits_per_dim.mean() > good.bits_per_dim.mean() + 0.1


@pytest.mark.parametrize("variance", ["small", "large", "learned"])
def test_chain_bounds_and_closes_in(process, variance):
    """For one Gaussian of unit variance; more steps leave less of the gap, but for small variances at the last step."""
    data = GaussianMixture([[0.5, -0.2, 0.1, 0.0]], [1.0])
    x0 = data.sample(200, seed=6)
    prediction = build("objective", "hybrid-vlb", predict="v").prediction
    denoise = OracleDenoiser(data, prediction, dtype=torch.float64) if variance == "learned" else data
    true = true_bits(data, x0).mean().item()
    gaps = []
    for steps in (10, 40):
        grid = build("grid", "log-snr")
        found = log_likelihood(denoise, x0, process=process, method="chain", grid=grid, steps=steps, variance=variance)
        assert found.nfe == 2 * steps
        gaps.append(found.bits_per_dim.mean().item() - true)
    noise = 3 * (found.error.square().mean() / len(x0)).sqrt().item() / (4 * math.log(2))
    assert gaps[1] > -noise
    assert gaps[1] < gaps[0] + noise
    if variance != "small":
        assert gaps[1] < 0.06, gaps


def test_dequantised_values_are_probabilities():
    """Values that a Gaussian was rounded to: the bits of a value, by its density around it."""
    values, reach = 32, 1.0
    data, edges = GaussianMixture([[0.1] * 8], [0.3]), torch.distributions.Normal(0.1, 0.3)
    width = 2 * reach / (values - 1)
    x0 = ((data.sample(64, seed=9) / width - 0.5).round() + 0.5).clamp(-15.5, 15.5) * width
    true = -torch.log2(edges.cdf(x0 + width / 2) - edges.cdf(x0 - width / 2)).mean().item()
    found = log_likelihood(data, x0, process="vp-cosine", values=values, reach=reach)
    assert true < found.bits_per_dim.mean().item() + 0.02
    assert found.bits_per_dim.mean().item() == pytest.approx(true, abs=0.02)


@pytest.mark.parametrize(("method", "gap"), [("bound", 0.0), ("chain", 0.2)])
def test_bounds_of_values_are_their_probability(method, gap):
    """Eight values of unequal share, and a denoiser that knows that there is nothing between them."""
    values, reach = 8, 1.5
    places = torch.linspace(-reach, reach, values, dtype=torch.float64).reshape(-1, 1)
    data = GaussianMixture(places, [1e-5] * values, range(1, values + 1))
    x0 = places.repeat(120, 1)
    found = log_likelihood(
        data, x0, process="vp-cosine", method=method, values=values, reach=reach, draws=400, steps=400
    )
    share = data.log_weights.exp()
    true = -(share * data.log_weights).sum().item() / math.log(2)
    mean = (found.bits_per_dim.reshape(120, values) * share).sum(1).mean().item()
    noise = 4 * found.error.square().mean().sqrt().item() / math.sqrt(120) / math.log(2)
    assert true - noise < mean < true + gap + noise, (true, mean, noise)
    assert noise < 0.35


@pytest.mark.parametrize("method", ["ode", "bound", "chain"])
def test_a_row_does_not_depend_on_its_batch(method, normal):
    data = of_size(20, normal)
    x0 = data.sample(3, seed=8).reshape(3, 20)
    run = {"process": "flow", "method": method, "draws": 16, "rtol": 1e-3, "atol": 1e-3, "steps": 5}
    together = log_likelihood(data, x0, seeds=[4, 5, 6], **run)
    alone = log_likelihood(data, x0[1:2], seeds=[5], **run)
    assert_close(alone.nats[0], together.nats[1], rtol=0, atol=1e-9)
    assert_close(alone.error[0], together.error[1], rtol=0, atol=1e-9)
    other = log_likelihood(data, x0[1:2], seeds=[6], **run)
    assert not torch.equal(other.nats, alone.nats)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 2, 3), (1, 2, 2, 2)], ids=lambda shape: f"{len(shape)}d")
def test_items_of_any_rank_in_float32(shape, normal):
    data = GaussianMixture(normal(2, *shape), [0.5, 0.8])
    x0 = data.sample(2).float()
    for method in ("ode", "bound", "chain"):
        found = log_likelihood(data, x0, process="vp-linear", method=method, rtol=1e-4, atol=1e-4)
        assert (found.nats.dtype, found.size) == (torch.float64, math.prod(shape))
    assert_close(
        log_likelihood(data, x0, process="vp-linear", rtol=1e-4, atol=1e-4).nats, data.log_prob(x0), rtol=0, atol=0.05
    )


def test_bits_are_nats_over_log_2_and_size():
    one = Likelihood(torch.tensor([-math.log(2) * 30], dtype=torch.float64), torch.zeros(1), 5, 10)
    assert one.bits_per_dim.tolist() == [pytest.approx(3.0)]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"method": "oed"}, "did you mean 'ode'"),
        ({"start": 0.0}, "start"),
        ({"rtol": math.nan}, "rtol"),
        ({"probes": 0}, "probes"),
        ({"draws": True}, "draws"),
        ({"values": 1}, "values"),
        ({"values": 4}, "of a value away"),
        ({"reach": -1.0}, "reach"),
        ({"seeds": [1]}, "2 rows but there are 1 seeds"),
        ({"method": "chain", "variance": "learned"}, "the denoiser has none"),
        ({"method": "chain", "steps": 0}, "steps"),
        ({"process": "flwo"}, "did you mean"),
    ],
)
def test_wrong_arguments_are_refused(wrong, told, mixture):
    x0 = torch.tensor([[0.3, 0.1], [0.2, -0.7]], dtype=torch.float64)
    with pytest.raises(ConfigError, match=told):
        log_likelihood(mixture, x0, **{"process": "flow", **wrong})


def test_what_is_not_finite_is_refused(mixture):
    with pytest.raises(NumericError, match="item is not finite"):
        log_likelihood(mixture, torch.tensor([[0.3, math.nan]]), process="flow")
    with pytest.raises(ConfigError, match="expected rows"):
        log_likelihood(mixture, torch.tensor([0.3]), process="flow")
