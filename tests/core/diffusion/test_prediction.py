"""Predictions: every one converts to the pair (x0, eps) and back, at levels of floats and of tensors, for any rank."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from noiseform import build
from noiseform.core.diffusion import prediction as predictions
from noiseform.core.diffusion.denoiser import Denoiser
from noiseform.core.diffusion.level import Level, expand
from noiseform.core.diffusion.process import complete, level_at, levels_at
from torch.testing import assert_close

SHAPES = [(3,), (2, 5), (2, 4, 3), (2, 3, 2, 4)]
INSIDE = torch.tensor([0.02, 0.1, 0.35, 0.6, 0.85, 0.97], dtype=torch.float64)


def near(got, expected, *, scale=1.0):
    assert_close(got, expected, rtol=0, atol=1e-10 * max(1.0, scale))


@pytest.fixture(params=SHAPES, ids=lambda shape: f"{len(shape)}d")
def items(request, normal):
    """Give clean items and noise, one of each for every time in INSIDE."""
    return tuple(normal(len(INSIDE), *request.param, purpose=name) for name in ("x0", "eps"))


def test_round_trip_with_a_time_for_each_item(process, objective, items):
    """As in training: levels are tensors."""
    x0, eps = items
    prediction = objective.prediction
    level = level_at(process, INSIDE).like(x0)
    x = level.alpha * x0 + level.sigma * eps
    output = prediction.target(x0, eps, level)
    assert output.shape == x0.shape
    near(prediction.x0(output, x, level), x0, scale=x.abs().max().item())
    for got, expected in zip(prediction.pair(output, x, level), (x0, eps), strict=True):
        near(got, expected, scale=x.abs().max().item())


def test_round_trip_at_one_time_for_all(process, objective, items):
    """As in sampling: levels are floats."""
    x0, eps = items
    prediction = objective.prediction
    for level in levels_at(process, INSIDE):
        x = level.alpha * x0 + level.sigma * eps
        output = prediction.target(x0, eps, level)
        of_x, of_output = prediction.x0_factors(level)
        scale = x.abs().max().item()
        near(of_x * x + of_output * output, x0, scale=scale)
        for got, expected in zip(prediction.pair(output, x, level), (x0, eps), strict=True):
            near(got, expected, scale=scale)


def test_a_level_is_read_as_its_parts_say_and_only_once(process, objective):
    prediction, asked = objective.prediction, []
    counted = replace(prediction, time=lambda level: asked.append(level) or prediction.time(level))
    levels = levels_at(process, INSIDE)
    for level in (*levels, *levels):
        told = prediction.scale(level), prediction.time(level), *prediction.x0_factors(level)
        assert counted.reading(level) == told
    assert len(asked) == len(levels)


def test_readings_are_kept_up_to_a_bound_and_of_plain_numbers_only(monkeypatch):
    monkeypatch.setattr(predictions, "_KEPT", 5)
    kept = replace(predictions.EPS)
    for index in range(1, 20):
        kept.reading(Level(index / 20, 0.5, 0.5, 0.0, 0.0, 0.0))
        assert 1 <= len(kept._kept) <= 5
    before = dict(kept._kept)
    for number in (torch.tensor(0.5, dtype=torch.float64), torch.tensor([0.5]).numpy()):
        assert kept.reading(Level(*[number] * 6)).of_x == 2.0
    assert kept._kept == before


def test_float_and_tensor_levels_agree(process, objective):
    prediction, tensors = objective.prediction, level_at(process, INSIDE)
    for index, level in enumerate(levels_at(process, INSIDE)):
        for name in ("factors", "x0_factors"):
            single = torch.tensor(getattr(prediction, name)(level), dtype=torch.float64)
            batch = torch.stack(
                [torch.as_tensor(one).expand(len(INSIDE)) for one in getattr(prediction, name)(tensors)]
            )
            assert_close(single, batch[:, index].double(), rtol=1e-12, atol=0)
        for name in ("scale", "time", "error_gain"):
            value = getattr(prediction, name)(tensors)
            assert_close(getattr(prediction, name)(level), value[index].item(), rtol=1e-12, atol=0)


def test_error_gain_is_what_an_error_of_the_output_does(process, objective, normal):
    prediction = objective.prediction
    x, output, error = (normal(4, 3, purpose=name) for name in ("x", "output", "error"))
    for level in levels_at(process, INSIDE):
        before, after = prediction.pair(output, x, level), prediction.pair(output + error, x, level)
        gain = prediction.error_gain(level)
        bound = 1e-8 * max(1.0, abs(gain))
        assert_close((level.alpha * (after[0] - before[0])).abs(), (gain * error).abs(), rtol=1e-8, atol=bound)
        assert_close((level.sigma * (after[1] - before[1])).abs(), (gain * error).abs(), rtol=1e-8, atol=bound)


def test_predictions_are_their_definitions(process, normal):
    x0, eps = normal(len(INSIDE), 4, purpose="x0"), normal(len(INSIDE), 4, purpose="eps")
    level = level_at(process, INSIDE).like(x0)
    target = {name: build("objective", name).prediction.target(x0, eps, level) for name in ("eps", "x0", "v", "score")}
    near(target["eps"], eps)
    near(target["x0"], x0)
    near(target["v"], level.alpha * eps - level.sigma * x0, scale=80)
    near(target["score"], -eps / level.sigma, scale=1e4)


def test_velocity_is_the_slope_of_the_path(process, normal):
    x0, eps, width = normal(len(INSIDE), 4, purpose="x0"), normal(len(INSIDE), 4, purpose="eps"), 1e-7
    t = INSIDE + 1e-5  # no entry of a table
    ahead, behind = (level_at(process, t + step).like(x0) for step in (width, -width))
    slope = (ahead.alpha * x0 + ahead.sigma * eps - behind.alpha * x0 - behind.sigma * eps) / (2 * width)
    velocity = build("objective", "velocity").prediction.target(x0, eps, level_at(process, t).like(x0))
    assert_close(velocity, slope, rtol=1e-5, atol=1e-5)


def test_edm_is_its_table(normal):
    """Table 1 of Karras et al. 2022: c_skip, c_out, c_in and c_noise."""
    process, prediction = complete(build("process", "edm")), build("objective", "edm").prediction
    network, x = normal(4, purpose="network"), normal(4, purpose="x")
    for level in levels_at(process, INSIDE):
        sigma, data = level.sigma, 0.5
        c_skip, c_out = data**2 / (sigma**2 + data**2), sigma * data / math.sqrt(sigma**2 + data**2)
        near(prediction.x0(network, x, level), c_skip * x + c_out * network)
        assert math.isclose(prediction.scale(level), 1 / math.sqrt(sigma**2 + data**2), rel_tol=1e-12)
        assert math.isclose(prediction.time(level), math.log(sigma) / 4, rel_tol=1e-12)


def test_edm_is_the_same_under_every_process(process, normal):
    """Preconditioning depends on x / alpha and nsr alone."""
    prediction, network = build("objective", "edm").prediction, normal(4, purpose="network")
    for level in levels_at(process, INSIDE):
        nsr = level.sigma / level.alpha
        plain = Level(0.0, 1.0, nsr, 0.0, 1.0, level.log_snr)
        x = normal(4, purpose="x") * math.hypot(1, nsr)
        got = prediction.x0(network, level.alpha * x, level)
        assert_close(got, prediction.x0(network, x, plain), rtol=1e-9, atol=1e-9)
        assert math.isclose(prediction.scale(level) * level.alpha, prediction.scale(plain), rel_tol=1e-9)
        assert math.isclose(prediction.time(level), prediction.time(plain), rel_tol=1e-9, abs_tol=1e-12)


def test_the_network_sees_unit_variance(process, objective, objective_name):
    spread = 0.5 if objective_name == "edm" else 1.0  # EDM's sigma_data
    for level in levels_at(process, INSIDE):
        seen = objective.prediction.scale(level) * math.hypot(level.alpha * spread, level.sigma)
        assert math.isclose(seen, 1, rel_tol=1e-12)


def test_times_told_at_the_ends_are_finite(process, objective):
    for level in levels_at(process, torch.tensor([0.0, 1.0], dtype=torch.float64)):
        assert math.isfinite(objective.prediction.time(level))


def test_who_is_blind_in_pure_noise(process, objective):
    prediction = objective.prediction
    ends_in_noise = process.alpha(torch.ones(1, dtype=torch.float64)).item() == 0
    blind = prediction.blindness(process)
    endless = not math.isfinite(process.d_alpha(torch.ones(1, dtype=torch.float64)).item())
    says_nothing = prediction.name in ("eps", "score") or (prediction.name == "velocity" and endless)
    assert (blind is not None) == (ends_in_noise and says_nothing)
    if blind:
        assert prediction.name in blind
        return
    (start,) = levels_at(process, torch.ones(1, dtype=torch.float64))
    assert all(map(math.isfinite, prediction.x0_factors(start)))


def test_a_velocity_that_stands_still_is_blind():
    class Slow:
        def alpha(self, t):
            return (1 - t) ** 2

        def sigma(self, t):
            return torch.sqrt(1 - self.alpha(t) ** 2)

    assert build("objective", "velocity").prediction.blindness(complete(Slow()))
    assert build("objective", "v").prediction.blindness(complete(Slow())) is None


def test_denoiser_reads_the_network_and_counts(process, objective, normal):
    prediction, seen = objective.prediction, []

    def network(x, time, cond):
        seen.append((x, time, cond))
        output = 0.3 * x + 0.1
        return torch.cat([output, output - 5], 1) if prediction.learns_variance else output

    denoise = Denoiser(network, prediction, dtype=torch.float64)
    x = normal(3, 2, 5)
    assert denoise.spread is None
    for calls, level in enumerate(levels_at(process, INSIDE), start=1):
        x0 = denoise(x, level, {"vector": x})
        given, time, cond = seen[-1]
        assert_close(given, x * prediction.scale(level), rtol=1e-6, atol=0)
        assert (time.shape, time.dtype) == ((3,), torch.float32)
        assert cond["vector"] is x
        assert_close(x0, prediction.x0(0.3 * given + 0.1, x, level), rtol=1e-9, atol=1e-9)
        assert (denoise.spread is None) != prediction.learns_variance
        if denoise.spread is not None:
            assert_close(denoise.spread, 0.3 * given - 4.9)
        assert denoise.rows == 3 * calls


def test_denoiser_computes_in_one_dtype_and_answers_in_another():
    level = levels_at(complete(build("process", "flow")), INSIDE)[2]
    kinds = []

    def network(x, time, cond):
        kinds.append(x.dtype)
        return x

    denoise = Denoiser(network, build("objective", "v").prediction, dtype=torch.bfloat16)
    assert denoise(torch.ones(2, 3), level).dtype == torch.float32
    assert kinds == [torch.bfloat16]


def test_a_value_per_item_broadcasts():
    x = torch.zeros(2, 3, 4, 5)
    value = expand(torch.tensor([1.0, 2.0], dtype=torch.float64), x)
    assert (value.shape, value.dtype) == ((2, 1, 1, 1), torch.float32)
