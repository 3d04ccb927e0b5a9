"""What steps give is looked at, several at once where they are quick: whatever is wrong with one is found."""

import pytest
import torch
from noiseform import NumericError, PluginError, sample
from noiseform.core.diffusion import inspection

RUN = {"process": "flow", "grid": "uniform", "shape": (2,), "seeds": [0, 1]}


class Clock:
    """A clock that goes on only as it is told."""

    now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(inspection, "time", clock)
    return clock


class Saying:
    """A denoiser that says zeros, but in one call something else; it counts its calls."""

    def __init__(self, call, said, meanwhile=lambda: None):
        self.calls, self._call, self._said, self._meanwhile = 0, call, said, meanwhile

    def __call__(self, x, level):
        self.calls += 1
        self._meanwhile()
        return self._said(x) if self.calls == self._call else torch.zeros_like(x)


@pytest.mark.parametrize("call", [1, 5, 63, 64, 65, 128, 150])
def test_what_later_steps_hide_is_found(call):
    """The denoiser holds x to bounds, and lcm keeps nothing of x: what comes after is finite."""
    denoise = Saying(call, lambda x: torch.full_like(x, torch.inf))
    with pytest.raises(NumericError, match=f"step {call} of 150 .*LCM"):
        sample(denoise, sampler="lcm", steps=150, **RUN)


@pytest.mark.parametrize(("seconds", "most"), [(0.001, 64), (0.02, 6), (0.06, 2), (0.2, 1), (60.0, 1)])
def test_no_step_waits_long_to_be_looked_at(clock, seconds, most):
    """However long steps take: of what came after the wrong one no more was made than is quick."""

    def meanwhile():
        clock.now += seconds

    denoise = Saying(3, lambda x: x * torch.nan, meanwhile)
    with pytest.raises(NumericError, match="step 3 of 100"):
        sample(denoise, sampler="euler", steps=100, **RUN)
    assert 3 <= denoise.calls < 3 + most
    assert (denoise.calls > 3) is (seconds < 0.1)


def test_large_items_do_not_wait():
    """No more than a few megabytes are kept for it."""
    denoise = Saying(2, lambda x: x * torch.nan)
    with pytest.raises(NumericError, match="step 2 of 20"):
        sample(denoise, sampler="euler", steps=20, **{**RUN, "shape": (1 << 20,)})
    assert denoise.calls == 2


def test_a_network_that_fails_on_what_is_not_finite_is_not_to_blame():
    def denoise(x, level):
        if not x.isfinite().all():
            raise ValueError("the network wants finite numbers")
        calls.append(level)
        return x * (torch.nan if len(calls) == 2 else 1)

    calls = []
    with pytest.raises(NumericError, match="step 2 of 9 ") as told:
        sample(denoise, sampler="euler", steps=9, **RUN)
    assert isinstance(told.value.__context__, ValueError)


def test_an_error_of_its_own_is_left_as_it_is():
    def denoise(x, level):
        raise ValueError("no more")

    with pytest.raises(ValueError, match=r"^no more$"):
        sample(denoise, sampler="euler", steps=9, **RUN)


def test_a_step_of_another_shape_is_told_before_what_came_of_it():
    """A sampler's second step drops a column, which makes its third one fail."""

    class Odd:
        order, stochastic, nfe_per_step = 1, False, 1

        def init(self, x):
            return 0

        def step(self, x, here, next, denoise, noise, state):
            return (x[:, :1] if state == 1 else x.view(2, 2)), state + 1

    with pytest.raises(PluginError, match=r"Odd: step 2 gave \(2, 1\) .*fix the sampler or the denoiser"):
        sample(lambda x, level: x, sampler=Odd(), steps=4, **RUN)


def test_observers_are_shown_nothing_that_is_not_finite():
    class Watcher:
        every, needs_x0 = 1, False

        def __call__(self, step):
            assert step.x.isfinite().all()
            shown.append(step.index)

    shown = []
    with pytest.raises(NumericError, match="step 3 of 9"):
        sample(Saying(3, lambda x: x * torch.nan), sampler="euler", steps=9, observers=[Watcher()], **RUN)
    assert shown == [0, 1]


def test_numbers_near_the_largest_are_finite():
    """Sums of several steps overflow before those of one do."""
    made = sample(lambda x, level: torch.full_like(x, 1e38), sampler="lcm", steps=40, **RUN)
    assert made.isfinite().all()
