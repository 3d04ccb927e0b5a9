"""The loop: what it refuses, what it tells observers, that nothing that is not finite gets through."""

from __future__ import annotations

import gc
import itertools
import math
import time
import weakref

import pytest
import torch
from noiseform import GaussianMixture, build, sample
from noiseform.core.diffusion.oracle import OracleDenoiser
from noiseform.core.diffusion.process import complete
from noiseform.core.diffusion.sampling import levels_from
from noiseform.core.errors import ConfigError, NumericError, PluginError
from torch.testing import assert_close

MIXTURE = GaussianMixture([[-1.0, 0.5], [1.0, -0.5]], [0.3, 0.4])


@pytest.fixture
def run():
    """Give what a run takes; a test changes what it is about."""
    parts = {
        kind: build(kind, name) for kind, name in (("process", "flow"), ("sampler", "dpmpp-2m"), ("grid", "uniform"))
    }
    return {**parts, "steps": 6, "shape": (2,), "seeds": [0, 1, 2]}


class Watcher:
    def __init__(self, every=1, needs_x0=False):
        self.every, self.needs_x0, self.steps = every, needs_x0, []

    def __call__(self, step):
        self.steps.append(step)


class Vandal(Watcher):
    def __call__(self, step):
        super().__call__(step)
        step.x.fill_(float("nan"))
        if step.x0 is not None:
            step.x0.fill_(float("nan"))


def test_every_combination_is_finite(process, objective, sampler):
    """In 1, 2, 3 and 50 steps, for every prediction and precision of the network; or the pair is refused at build.

    Of the grids two stand for all here; the next test has them all, and every precision of the items.
    """
    if objective.prediction.blindness(process):
        return  # ConfigError when the stage is built; see test_prediction
    grids = [build("grid", "uniform"), build("grid", "karras")]
    for grid, dtype in itertools.product(grids, (torch.float32, torch.bfloat16, torch.float16)):
        for steps in (1, 2, 3, 50) if dtype == torch.float32 else (1, 3):
            denoise = OracleDenoiser(MIXTURE, objective.prediction, dtype=dtype)
            # A NumericError would fail the test: the loop looks at every step.
            x0 = sample(denoise, process=process, sampler=sampler, grid=grid, steps=steps, shape=(2,), seeds=[0, 1])
            assert steps < 50 or x0.abs().max() < 20, grid  # in 2 or 3 steps Heun overshoots, as k-diffusion's


def widest_step(process, grid, steps):
    """Return how many times nsr falls in one step, of those that neither begin in pure noise nor end at the data."""
    log_snr = process.log_snr(grid.times(process, steps))
    rises = log_snr[torch.isfinite(log_snr)].diff()
    return math.exp(rises.max().item() / 2) if len(rises) else 1.0


def test_items_of_any_precision_stay_finite_and_keep_it(process, grid, sampler):
    for dtype, steps in itertools.product((torch.float64, torch.float32, torch.bfloat16, torch.float16), (1, 2, 3, 50)):
        if steps == 50 and dtype in (torch.float64, torch.bfloat16):
            continue
        if dtype == torch.float16 and sampler.order > 1 and widest_step(process, grid, steps) > 2**16:
            continue  # Heun's takes half of it times the change of x0, and half precision holds no more than 65504
        x0 = sample(
            MIXTURE, process=process, sampler=sampler, grid=grid, steps=steps, shape=(2,), seeds=[0, 1], dtype=dtype
        )
        assert x0.dtype == dtype
        assert torch.isfinite(x0).all()
        assert steps < 50 or x0.abs().max() < 20


@pytest.mark.parametrize("sampler", ["heun", "edm-stochastic"])
def test_a_factor_too_large_for_half_precision_is_told_with_its_step(sampler):
    """In 2 such steps nsr falls more than 2**17-fold, and Heun's factor is half of that."""
    run = {"process": "sub-vp", "grid": "linspace", "steps": 2, "shape": (2,), "seeds": [0, 1]}
    with pytest.raises(NumericError, match=r"step 1 of 2 .* float32"):
        sample(MIXTURE, sampler=sampler, dtype=torch.float16, **run)
    assert torch.isfinite(sample(MIXTURE, sampler=sampler, **run)).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("step", [0, 1, 2, 4, 5])
def test_what_is_not_finite_is_told_with_its_step(run, sampler, value, step):
    run |= {"sampler": sampler, "process": build("process", "vp-linear")}
    calls, first = 0, math.inf

    def denoise(x, level):
        nonlocal calls
        calls += 1
        x0 = MIXTURE(x, level)
        if calls > first:
            x0[1, 0] = value
        return x0

    class Counter(Watcher):
        def __call__(self, made):
            super().__call__(calls)

    counter = Counter()
    sample(denoise, **run, observers=[counter])
    calls, first = 0, [0, *counter.steps][step]
    with pytest.raises(NumericError, match=rf"step {step + 1} of 6 .*{type(sampler).__name__}"):
        sample(denoise, **run)


def test_zero_terminal_snr(sampler, grid):
    process = complete(build("process", "discrete-vp", zero_terminal_snr=True))
    for use in ("v", "x0", "velocity", "edm"):
        for steps in (1, 2, 5):
            denoise = OracleDenoiser(MIXTURE, build("objective", use).prediction)
            x0 = sample(denoise, process=process, sampler=sampler, grid=grid, steps=steps, shape=(2,), seeds=[0, 1])
            assert torch.isfinite(x0).all()


def test_observers_see_every_step(run):
    watcher = Watcher(needs_x0=True)
    x0 = sample(MIXTURE, observers=[watcher], **run)
    assert [(step.index, step.steps) for step in watcher.steps] == [(index, 6) for index in range(6)]
    assert [step.here.t for step in watcher.steps[1:]] == [step.next.t for step in watcher.steps[:-1]]
    assert torch.equal(watcher.steps[-1].x, x0)
    for step in watcher.steps[:1]:
        start = sample(lambda x, level: x, **run | {"steps": 1, "sampler": Keep()})
        assert_close(step.x0, MIXTURE(start, step.here))


class Keep:
    """A sampler that stays where it is."""

    order, stochastic, nfe_per_step = 0, False, 0

    def init(self, x):
        return None

    def step(self, x, here, next, denoise, noise, state):
        return x, None


def test_observers_are_called_as_often_as_they_ask(run):
    few, lazy = Watcher(every=4), Watcher(every=100)
    sample(MIXTURE, observers=[few, lazy], **run)
    assert [step.index for step in few.steps] == [3, 5]
    assert [step.index for step in lazy.steps] == [5]
    assert few.steps[0].x0 is None


def test_observers_are_told_calls_and_seconds_of_the_steps_alone(run):
    few = Watcher(every=2)

    def slow(step):
        time.sleep(0.05)

    sample(MIXTURE, observers=[few, slow], **run | {"sampler": "heun"})
    assert [step.calls for step in few.steps] == [3, 7, 10]  # the first step and the last of this sampler take one each
    seconds = [step.seconds for step in few.steps]
    assert 0 < seconds[0] < seconds[1] < seconds[2] < 0.05


def test_observers_change_nothing(run, sampler):
    run["sampler"] = sampler
    plain = sample(MIXTURE, **run)
    vandals = [Vandal(needs_x0=True), Vandal()]
    assert torch.equal(sample(MIXTURE, observers=vandals, **run), plain)
    assert len(vandals[0].steps) == 6


def test_starts_from_given_items(run, normal):
    del run["shape"], run["seeds"]
    x = normal(4, 2)
    kept = x.clone()
    made = sample(MIXTURE, x=x, **run)
    assert (made.shape, made.dtype) == (x.shape, x.dtype)
    assert torch.equal(x, kept)
    assert torch.equal(sample(MIXTURE, x=x, seeds=range(4), **run), made)


def test_the_prior_is_noise_of_the_first_level(run, process):
    x = sample(MIXTURE, **run | {"process": process, "sampler": Keep(), "steps": 1, "seeds": range(2000)})
    sigma = process.sigma(torch.ones(1, dtype=torch.float64)).item()
    assert_close(x.std().item(), sigma, rtol=0.05, atol=0)
    assert abs(x.mean().item()) < 0.1 * sigma


def test_no_gradients_are_kept(run):
    weight = torch.ones(1, requires_grad=True)
    assert not sample(lambda x, level: weight * MIXTURE(x, level), **run).requires_grad


@pytest.mark.parametrize("steps", [0, -1, 10**9, 2.0, True, "6", None])
def test_wrong_steps_are_refused(run, steps):
    with pytest.raises(ConfigError, match="steps"):
        sample(MIXTURE, **run | {"steps": steps})


@pytest.mark.parametrize(
    "change",
    [
        *({"shape": None}, {"seeds": None}, {"x": torch.zeros(2, 2)}),
        *({"seeds": seeds} for seeds in ([-1, 0, 1], [0, 1.5, 2], [True], 0)),
        *({"sampler": "huen"}, {"sampler": object}, {"process": 3}, {"grid": None}, {"shape": (3,)}),
        *({"shape": 2}, {"shape": ("a",)}, {"shape": (-1,)}),
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_refused(run, change):
    with pytest.raises(ConfigError):
        sample(MIXTURE, **run | change)


@pytest.mark.parametrize("times", [[1, 1, 0], [0, 0.5, 1], [1.5, 0.5, 0], [1, 0.5, -0.1], [1, float("nan"), 0]])
def test_times_that_do_not_fall_are_refused(run, times):
    class Odd:
        def times(self, process, steps):
            return torch.tensor(times, dtype=torch.float64)

    with pytest.raises(ConfigError, match="Odd"):
        sample(MIXTURE, **run | {"grid": Odd(), "steps": 2})


@pytest.mark.parametrize("given", [torch.zeros(3, 3), torch.zeros(3, 2, dtype=torch.float64), None])
def test_samplers_that_break_the_contract_are_named(run, given):
    class Odd(Keep):
        def step(self, x, here, next, denoise, noise, state):
            return (given, None) if given is not None else x

    with pytest.raises(PluginError, match=r"Odd.*step 1"):
        sample(MIXTURE, **run | {"sampler": Odd()})


@pytest.mark.parametrize("odd", [lambda x: x[:, :1], lambda x: x[:1], lambda x: x.double(), lambda x: x.to("meta")])
@pytest.mark.parametrize("number", range(6))
def test_every_step_is_held_against_the_items(run, number, odd):
    class Odd(Keep):
        def init(self, x):
            return 0

        def step(self, x, here, next, denoise, noise, state):
            return odd(x) if state == number else x, state + 1

    with pytest.raises(
        PluginError, match=rf"^sampler Odd: step {number + 1} gave \(.*, expected \(3, 2\) torch.float32"
    ):
        sample(MIXTURE, **run | {"sampler": Odd()})


def test_parts_may_be_given_by_name(run):
    named = {"process": "flow", "sampler": "heun", "grid": "uniform"}
    built = {kind: build(kind, name) for kind, name in named.items()}
    assert torch.equal(sample(MIXTURE, **run | named), sample(MIXTURE, **run | built))


def test_an_outsiders_process_will_do(run):
    class Bare:
        def alpha(self, t):
            return 1 - t

        def sigma(self, t):
            return t

    assert_close(sample(MIXTURE, **run | {"process": Bare()}), sample(MIXTURE, **run), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "says", [lambda x: x[:, :1], lambda x: torch.cat([x, x]), lambda x: x.sum(), lambda x: None, lambda x: x.long()]
)
def test_what_a_denoiser_says_is_held_against_the_items(run, sampler, says):
    with pytest.raises(PluginError, match="denoise gave"):
        sample(lambda x, level: says(x), **run | {"sampler": sampler})


def test_levels_are_kept_where_process_and_grid_never_change():
    """Equal ones share them; other numbers, steps and starts have their own."""

    def levels(beta_max=20.0, rho=7.0, steps=5, start=1.0):
        return levels_from(
            build("process", "vp-linear", beta_max=beta_max), build("grid", "karras", rho=rho), steps, start
        )

    kept = levels()
    assert levels() is kept
    for other in (levels(beta_max=10.0), levels(rho=5.0), levels(steps=6), levels(start=0.9)):
        assert other != kept


@pytest.mark.parametrize("steps", [True, 0])
def test_kept_levels_let_no_wrong_steps_pass(run, steps):
    sample(MIXTURE, **{**run, "steps": 1})
    with pytest.raises(ConfigError, match="steps"):
        sample(MIXTURE, **{**run, "steps": steps})


def test_a_grid_that_may_change_is_asked_each_time(run):
    class Moving:
        first = 1.0

        def times(self, process, steps):
            return torch.linspace(self.first, 0, steps + 1, dtype=torch.float64)

    moving = Moving()
    before = levels_from(run["process"], moving, 4)
    moving.first = 0.5
    assert (before[0].t, levels_from(run["process"], moving, 4)[0].t) == (1.0, 0.5)


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ({"dtype": torch.int32}, "dtype: expected one of floating-point numbers, got torch.int32"),
        ({"dtype": "float32"}, "dtype: expected one of floating-point numbers, got 'float32'"),
        ({"x": torch.zeros(2, 1, dtype=torch.int64)}, "dtype: expected one of floating-point numbers, got torch.int64"),
        ({"x": [[0.0], [1.0]]}, "x: expected a tensor with one row for each item, got"),
        (
            {"sampler": Watcher},
            r"sampler: expected a sampler or its name, got the class Watcher; make one: Watcher\(\)",
        ),
    ],
)
def test_what_is_no_item_or_no_sampler_is_told(run, wishes, told):
    with pytest.raises(ConfigError, match=f"^sample: {told}"):
        sample(MIXTURE, **{**run, **wishes})


def test_nothing_that_is_kept_between_runs_holds_on_to_a_process(sampler):
    class Bare:
        def alpha(self, t):
            return 1 - t

        def sigma(self, t):
            return t

    process = Bare()
    alive = weakref.ref(process)
    sample(MIXTURE, process=process, sampler=sampler, grid="uniform", steps=6, shape=(2,), seeds=[0])
    del process
    gc.collect()
    assert alive() is None


def test_large_numbers_are_finite():
    """Sums are taken in the dtype of the items: 64 rows of 1e39 fit into float64."""
    made = sample(
        lambda x, level: torch.full_like(x, 1e39),
        process="flow",
        sampler="euler",
        grid="uniform",
        steps=2,
        shape=(1,),
        seeds=range(64),
        dtype=torch.float64,
    )
    assert torch.isfinite(made).all()


@pytest.mark.parametrize("name", ["spline", "dpmpp-2m", "unipc", "adaptive", "predictor-corrector"])
def test_items_may_lie_channels_last(name):
    """As networks of convolutions leave them: the numbers are the same."""

    def denoise(x, level):
        return torch.tanh(1.3 * x) * level.alpha

    def last(x, level):
        return denoise(x, level).to(memory_format=torch.channels_last)

    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    given = {"process": "vp-linear", "sampler": name, "grid": "angle", "steps": 8}
    plain = sample(denoise, x=x, **given)
    assert_close(sample(last, x=x, **given), plain)
    assert_close(sample(last, x=x.to(memory_format=torch.channels_last), **given), plain)
