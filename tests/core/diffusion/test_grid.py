"""Grids: times that fall to 0, and each the formula or the table that its name promises."""

from __future__ import annotations

import math

import pytest
import torch
from noiseform import build
from noiseform.core.diffusion.process import complete
from noiseform.core.errors import ConfigError
from torch.testing import assert_close

CLOSE = {"rtol": 1e-9, "atol": 1e-12}


def test_times_fall_to_zero(process, grid, grid_name):
    for steps in (1, 2, 3, 10, 50, 999, 1000):
        times = grid.times(process, steps)
        assert (times.shape, times.dtype) == ((steps + 1,), torch.float64)
        assert (times.diff() < 0).all(), steps
        assert times[-1].item() == 0
        assert 0 < times[0].item() <= 1
        if grid_name != "leading":
            assert times[0].item() == 1


def test_takes_a_process_that_has_only_alpha_and_sigma(grid, process):
    class Bare:
        alpha, sigma = process.alpha, process.sigma

    if hasattr(process, "length"):
        Bare.length = process.length
    assert_close(grid.times(Bare(), 7), grid.times(process, 7), **CLOSE)


@pytest.mark.parametrize("name", ["leading", "trailing", "linspace"])
def test_a_table_has_only_so_many_times(name):
    with pytest.raises(ConfigError, match=r"1000.*1001"):
        build("grid", name).times(build("process", "flow"), 1001)
    with pytest.raises(ConfigError, match=r"50.*51"):
        build("grid", name).times(build("process", "discrete-vp", length=50), 51)


def test_uniform_is_uniform():
    times = build("grid", "uniform").times(build("process", "flow"), 4)
    assert_close(times, torch.tensor([1, 0.75, 0.5, 0.25, 0], dtype=torch.float64), **CLOSE)


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("leading", {}, [901, 801, 701, 601, 501, 401, 301, 201, 101, 1]),
        ("leading", {"offset": 1}, [902, 802, 702, 602, 502, 402, 302, 202, 102, 2]),
        ("trailing", {}, [1000, 900, 800, 700, 600, 500, 400, 300, 200, 100]),
        ("linspace", {}, [1000, 889, 778, 667, 556, 445, 334, 223, 112, 1]),
    ],
)
def test_discrete_conventions_are_the_papers(name, settings, expected):
    """Table 2 of Lin et al. 2024, T = 1000, S = 10; steps there count from 1, so step k stands at k / T."""
    times = build("grid", name, **settings).times(build("process", "discrete-vp"), 10)
    assert_close(times * 1000, torch.tensor([*expected, 0], dtype=torch.float64), **CLOSE)


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("leading", {"drop_last": True}, [901, 811, 721, 631, 541, 451, 361, 271, 181, 91, 0]),
        ("linspace", {"drop_last": True}, [1000, 900, 800, 700, 600, 501, 401, 301, 201, 101, 0]),
        ("leading", {"offset": 1, "to_zero": False}, [902, 802, 702, 602, 502, 402, 302, 202, 102, 2, 1]),
        ("trailing", {"to_zero": False}, [1000, 900, 800, 700, 600, 500, 400, 300, 200, 100, 1]),
    ],
)
def test_discrete_conventions_as_libraries_vary_them(name, settings, expected):
    """As the schedulers of diffusers visit them; there, and so in the tables above, index i is step i + 1."""
    times = build("grid", name, **settings).times(build("process", "discrete-vp"), 10)
    assert_close(times * 1000, torch.tensor(expected, dtype=torch.float64), **CLOSE)


def test_log_snr_has_equal_steps(process):
    times = build("grid", "log-snr").times(process, 12)
    log_snr = process.log_snr(times)[:-1]
    inner = log_snr[1:]
    assert_close(inner.diff(), inner.diff()[:1].expand(len(inner) - 1), rtol=1e-7, atol=0)
    start = max(-9.0, process.log_snr(torch.ones(1, dtype=torch.float64)).item())
    last = 1 / process.length if hasattr(process, "length") else 0.0
    end = min(10.0, process.log_snr(torch.tensor([last], dtype=torch.float64)).item())
    assert_close(inner[-1].item(), end, rtol=1e-9, atol=1e-9)
    assert_close(inner[0].item(), start + (end - start) / 11, rtol=1e-9, atol=1e-9)


def test_karras_is_edms_formula():
    """Equation 5 of Karras et al. 2022, in EDM's own process."""
    process, steps = complete(build("process", "edm")), 18
    ramp = torch.arange(steps, dtype=torch.float64) / (steps - 1)
    known = (80 ** (1 / 7) + ramp * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    sigma = process.sigma(build("grid", "karras").times(process, steps))
    assert_close(sigma, torch.cat([known, known.new_zeros(1)]), rtol=1e-9, atol=0)


def test_karras_has_equal_steps_of_a_root_under_every_process(process):
    times = build("grid", "karras", rho=3.0).times(process, 12)
    root = torch.exp(-process.log_snr(times[1:-1]) / 2) ** (1 / 3)
    assert_close(root.diff(), root.diff()[:1].expand(len(root) - 1), rtol=1e-7, atol=0)


def test_quadratic_is_quadratic():
    """Song et al. 2021, arXiv 2010.02502, appendix D.2: c i**2."""
    grid, length = build("grid", "quadratic"), 1000
    times = grid.times(build("process", "flow"), 4)
    assert_close(times, torch.tensor([1, 9 / 16, 1 / 4, 1 / 16, 0], dtype=torch.float64), **CLOSE)
    times = grid.times(build("process", "discrete-vp"), 5)
    index = torch.tensor([16, 9, 4, 1, 0], dtype=torch.float64) / 16 * (length - 1)
    assert_close(times, torch.cat([(index + 1) / length, index.new_zeros(1)]), **CLOSE)


def test_exponential_has_equal_ratios_under_every_process(process):
    times = build("grid", "exponential").times(process, 12)
    step = process.log_snr(times[1:-1]).diff()
    assert_close(step, step[:1].expand(len(step)), rtol=1e-7, atol=0)
    ends = torch.tensor([1.0, 1 / process.length if hasattr(process, "length") else 0.0], dtype=torch.float64)
    highest, lowest = torch.exp(-process.log_snr(ends) / 2).tolist()
    first, last = math.log(min(80.0, highest)), math.log(max(0.002, lowest))
    assert_close(process.log_snr(times[-2]).item() / -2, last, rtol=1e-9, atol=1e-9)
    assert_close(step[0].item() / 2, (first - last) / 11, rtol=1e-7, atol=0)


def test_exponential_is_karras_of_a_large_rho():
    process = complete(build("process", "edm"))
    limit = build("grid", "karras", rho=1e6).times(process, 20)
    assert_close(build("grid", "exponential").times(process, 20), limit, rtol=1e-4, atol=0)


@pytest.mark.parametrize("shift", [0.4, 1.0, 3.0, 12.0])
@pytest.mark.parametrize("base", ["uniform", "karras", {"use": "karras", "rho": 3.0}], ids=str)
def test_shifted_is_the_papers_on_flow(shift, base):
    """Equation 23 of Esser et al. 2024, shift = sqrt(m / n)."""
    process = complete(build("process", "flow"))
    named = {"use": base} if isinstance(base, str) else dict(base)
    t = build("grid", named.pop("use"), **named).times(process, 15)
    times = build("grid", "shifted", shift=shift, base=base).times(process, 15)
    assert_close(times, shift * t / (1 + (shift - 1) * t), rtol=1e-9, atol=0)


@pytest.mark.parametrize("shift", [0.4, 3.0])
def test_shifted_divides_the_signal_there_is_above_that_of_the_end(process, shift):
    plain = build("grid", "uniform").times(process, 15)[1:-1]
    times = build("grid", "shifted", shift=shift).times(process, 15)[1:-1]
    least = torch.exp(process.log_snr(torch.ones(1, dtype=torch.float64)) / 2)
    signal = [torch.exp(process.log_snr(t) / 2) for t in (times, plain)]
    assert_close(signal[0] - least, (signal[1] - least) / shift, rtol=1e-6, atol=1e-9)


def test_shifted_multiplies_nsr_far_from_the_end(process):
    """Exactly so where alpha(1) = 0, and to a hundredth at nsr 0.1 and less where nsr(1) is 80 or more."""
    base = {"use": "exponential", "nsr_max": 0.1, "nsr_min": 0.02}
    (plain, times) = (
        build("grid", name, **settings).times(process, 9)[1:-1]
        for name, settings in (
            ("exponential", {k: v for k, v in base.items() if k != "use"}),
            ("shifted", {"base": base}),
        )
    )
    ratio = torch.exp((process.log_snr(plain) - process.log_snr(times)) / 2)
    assert_close(ratio, torch.full_like(ratio, 3.0), rtol=0.01, atol=0)


def test_shifts_compose(process):
    twice = build("grid", "shifted", shift=2.0, base={"use": "shifted", "shift": 1.5})
    assert_close(twice.times(process, 10), build("grid", "shifted").times(process, 10), rtol=1e-7, atol=1e-12)


def test_the_base_of_shifted_is_checked():
    for base in ("karas", {"use": "karras", "roh": 3.0}, {"rho": 3.0}):
        with pytest.raises(ConfigError, match=r"karas|roh|use"):
            build("grid", "shifted", base=base)


@pytest.mark.parametrize("name", ["karras", "log-snr", "exponential", "quadratic", "shifted"])
def test_a_table_is_not_left_at_its_data_end(name):
    """The last time before 0 is the first entry of the table, or later: below it no network was trained."""
    table = build("process", "discrete-vp")
    last = build("grid", name).times(table, 20)[-2].item()
    assert math.isclose(last, 1 / 1000, rel_tol=1e-9) or last > 1 / 1000


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("karras", {"nsr_min": 90.0}),
        ("karras", {"rho": 0.0}),
        ("exponential", {"nsr_max": 0.001}),
        ("shifted", {"shift": 0.0}),
        ("karras", {"sigma_min": 0.1}),
        ("log-snr", {"low": 11.0}),
        ("leading", {"offset": -1}),
    ],
)
def test_wrong_parameters_are_refused(name, settings):
    with pytest.raises(ConfigError):
        build("grid", name, **settings)


LISTS = [[20.0, 3.0, 0.4], [30.0, 8.0, 3.0, 1.5, 0.6, 0.2, 0.05]]
"""Of four steps and of eight."""


def angle_of(process, times):
    return torch.atan2(process.sigma(times), process.alpha(times))


@pytest.mark.parametrize("nsr", LISTS, ids=len)
def test_optimal_visits_its_lists(process, nsr):
    times = build("grid", "optimal", nsr=LISTS).times(process, len(nsr) + 1)
    first = torch.exp(-process.log_snr(torch.ones(1, dtype=torch.float64)) / 2).item()
    last = 1 / process.length if hasattr(process, "length") else 0.0
    lowest = torch.exp(-process.log_snr(torch.tensor(last, dtype=torch.float64)) / 2).item()
    assert first > nsr[0]  # of all built-in processes
    assert lowest < nsr[-1]
    visited = torch.exp(-process.log_snr(times[1:-1]) / 2)
    assert_close(visited, torch.tensor(nsr, dtype=torch.float64), rtol=1e-7, atol=0)


def test_optimal_reads_the_nearest_list_as_a_curve():
    process = complete(build("process", "vp-cosine"))
    grid = build("grid", "optimal", nsr=LISTS)
    for steps, near in ((2, 4), (5, 4), (6, 8), (16, 8), (40, 8)):
        of_list, theta = (angle_of(process, grid.times(process, n)) for n in (near, steps))
        common = math.gcd(near, steps)  # both visit these shares of the way
        assert_close(theta[:: steps // common], of_list[:: near // common], rtol=1e-9, atol=1e-9)
        assert (theta.diff() < 0).all()
    fine = angle_of(process, grid.times(process, 800))
    points = angle_of(process, grid.times(process, 8))
    for number in range(8):
        piece = fine[100 * number : 100 * number + 101]
        assert (piece <= points[number] + 1e-12).all()
        assert (piece >= points[number + 1] - 1e-12).all()
    jumps = fine.diff()  # without a kink: the slope changes little by little
    assert ((jumps[1:] / jumps[:-1]).log().abs() < 0.2).all()


def test_optimal_without_lists_has_equal_angles(process):
    theta = angle_of(process, build("grid", "optimal").times(process, 12))
    assert_close(theta.diff(), theta.diff()[:1].expand(12), rtol=1e-6, atol=0)


def test_optimal_keeps_to_what_a_process_has():
    """One that begins with less noise than the list's first time, and ends at a table's first entry above its last."""
    process = complete(build("process", "discrete-vp", length=10))
    times = build("grid", "optimal", nsr=[[1e6, 2.0, 1e-6]]).times(process, 4)
    assert times[0].item() == 1
    assert (times.diff() < 0).all()
    assert times[-2].item() == pytest.approx(1 / 10)


@pytest.mark.parametrize(
    ("nsr", "said"),
    [
        ([[2.0, 2.0]], "list for 3 steps does not fall"),
        ([[1.0, 2.0]], "does not fall"),
        ([[1.0, float("nan")]], "nsr"),
        ([[float("inf"), 1.0]], "nsr"),
        ([[3.0, 1.0], [2.0, 1.0]], r"lists for \[3, 3\] steps; give one list for each"),
        ([[1.0, 0.0]], "nsr"),
        ([[]], "nsr"),
        ([1.0], "nsr"),
    ],
)
def test_optimal_refuses_what_is_no_list_of_ratios(nsr, said):
    with pytest.raises(ConfigError, match=said):
        build("grid", "optimal", nsr=nsr)
