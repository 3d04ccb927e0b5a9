"""What steps give is looked at, several at once where they are quick: whatever is wrong with one is found."""

import weakref

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
    monkeypatch.setattr(inspection, "perf_counter", clock.perf_counter)
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


@pytest.mark.parametrize(("seconds", "most"), [(0.001, 64), (0.02, 6), (0.04, 3), (0.2, 1), (60.0, 1)])
def test_no_step_waits_long_to_be_looked_at(clock, seconds, most):
    """However long steps take: of what came after the wrong one no more was made than is quick."""

    def meanwhile():
        clock.now += seconds

    denoise = Saying(3, lambda x: x * torch.nan, meanwhile)
    with pytest.raises(NumericError, match="step 3 of 100"):
        sample(denoise, sampler="euler", steps=100, **RUN)
    assert 3 <= denoise.calls < 3 + most
    assert (denoise.calls > 3) is (seconds < 0.1)


@pytest.mark.parametrize(("size", "most"), [(1 << 20, 1), (1 << 15, 1), (1 << 13, 4), (1 << 10, 32)])
def test_large_items_do_not_wait(clock, size, most):
    """No more than a quarter of a megabyte is kept for it; of what is larger nothing."""
    denoise = Saying(2, lambda x: x * torch.nan)
    with pytest.raises(NumericError, match="step 2 of 200"):
        sample(denoise, sampler="euler", steps=200, **{**RUN, "shape": (size,)})
    assert denoise.calls == 1 + most


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


class Numbered:
    """A sampler that makes each step by a function of x and the number of the step, from 1."""

    order, stochastic, nfe_per_step = 1, False, 1

    def __init__(self, made):
        self._made = made

    def init(self, x):
        return 1

    def step(self, x, here, next, denoise, noise, state):
        made = self._made(x, state)
        return None if made is None else (made, state + 1)


def stepped(made, **wishes):
    return sample(lambda x, level: x, sampler=Numbered(made), **{**RUN, "steps": 9, **wishes})


def test_a_step_of_another_shape_is_told_before_what_came_of_it():
    """A sampler's second step drops a column, which makes its third one fail."""
    with pytest.raises(PluginError, match=r"Numbered: step 2 gave \(2, 1\) .*fix the sampler or the denoiser"):
        stepped(lambda x, number: x[:, :1] if number == 2 else x.view(2, 2))


def test_a_factor_beyond_half_precision_is_told_with_its_step():
    with pytest.raises(NumericError, match=r"step 8 of 9 .*Numbered"):
        stepped(lambda x, number: torch.add(x, x, alpha=1e6 if number == 8 else 0.5), dtype=torch.float16)


@pytest.mark.parametrize("step", [1, 2, 3, 8])
def test_a_step_that_gives_no_pair_is_told_with_its_number(step):
    def made(x, number):
        return None if number == step else x * (nan if number == step - 1 else 1)

    nan = 1.0
    with pytest.raises(PluginError, match=rf"Numbered: step {step} gave a NoneType, expected \(x, state\)"):
        stepped(made)
    nan = torch.nan
    with pytest.raises(NumericError if step > 1 else PluginError, match=f"step {max(step - 1, 1)} "):
        stepped(made)


@pytest.mark.parametrize("size", [1 << 16, 1 << 20])
def test_no_large_items_are_held_on_to(size):
    """Those of the first step neither, once others have taken their place."""
    alive = []

    def made(x, number):
        if number > 2:
            assert alive[0]() is None
        made = x * 0.5
        alive.append(weakref.ref(made))
        return made

    stepped(made, shape=(size,))


@pytest.mark.parametrize("infinite", [1, 2, 3, 9])
def test_a_denoiser_that_writes_into_items_hides_nothing(infinite):
    """It bounds what it is given in place, and lcm keeps nothing of x."""

    def denoise(x, level):
        calls.append(level)
        x.clamp_(-5, 5)
        return torch.full_like(x, torch.inf if len(calls) == infinite else 0.5)

    calls = []
    with pytest.raises(NumericError, match=f"step {infinite} of 20"):
        sample(denoise, sampler="lcm", steps=20, **RUN)


def buffered(buffers, wrong=None):
    """Give what makes steps in the same few tensors again and again; one step of them is not finite."""
    kept = [torch.empty(2, 2) for _ in range(buffers)]
    return lambda x, number: kept[number % buffers].fill_(torch.nan if number == wrong else number)


@pytest.mark.parametrize("buffers", [1, 2, 3])
def test_a_sampler_that_writes_in_place_hides_nothing(buffers):
    assert torch.equal(stepped(buffered(buffers), steps=20), torch.full((2, 2), 20.0))
    for wrong in (1, 2, 6, 20):
        with pytest.raises(NumericError, match=f"step {wrong} of 20"):
            stepped(buffered(buffers, wrong), steps=20)


def test_what_is_written_into_unseen_is_refused():
    """A denoiser that begins to work in place when nobody expects it."""

    def denoise(x, level):
        calls.append(level)
        return x.mul_(0.5) if len(calls) > 4 else x * 0.5

    calls = []
    with pytest.raises(PluginError, match=r"Euler.*: step 4 gave items that were written into later; fix the denoiser"):
        sample(denoise, sampler="euler", steps=20, **RUN)


@pytest.mark.parametrize("wrong", [1, 7])
def test_in_inference_mode_each_step_is_looked_at(wrong):
    """There torch does not count what is written."""
    denoise = Saying(wrong, lambda x: x * torch.nan)
    with torch.inference_mode(), pytest.raises(NumericError, match=f"step {wrong} of 20"):
        sample(denoise, sampler="euler", steps=20, **RUN)
    assert denoise.calls == wrong


def test_a_first_step_in_inference_mode_says_nothing_of_the_others():
    kept = torch.empty(2, 2)

    def made(x, number):
        if number > 1:
            return kept.fill_(number)
        with torch.inference_mode():
            return x * 1

    assert torch.equal(stepped(made), torch.full((2, 2), 9.0))


def test_a_denoiser_that_is_first_asked_in_a_later_step_is_held_against_the_contract_then():
    class Late(Numbered):
        def step(self, x, here, next, denoise, noise, state):
            return (denoise(x, here) if state > 1 else x * 1), state + 1

    with pytest.raises(PluginError, match=r"denoise gave a tensor of shape \(2, 1\)"):
        sample(lambda x, level: x[:, :1], sampler=Late(None), steps=4, **RUN)


def test_a_denoiser_may_answer_in_inference_mode():
    @torch.inference_mode()
    def denoise(x, level):
        return x * 0.5

    assert sample(denoise, sampler="lcm", steps=5, **RUN).isfinite().all()
    assert sample(denoise, sampler="euler", steps=5, **RUN).isfinite().all()


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
