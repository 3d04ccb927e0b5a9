"""The curve through what is known of x0: what it reproduces, and that it is the best linear prediction."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import torch
from noiseform import GaussianMixture, build, sample
from noiseform.plugins.grids.angle import FEW_STEPS
from noiseform.plugins.samplers.even_spline import foretelling, weights
from noiseform.plugins.samplers.spline_history import History, Reckoned
from scipy.integrate import quad
from torch.testing import assert_close

FALLING = [(1.2,), (1.4, 1.1), (1.5, 1.2, 0.9, 0.7), (1.56, 1.3, 1.1, 0.8, 0.5)]


def predicted(values, nodes, first, last, integrations):
    return sum(w * values(node) for w, node in zip(weights(nodes, first, last, integrations), nodes, strict=True))


def integral(values, first, last):
    return quad(lambda theta: values(theta) / math.sin(theta) ** 2, last, first, epsabs=1e-13)[0]


@pytest.mark.parametrize("integrations", [1, 2, 3])
@pytest.mark.parametrize("nodes", FALLING)
def test_a_constant_is_reproduced(nodes, integrations):
    """So data of one point are hit, from whatever was known."""
    for first, last in ((nodes[0], 0.3), (math.pi / 2, nodes[-1]), (nodes[-1], 0.1)):
        whole = 1 / math.tan(last) - 1 / math.tan(first)
        assert predicted(lambda theta: 1.0, nodes, first, last, integrations) == pytest.approx(whole, rel=1e-12)
    assert predicted(lambda theta: 1.0, nodes, nodes[-1], 0.0, integrations) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("integrations", [1, 2, 3])
def test_it_is_the_best_linear_prediction(integrations):
    """No other weights that reproduce a constant miss the integral of such a path by less, as its covariance tells."""
    nodes, first, last = (1.4, 1.1, 0.8), 1.4, 0.5

    def covariance(a, b):
        low = min(a, b)
        steps = math.factorial(integrations) ** 2
        path = quad(lambda u: ((a - u) * (b - u)) ** integrations / steps, 0, low, epsabs=1e-13)[0]
        return path + (a * b) ** 2 / 4 * (integrations >= 2)

    among = np.array([[covariance(a, b) for b in nodes] for a in nodes])
    wanted = np.array([integral(lambda theta, b=b: covariance(theta, b), first, last) for b in nodes])
    chosen = np.array(weights(nodes, first, last, integrations))

    def missed(w):  # but for what no weights change
        return w @ among @ w - 2 * w @ wanted

    for other in np.random.default_rng(0).normal(size=(20, 3)):
        aside = other - other.mean()  # keeps the sum
        assert missed(chosen + 1e-2 * aside) > missed(chosen)
        slope = 2 * (among @ chosen - wanted) @ aside
        assert abs(slope) < 1e-9


def test_it_gets_better_with_the_distance_of_nodes():
    """Of an even function: by the third power at least, in a step and at the end."""

    def values(theta):
        return math.cos(2 * theta) + 1 / (1 + theta**2)

    steps, ends = [], []
    for gap in (0.08, 0.04, 0.02):
        nodes = tuple(0.7 + gap * k for k in (3, 2, 1, 0))
        first, last = nodes[0], nodes[-1] - gap
        steps.append(abs(predicted(values, nodes, first, last, 2) - integral(values, first, last)))
        ends.append(abs(predicted(values, tuple(gap * k for k in (4, 3, 2, 1)), 4 * gap, 0.0, 2) - values(0.0)))
    for errors in (steps, ends):
        assert errors[0] / errors[1] > 2**2.9
        assert errors[1] / errors[2] > 2**2.9


def test_errors_do_not_grow_where_a_step_reaches_far():
    """Nodes that lie close together tell nothing of what is far: the older of them are left out."""
    far = weights((1.57, 1.56, 1.52), 1.57, 0.6)
    assert sum(map(abs, far)) <= 4 * abs(sum(far)) * (1 + 1e-9)
    assert far[0] == 0
    equal = weights((1.4, 1.2, 1.0, 0.8), 1.4, 0.6)
    assert all(equal)


@pytest.mark.parametrize("integrations", [1, 2, 3])
@pytest.mark.parametrize("gap", [0.1, 0.01, 0.001])
def test_no_digits_are_lost_where_nodes_lie_close(gap, integrations):
    """Of nodes close together the curve is all but a polynomial, which is known without any covariance."""
    nodes = tuple(1.0 + gap * k for k in range(integrations, -1, -1))
    told = sum(w * math.cos(2 * node) for w, node in zip(foretelling(nodes, 1 - gap, integrations), nodes, strict=True))
    polynomial = sum(
        math.cos(2 * node) * math.prod((1 - gap - other) / (node - other) for other in nodes if other != node)
        for node in nodes
    )
    assert abs(told - math.cos(2 * (1 - gap))) < 4 * gap ** (integrations + 1)
    assert abs(told - polynomial) < 12 * gap ** (integrations + 1)
    more = tuple(1.0 + gap * k for k in range(5, -1, -1))
    told = sum(w * math.cos(2 * node) for w, node in zip(foretelling(more, 1 - gap, integrations), more, strict=True))
    assert abs(told - math.cos(2 * (1 - gap))) < 4 * gap ** (integrations + 1)


@pytest.mark.parametrize("integrations", [1, 2, 3])
def test_weights_are_those_of_many_digits(integrations):
    """Of unequal nodes too, some of them close together: the same equations, dense, in 60 digits."""
    generator = np.random.default_rng(integrations)
    for count in (1, 2, 4, 7):
        nodes = tuple(sorted(generator.uniform(0.2, 1.57, count).tolist(), reverse=True))
        for angle in (0.0, 0.3 * nodes[-1], 0.95 * nodes[-1]):
            made, exact = foretelling(nodes, angle, integrations), exactly(nodes, angle, integrations)
            assert made == pytest.approx(exact, rel=0, abs=1e-4 * max(map(abs, exact)))
    for count in (3, 5, 7):
        nodes = tuple(np.linspace(1.56, 0.4, count).tolist())
        exact = exactly(nodes, 0.4 - 1.16 / (count - 1) / 2, integrations)
        assert foretelling(nodes, 0.4 - 1.16 / (count - 1) / 2, integrations) == pytest.approx(exact, rel=1e-8)


def exactly(nodes, angle, integrations):
    """Return what `foretelling` does, solved without any care but for digits."""
    with mpmath.workdps(60):
        places, at = [mpmath.mpf(node) for node in nodes], mpmath.mpf(angle)

        def covariance(a, b):
            low, gap = min(a, b), abs(a - b)
            path = mpmath.quad(lambda u: ((low - u) * (low + gap - u)) ** integrations, [0, low])
            return path / math.factorial(integrations) ** 2 + (a * b) ** 2 / 4 * (integrations > 1)

        system, right = mpmath.ones(len(nodes) + 1), mpmath.ones(len(nodes) + 1, 1)
        system[len(nodes), len(nodes)] = 0
        for i, one in enumerate(places):
            right[i] = covariance(one, at)
            for j, other in enumerate(places):
                system[i, j] = covariance(one, other)
        return [float(weight) for weight in mpmath.lu_solve(system, right)[: len(nodes)]]


def known_of(curve, angles, rows=1):
    history = History(angles[0], (Reckoned(2),) * rows)
    for angle in angles:
        x0 = curve(angle)
        history = history.judged(angle, x0).joined_by(angle, x0)
    return history


def test_smoothness_is_judged_by_what_x0_shows():
    """Each item by itself: one as smooth as a cosine, and one that jumps to and fro."""
    angles = tuple(1.5 - 0.1 * k for k in range(12))

    def curve(angle):
        smooth = torch.cos(torch.tensor([1.7 * angle, 0.6 * angle], dtype=torch.float64))
        return torch.stack([smooth, smooth + 0.05 * (-1) ** round(10 * angle)])

    history = known_of(curve, angles, rows=2)
    assert [one.integrations for one in history.items] == [3, 1]
    for row in range(2):
        alone = known_of(lambda angle, row=row: curve(angle)[row : row + 1], angles)
        assert alone.items[0].integrations == history.items[row].integrations
        assert alone.items[0].misses == history.items[row].misses


def test_items_are_as_smooth_as_they_are_in_any_batch():
    """A batch of a smooth item and a rough one ends where each ends alone."""

    def denoise(x, level):
        made = 0.3 * x / (level.alpha**2 + level.sigma**2)
        return torch.where(x[:, :1] > 0, made, made + 0.2 * torch.sign(torch.sin(40 * x)))

    def run(x):
        return sample(denoise, process="vp-cosine", sampler="spline", grid="angle", steps=14, x=x)

    x = torch.tensor([[1.0, 0.3, -0.2], [-1.0, 0.5, 0.4]], dtype=torch.float64)
    assert_close(run(x), torch.cat([run(x[:1]), run(x[1:])]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_items_that_differ_in_smoothness_do_not_touch_each_other(dtype):
    def denoise(x, level):
        rough = torch.arange(len(x)).reshape(-1, 1) % 2 if len(x) > 1 else torch.tensor([[odd]])
        return torch.tanh(x) + 0.05 * rough * (-1) ** round(40 * level.t)

    x = torch.randn(6, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    run = {"process": "vp-cosine", "sampler": "spline", "grid": "angle", "steps": 20}
    together, alone = sample(denoise, x=x, **run), []
    for row in range(6):
        odd = row % 2
        alone.append(sample(denoise, x=x[row : row + 1], **run))
    assert torch.equal(together, torch.cat(alone))


def test_no_items_are_no_error():
    made = sample(lambda x, level: x, process="vp-cosine", sampler="spline", grid="angle", steps=9, x=torch.zeros(0, 3))
    assert made.shape == (0, 3)


def test_angles_that_cannot_be_told_apart_do_no_harm():
    w = weights((0.5, 0.5 - 1e-16, 0.5 - 2e-16, 0.3), 0.5, 0.2)
    assert all(math.isfinite(one) for one in w)
    assert sum(w) == pytest.approx(1 / math.tan(0.2) - 1 / math.tan(0.5), rel=1e-12)


@pytest.mark.parametrize(("integrations", "order"), [(0, 3), (1, 2), (2, 3), (3, 4)])
def test_order(integrations, order):
    assert build("sampler", "spline", integrations=integrations).order == order


@pytest.mark.parametrize(("integrations", "memory"), [(1, 4), (2, 4), (3, 6)])
def test_the_error_falls_with_the_order_at_least(integrations, memory):
    mixture = GaussianMixture([[-1.0, 0.3], [0.8, -0.6], [0.2, 1.1]], [0.5, 0.6, 0.4], [0.3, 0.4, 0.3])
    run = {"process": "vp-cosine", "shape": (2,), "seeds": range(16), "dtype": torch.float64}
    truth = sample(mixture, sampler="heun", grid="angle", steps=2000, **run)
    spline, grid = (
        build("sampler", "spline", integrations=integrations, memory=memory),
        build("grid", "angle", stretch=1),
    )
    rough, fine = (
        (sample(mixture, sampler=spline, grid=grid, steps=steps, **run) - truth).square().mean().sqrt().item()
        for steps in (16, 32)
    )
    assert math.log2(rough / fine) > spline.order - 0.2


def test_a_septic_spline_is_nearer_with_many_steps(solved):
    mixture, _ = solved[0]
    exact = build("sampler", "adaptive", order=5, rtol=1e-8, atol=1e-8)
    truth = sample(mixture, sampler=exact, grid="angle", steps=10, shape=(2,), **FEW)

    def error(**settings):
        spline = build("sampler", "spline", **settings)
        return (
            (sample(mixture, sampler=spline, grid="angle", steps=40, shape=(2,), **FEW) - truth).square().mean().sqrt()
        )

    assert error(integrations=3) < 0.7 * error(integrations=2)
    assert error() < 0.75 * error(integrations=2)


def test_memory_changes_little(mixture_at_angles):
    exact = mixture_at_angles(memory=64)
    assert (mixture_at_angles() - exact).abs().max() < 2e-3
    assert (
        mixture_at_angles(memory=4, integrations=2) - mixture_at_angles(memory=64, integrations=2)
    ).abs().max() < 2e-3
    assert (mixture_at_angles(memory=1) - exact).abs().max() > 1e-2


@pytest.fixture
def mixture_at_angles():
    mixture = GaussianMixture([[-1.0, 0.3], [0.8, -0.6], [0.2, 1.1]], [0.5, 0.6, 0.4], [0.3, 0.4, 0.3])
    shape = {"shape": (2,), "seeds": range(16), "dtype": torch.float64}

    def run(**settings):
        sampler = build("sampler", "spline", **settings)
        return sample(mixture, process="vp-linear", sampler=sampler, grid="angle", steps=20, **shape)

    return run


def test_the_default_is_far_ahead_on_smooth_problems(mixture_at_angles):
    """Beside the multistep solver of second order at equal NFE, against its own result in a thousand steps."""
    mixture = GaussianMixture([[-1.0, 0.3], [0.8, -0.6], [0.2, 1.1]], [0.5, 0.6, 0.4], [0.3, 0.4, 0.3])
    run = {"process": "vp-linear", "shape": (2,), "seeds": range(64), "dtype": torch.float64}
    truth = sample(mixture, sampler="heun", grid="angle", steps=2000, **run)
    for steps, share in ((5, 0.6), (10, 0.2), (20, 0.1)):  # 0.53, and far less: data of unit variance are easy for both
        ours = (sample(mixture, sampler="default", grid="default", steps=steps, **run) - truth).square().mean()
        peer = (sample(mixture, sampler="dpmpp-2m", grid="log-snr", steps=steps, **run) - truth).square().mean()
        assert ours < share**2 * peer


def test_late_is_only_where_there_is_nothing_but_noise():
    asked = []

    def denoise(x, level):
        asked.append(level.t)
        return torch.zeros_like(x)

    for start in (1.0, 0.5):
        asked.clear()
        sample(denoise, process="flow", sampler="spline", grid="angle", steps=4, shape=(2,), seeds=[0], start=start)
        assert (asked[0] < start) == (start == 1.0)


@pytest.mark.parametrize(("integrations", "near"), [(2, 1e-6), (0, 1e-5)])
@pytest.mark.parametrize("sigma_data", [0.5, 2.0])
def test_scale_of_the_data(sigma_data, integrations, near):
    """Data of another standard deviation, told so, take the same way."""
    plain = GaussianMixture([[-1.0, 0.3], [0.8, -0.6]], [0.5, 0.6])
    scaled = GaussianMixture(plain.means * sigma_data, plain.widths * sigma_data)
    process = build("process", "edm", sigma_max=80.0)
    wide = build("process", "edm", sigma_max=80.0 * sigma_data)
    one, other = (
        sample(
            mixture,
            process=under,
            sampler=build("sampler", "spline", sigma_data=scale, integrations=integrations),
            grid=build("grid", "angle", sigma_data=scale),
            steps=8,
            shape=(2,),
            seeds=range(6),
            dtype=torch.float64,
        )
        for mixture, under, scale in ((plain, process, 1.0), (scaled, wide, sigma_data))
    )
    assert_close(other, one * sigma_data, rtol=near, atol=near)


FEW = {"process": "discrete-vp", "dtype": torch.float64, "seeds": range(96)}


@pytest.fixture(scope="module")
def solved():
    """Mixtures that had no part in finding where few steps stand, and where fine steps take the starts."""
    found = []
    for seed in range(6):
        draw = torch.Generator().manual_seed(seed)
        norms = 1 + 3 * torch.rand(7, 1, generator=draw, dtype=torch.float64)
        means = norms * torch.nn.functional.normalize(torch.randn(7, 2, generator=draw, dtype=torch.float64), dim=1)
        mixture = GaussianMixture(means, 0.15 + 0.35 * torch.rand(7, generator=draw, dtype=torch.float64))
        found.append((mixture, sample(mixture, sampler="heun", grid="angle", steps=400, shape=(2,), **FEW)))
    return found


@pytest.mark.parametrize("steps", sorted(FEW_STEPS))
def test_few_steps_stand_better_than_equal_ones(steps, solved):
    def error(stretch):
        """Return the mean logarithm of the errors."""
        grid, wrong = build("grid", "angle", stretch=stretch), []
        for mixture, truth in solved:
            found = sample(mixture, sampler="spline", grid=grid, steps=steps, shape=(2,), **FEW)
            wrong.append((found - truth).square().mean().sqrt().log().item())
        return sum(wrong) / len(wrong)

    assert error(0.0) < error(1.0) + math.log(0.95)


def test_few_steps_begin_with_the_process():
    """Their angles are parts of that of the first one, wherever a process ends."""
    for process in (build("process", "vp-cosine"), build("process", "ve", sigma_max=2.0)):
        times = build("grid", "angle").times(process, 5)
        angles = torch.atan(torch.exp(-process.log_snr(times[:-1]) / 2))
        assert_close(angles[1:] / angles[0], torch.tensor(FEW_STEPS[5], dtype=torch.float64), rtol=1e-6, atol=0)
        assert times[0] == 1
        assert times[-1] == 0


@pytest.mark.parametrize(
    ("process", "settings"),
    [
        (build("process", "vp-cosine"), {"nsr_min": 0.3}),
        (build("process", "discrete-vp", length=10, schedule="cosine"), {}),
        (build("process", "vp-linear"), {"sigma_data": 0.001}),
    ],
)
def test_few_steps_stay_above_the_least_level(process, settings):
    grid = build("grid", "angle", **settings)
    least = max(grid.nsr_min, math.exp(-process.log_snr(torch.tensor(1 / getattr(process, "length", 1e12))).item() / 2))
    for steps in (4, 5, 10):
        last = process.log_snr(grid.times(process, steps)[-2])
        assert math.exp(-last.item() / 2) > least * (1 - 1e-6)
