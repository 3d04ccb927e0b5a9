"""Processes: their ends, derivatives, log-SNR and its inverse, the papers' tables, and what is derived for others."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from noiseform import build
from noiseform.core.diffusion.process import complete, level_at, levels_at, never_changes
from noiseform.core.errors import ConfigError
from noiseform.plugins.processes.vp_linear import LinearVP
from torch.testing import assert_close

EXACT = {"rtol": 1e-12, "atol": 1e-13}
VARIANTS = {
    "discrete-vp-sigmoid": ("process", "discrete-vp", {"schedule": "sigmoid"}),
    "discrete-vp-to-noise": ("process", "discrete-vp", {"zero_terminal_snr": True}),
    "vp-sigmoid-late": ("process", "vp-sigmoid", {"start": 0.0, "end": 3.0, "tau": 0.3}),
    "vp-sigmoid-straight": ("process", "vp-sigmoid", {"start": -2.0, "end": 1.0, "tau": 30.0}),
    "vp-sigmoid-sharp": ("process", "vp-sigmoid", {"tau": 0.15}),
}


class Bare:
    """What the least of plugin authors writes: alpha and sigma."""

    length = 7

    def __init__(self, process):
        self._of = process

    def alpha(self, t):
        return self._of.alpha(t)

    def sigma(self, t):
        return self._of.sigma(t)


def test_starts_at_clean_data_and_loses_them(process):
    zero = torch.zeros(1, dtype=torch.float64)
    assert process.alpha(zero).item() == 1
    assert process.sigma(zero).item() == 0
    t = torch.linspace(0, 1, 2001, dtype=torch.float64)
    assert (process.log_snr(t).diff() < 0).all()
    assert (process.alpha(t).diff() <= 0).all()
    assert (process.sigma(t).diff() > 0).all()


@pytest.mark.parametrize("shape", [(), (5,), (2, 3)])
def test_functions_keep_shape_and_float64(process, shape):
    t = torch.full(shape, 0.37, dtype=torch.float64)
    for name in ("alpha", "sigma", "d_alpha", "d_sigma", "log_snr"):
        value = getattr(process, name)(t)
        assert (value.shape, value.dtype) == (t.shape, torch.float64), name
    assert process.t_of_log_snr(process.log_snr(t)).shape == shape


def test_derivatives_are_those_of_autograd(process, times):
    for name in ("alpha", "sigma"):
        t = times.clone().requires_grad_()
        value = getattr(process, name)(t).sum()
        (slope,) = torch.autograd.grad(value, t) if value.requires_grad else (torch.zeros_like(t),)
        assert_close(getattr(process, f"d_{name}")(times), slope, rtol=1e-9, atol=1e-12)


def test_derivatives_are_those_of_finite_differences(process, times):
    width = 1e-6
    for name in ("alpha", "sigma"):
        function = getattr(process, name)
        slope = (function(times + width) - function(times - width)) / (2 * width)
        assert_close(getattr(process, f"d_{name}")(times), slope, rtol=1e-6, atol=1e-7)


def test_log_snr_is_that_of_alpha_and_sigma(process, times):
    assert_close(process.log_snr(times), 2 * torch.log(process.alpha(times) / process.sigma(times)), **EXACT)


def test_time_is_the_inverse_of_log_snr(process, times):
    t = torch.cat([times, torch.tensor([1e-6, 1e-4, 0.001, 0.5, 1 - 1e-4], dtype=torch.float64)])
    assert_close(process.t_of_log_snr(process.log_snr(t)), t, rtol=1e-9, atol=1e-12)
    ends = process.log_snr(torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert_close(process.t_of_log_snr(ends), torch.tensor([0.0, 1.0], dtype=torch.float64), **EXACT)
    inside = torch.linspace(-4, 9, 27, dtype=torch.float64)
    assert_close(process.log_snr(process.t_of_log_snr(inside)), inside, rtol=1e-9, atol=1e-9)


def test_what_a_plugin_leaves_out_is_derived(process, times):
    derived = complete(Bare(process))
    assert derived.length == 7
    for name in ("alpha", "sigma", "d_alpha", "d_sigma", "log_snr"):
        assert_close(getattr(derived, name)(times), getattr(process, name)(times), rtol=1e-9, atol=1e-11)
    assert_close(derived.t_of_log_snr(process.log_snr(times)), times, rtol=1e-9, atol=1e-12)
    assert complete(derived) is derived


def test_what_is_derived_can_be_copied(process, times):
    derived = copy.deepcopy(complete(Bare(process)))
    assert derived.length == 7
    assert torch.equal(derived.d_alpha(times), complete(Bare(process)).d_alpha(times))


def test_what_autograd_loses_at_an_end_is_the_limit():
    """There the cosine of a root has the derivative -sin(0) * infinity."""

    class Root:
        def alpha(self, t):
            return torch.cos(math.pi / 2 * t**0.5)

        def sigma(self, t):
            return torch.sin(math.pi / 2 * t**0.5)

    process, t = complete(Root()), torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64)
    expected = [-(math.pi**2) / 8, -math.pi / 2 * math.sin(math.pi / 4), -math.pi / 4]
    assert_close(process.d_alpha(t), torch.tensor(expected, dtype=torch.float64), rtol=1e-8, atol=0)
    assert process.d_sigma(t)[0].item() == math.inf


def test_a_time_beyond_the_ends_is_a_number(process):
    """As near as the process comes to it, once it is held to [0, 1]."""
    beyond = process.t_of_log_snr(torch.tensor([math.inf, -math.inf], dtype=torch.float64))
    assert_close(beyond.clamp(0, 1), torch.tensor([0.0, 1.0], dtype=torch.float64), rtol=0, atol=1e-9)


def test_a_whole_process_stays_itself(process):
    assert type(process).__module__.startswith("noiseform.plugins.processes.")
    assert complete(process) is process


def test_levels_are_one_moment_each(process, times):
    tensors, floats = level_at(process, times), levels_at(process, times)
    for index, level in enumerate(floats):
        for name in ("t", "alpha", "sigma", "d_alpha", "d_sigma", "log_snr"):
            value = getattr(level, name)
            assert type(value) is float
            assert value == getattr(tensors, name)[index].item()


def test_what_rounding_leaves_of_alpha_or_sigma_counts_as_nothing():
    class Turn:
        def alpha(self, t):
            return torch.cos(math.pi / 2 * t)

        def sigma(self, t):
            return torch.cos(math.pi / 2 * (1 - t))

    assert Turn().alpha(torch.ones(1, dtype=torch.float64)).item() > 0  # 6e-17
    clean, middle, noise = levels_at(complete(Turn()), torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    assert (noise.alpha, noise.log_snr) == (0, -math.inf)
    assert (clean.sigma, clean.log_snr) == (0, math.inf)
    assert middle.log_snr == pytest.approx(0)


def test_moments_of_the_forward_process(process, mixture, normal):
    count = 20_000
    x0 = mixture.sample(count, seed=3)
    share = mixture.log_weights.exp()
    mean = share @ mixture.means
    spread = (mixture.means - mean).T @ torch.diag(share) @ (mixture.means - mean)
    covariance = spread + (share @ mixture.widths**2) * torch.eye(2, dtype=torch.float64)
    eps = normal(count, 2)
    for level in levels_at(process, torch.tensor([0.2, 0.6, 1.0], dtype=torch.float64)):
        x = level.alpha * x0 + level.sigma * eps
        expected = level.alpha**2 * covariance + level.sigma**2 * torch.eye(2, dtype=torch.float64)
        size = expected.diagonal().max().item()
        assert_close(x.mean(0), level.alpha * mean, rtol=0, atol=4 * math.sqrt(size / count))
        assert_close(x.T.cov(), expected, rtol=0, atol=4 * size * math.sqrt(2 / count))


def test_variance_is_preserved_where_the_name_says_so(times):
    for name in ("vp-linear", "vp-cosine", "vp-sigmoid", "discrete-vp"):
        process = build("process", name)
        assert_close(process.alpha(times) ** 2 + process.sigma(times) ** 2, torch.ones_like(times), **EXACT)


def test_edm_flow_and_cosine_are_their_formulas(times):
    edm, flow, cosine = (build("process", name) for name in ("edm", "flow", "vp-cosine"))
    assert_close(edm.sigma(times), 80 * times, **EXACT)
    assert_close(flow.alpha(times) + flow.sigma(times), torch.ones_like(times), **EXACT)
    f = lambda t: torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2  # noqa: E731
    assert_close(cosine.alpha(times) ** 2, f(times) / f(torch.zeros_like(times)), **EXACT)
    one = torch.ones(1, dtype=torch.float64)
    assert cosine.alpha(one).item() == flow.alpha(one).item() == 0


@pytest.mark.parametrize(("start", "end", "tau"), [(-3, 3, 1), (0, 3, 0.3), (-2, 1, 30), (-3, 3, 0.15)])
def test_sigmoid_is_its_formula(times, start, end, tau):
    """Algorithm 1 of Chen 2023, without the floor at 1e-9 of alpha_bar that stands in for 0 there."""
    process = build("process", "vp-sigmoid", start=float(start), end=float(end), tau=tau)
    ends = torch.tensor([start / tau, end / tau], dtype=torch.float64)
    first, last = torch.sigmoid(ends)
    inside = torch.sigmoid((times * (end - start) + start) / tau)
    expected = (last - inside) / (last - first)
    assert_close(process.alpha(times) ** 2, expected, rtol=1e-11, atol=1e-14)
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    assert (process.alpha(zero).item(), process.sigma(zero).item()) == (1, 0)
    assert (process.alpha(one).item(), process.sigma(one).item()) == (0, 1)


@pytest.mark.parametrize("tau", [0.02, 1e4])
def test_sigmoid_of_any_temperature_is_finite(tau):
    """A step at t = 1/2, or a straight line of alpha**2."""
    process, t = build("process", "vp-sigmoid", tau=tau), torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    assert_close(process.alpha(t) ** 2, torch.tensor([1, 0.5, 0]).double() if tau < 1 else 1 - t, rtol=0, atol=1e-8)
    assert_close(process.t_of_log_snr(process.log_snr(t)), t, rtol=1e-9, atol=0)
    assert torch.isfinite(process.d_sigma(t)).all()


def test_sub_vp_is_its_formula(times):
    """Equation 29 of Song et al. 2021: the mean of the VP-SDE, and the square of its standard deviation for one."""
    sub, vp = build("process", "sub-vp"), build("process", "vp-linear")
    assert_close(sub.alpha(times), vp.alpha(times), **EXACT)
    assert_close(sub.sigma(times), vp.sigma(times) ** 2, **EXACT)


def betas(schedule: str) -> np.ndarray:
    """The papers' tables, written down anew."""
    if schedule == "linear":  # Ho et al. 2020, section 4
        return np.linspace(1e-4, 0.02, 1000)
    if schedule == "scaled-linear":  # Rombach et al. 2022, the code
        return np.linspace(math.sqrt(0.00085), math.sqrt(0.012), 1000) ** 2
    if schedule == "sigmoid":  # Xu et al. 2022, the code
        return 1 / (1 + np.exp(-np.linspace(-6, 6, 1000))) * (0.02 - 1e-4) + 1e-4
    f = [math.cos((i / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(1001)]
    return np.array([min(1 - f[i + 1] / f[i], 0.999) for i in range(1000)])  # Nichol and Dhariwal 2021, equation 17


@pytest.mark.parametrize("schedule", ["linear", "scaled-linear", "cosine", "sigmoid"])
def test_tables_are_the_papers(schedule):
    process = build("process", "discrete-vp", schedule=schedule)
    nodes = (torch.arange(1000, dtype=torch.float64) + 1) / process.length
    alpha_bar = torch.from_numpy(np.cumprod(1 - betas(schedule)))
    assert_close(process.alpha(nodes) ** 2, alpha_bar, rtol=1e-9, atol=0)
    assert_close(process.sigma(nodes) ** 2, 1 - alpha_bar, rtol=1e-9, atol=0)
    assert_close(process.t_of_log_snr(process.log_snr(nodes)), nodes, rtol=1e-9, atol=0)


@pytest.mark.parametrize("schedule", ["linear", "scaled-linear", "cosine", "sigmoid"])
def test_zero_terminal_snr(schedule):
    """Algorithm 1 of Lin et al. 2024: shifted so that the last sqrt(alpha_bar) is 0, scaled to keep the first."""
    process = build("process", "discrete-vp", schedule=schedule, zero_terminal_snr=True)
    nodes = (torch.arange(1000, dtype=torch.float64) + 1) / 1000
    root = np.sqrt(np.cumprod(1 - betas(schedule)))
    shifted = torch.from_numpy((root - root[-1]) * root[0] / (root[0] - root[-1]))
    assert process.alpha(nodes)[-1].item() == 0
    assert_close(process.alpha(nodes), shifted, rtol=1e-9, atol=1e-13)
    t = torch.tensor([0.9985, 0.9991, 0.9999, 1.0], dtype=torch.float64)
    assert torch.isfinite(process.d_alpha(t)).all()
    assert torch.isfinite(process.d_sigma(t)).all()
    assert_close(process.t_of_log_snr(process.log_snr(t)), t, rtol=1e-9, atol=0)
    assert (process.log_snr(torch.linspace(0.9, 1, 997, dtype=torch.float64)).diff() < 0).all()


def test_the_long_table_is_the_continuous_process(times):
    table, continuous = build("process", "discrete-vp"), build("process", "vp-linear")
    assert_close(table.alpha(times), continuous.alpha(times), rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ve", {"sigma_min": 2.0, "sigma_max": 1.0}),
        ("ve", {"sigma_min": -1.0}),
        ("vp-linear", {"beta_min": 0.0}),
        ("vp-cosine", {"offset": 1.0}),
        ("vp-sigmoid", {"start": 3.0}),
        ("vp-sigmoid", {"start": float("nan")}),
        ("vp-sigmoid", {"tau": 0.0}),
        ("sub-vp", {"beta_min": 0.0}),
        ("edm", {"sigma_max": 0.0}),
        ("discrete-vp", {"schedule": "quadratic"}),
        ("discrete-vp", {"length": 1}),
        ("flow", {"shift": 3.0}),
    ],
)
def test_wrong_parameters_are_refused(name, settings):
    with pytest.raises(ConfigError):
        build("process", name, **settings)


def test_moments_of_a_process_that_changes_are_not_kept():
    class Bent:
        power = 1.0

        def alpha(self, t):
            return torch.cos(math.pi / 2 * t**self.power)

        def sigma(self, t):
            return torch.sin(math.pi / 2 * t**self.power)

    bent = Bent()
    (level,) = levels_at(complete(bent), torch.tensor([0.5], dtype=torch.float64))
    before = level.at_log_snr(0.0)
    bent.power = 2.0
    after = level.at_log_snr(0.0)
    assert (before.t, after.t) == pytest.approx((0.5, 0.5**0.5))


def test_moments_of_a_frozen_process_are_kept_by_its_numbers():
    first, same, other = (build("process", "vp-linear", beta_max=most) for most in (20.0, 20.0, 10.0))
    levels = [levels_at(complete(one), torch.tensor([0.5], dtype=torch.float64))[0] for one in (first, same, other)]
    found = [level.at_log_snr(-1.0) for level in levels]
    assert found[0] is found[1]
    assert found[0].t != found[2].t
    assert found[2].log_snr == pytest.approx(-1.0, abs=1e-9)


@pytest.mark.parametrize("told", ["an attribute", "a field that is not compared"])
def test_moments_of_what_a_frozen_process_is_made_into_are_not_mixed_up(told):
    if told == "an attribute":

        class Shifted(LinearVP):
            def __init__(self, shift):
                super().__init__()
                vars(self)["shift"] = shift

            def t_of_log_snr(self, log_snr):
                return super().t_of_log_snr(log_snr - self.shift)
    else:

        @dataclass(frozen=True)
        class Shifted(LinearVP):
            shift: float = field(default=0.0, compare=False)

            def t_of_log_snr(self, log_snr):
                return LinearVP.t_of_log_snr(self, log_snr - self.shift)

    def made(shift):
        return Shifted(shift) if told == "an attribute" else Shifted(shift=shift)

    found = [
        levels_at(complete(made(shift)), torch.tensor([0.5], dtype=torch.float64))[0].at_log_snr(-1.0).t
        for shift in (0.0, 2.0)
    ]
    assert found[1] > found[0] + 0.1


def test_what_never_changes_is_nothing_but_its_numbers():
    @dataclass(frozen=True)
    class Plain:
        power: float = 1.0

    @dataclass(frozen=True, slots=True)
    class Slotted:
        power: float = 1.0

    @dataclass
    class Settable:
        power: float = 1.0

    @dataclass(frozen=True)
    class Holding:
        powers: tuple[float, ...] = (1.0,)

    class Derived(Plain):
        pass

    kinds = (Plain, Slotted, Settable, Holding, Derived, object)
    assert not any(never_changes(made()) for made in kinds)  # of classes of others nobody knows
    for kind in kinds[:-1]:
        kind.__module__ = "noiseform.plugins.grids.power"
    assert [never_changes(made()) for made in kinds] == [True, True, False, False, False, False]
    marked = Plain()
    vars(marked)["mark"] = 1
    assert not never_changes(marked)
