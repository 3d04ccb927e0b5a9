"""The suite of grids: times that fall from noise to data, for every process and number of steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ...diffusion.process import CompleteProcess, Process, complete, levels_at
from ...errors import ConfigError, NoiseformError
from ...registration.build import build
from ..finding import Finding, drawn, holds, no_global_draws, same, skip
from ..inherited.answering import AnsweringSuite
from ..tried_on.closed_form import error_of_run
from ..tried_on.items_and_processes import PROCESSES, process_of

__all__ = ["GridSuite"]

NUMBERS = (1, 2, 3, 5, 50, 999)


class GridSuite(AnsweringSuite):
    """Holds a grid to its contract: ``times(process, steps)``.

    Attributes:
        least_steps: fewest steps that it has times for.
        most_steps: most of them; None where there is no end. More are to be refused by a ConfigError.
        starts_at_noise: False where its first time lies below 1.
        ends_at_data: False where its last time lies above 0.
        processes: built-in processes that it serves; all, unless the author says otherwise.
        idle: parameters without effect on what the suite tries, such as those that another one switches on.
        leads_to_the_data: False where more steps on it need not come closer to the exact solution.
    """

    kind: ClassVar[str] = "grid"
    least_steps: ClassVar[int] = 1
    most_steps: ClassVar[int | None] = None
    starts_at_noise: ClassVar[bool] = True
    ends_at_data: ClassVar[bool] = True
    processes: ClassVar[Sequence[str]] = PROCESSES
    leads_to_the_data: ClassVar[bool] = True

    def test_times_fall_from_noise_to_data(self) -> None:
        """``steps + 1`` float64 times fall strictly from 1 to 0, for one step, a few and many, and each process."""
        for name in self.processes:
            for steps in self._numbers(*NUMBERS):
                self._times(name, steps)

    @given(number=st.integers(1, 400), at=st.integers(0, len(PROCESSES) - 1))
    @drawn
    def test_times_fall_for_any_number_of_steps(self, number: int, at: int) -> None:
        """They do so for whatever number of steps."""
        steps = max(self.least_steps, min(number, self.most_steps or number))
        self._times(self.processes[at % len(self.processes)], steps)

    def test_levels_differ(self) -> None:
        """No two times are so near to each other that they are one level to a sampler."""
        for name in self.processes:
            for steps in self._numbers(50, 999):
                levels = levels_at(process_of(name), self._times(name, steps))
                wrong = [here.t for here, next in pairwise(levels) if not here.log_snr < next.log_snr]
                holds(not wrong, f"{name}, {steps} steps: the level at t = {wrong[:1]} is that of the time after it")

    def test_too_many_steps_are_refused(self) -> None:
        """More steps than a table has entries have times of their own, or end in a ConfigError that says so."""
        table = complete(build("process", "discrete-vp", schedule="cosine", length=12))
        for steps in (13, 40) if self.most_steps is None else (self.most_steps + 1, 2 * self.most_steps + 1):
            try:
                times = self.made().times(table, steps)
            except ConfigError:
                continue
            except Exception as error:
                told = f"{steps} steps on a table of 12: expected a ConfigError, got {type(error).__name__}: {error}"
                raise Finding(told) from error
            self._right(times, steps, f"a table of 12, {steps} steps")

    def test_leaves_the_process_alone(self) -> None:
        """Nothing is written on the process, whose times others ask for too."""
        for name in self.processes:
            guarded = _Guarded(process_of(name))
            for steps in self._numbers(1, 7):
                same(self.made().times(guarded, steps), self._times(name, steps), f"{name}, {steps} steps, again")

    def test_goes_by_what_a_process_says(self) -> None:
        """A process whose derivatives, log-SNR and inverse are derived has the same times as one that brings them."""
        for name in self.processes:
            derived = complete(_Bare(process_of(name)))
            for steps in self._numbers(2, 20):
                told = f"{name}, {steps} steps, of alpha and sigma alone beside the process itself"
                same(self.made().times(derived, steps), self._times(name, steps), told, atol=1e-6)

    def test_is_deterministic(self) -> None:
        """One object asked again, after other numbers of steps too, and another one give the same bits."""
        made, name = self.made(), self.processes[0]
        process, numbers = process_of(name), self._numbers(5, 50, 2)
        with no_global_draws():
            first = [made.times(process, steps).clone() for steps in numbers]
        for which, again in (("asked again", made), ("another object", self.made())):
            for steps, expected in zip(numbers, first, strict=True):
                same(again.times(process, steps), expected, f"{name}, {steps} steps: {which}")

    def test_times_are_the_callers(self) -> None:
        """What is returned is no view of what is returned next time, nor of the process's own numbers."""
        made, name = self.made(), self.processes[0]
        process = process_of(name)
        for steps in self._numbers(2, 9):
            times = made.times(process, steps)
            expected = times.clone()
            times.zero_()
            told = f"{name}, {steps} steps, asked again after the first answer was written to (return a new tensor)"
            same(made.times(process, steps), expected, told)

    def test_more_steps_come_closer(self) -> None:
        """A run of Euler's method in four times as many steps ends nearer to the exact solution, which is known."""
        most = 64 if self.most_steps is None else min(64, self.most_steps)
        few = max(self.least_steps, most // 4)
        if not self.leads_to_the_data or few >= most:
            skip("the suite says that they need not")
        for name in [name for name in ("flow", "vp-linear", "discrete-vp") if name in self.processes]:
            try:
                errors = [error_of_run(name, self.made(), steps, sampler="euler") for steps in (few, most)]
            except NoiseformError as error:
                raise Finding(f"{name}: {error}") from error
            told = f"{name}: {few} steps end {errors[0]:.3g} from the exact solution, {most} end {errors[1]:.3g}"
            holds(
                errors[1] < max(0.6 * errors[0], 1e-3), f"{told}; does it leave one long step however many there are?"
            )

    def answer(self, made: Any) -> Tensor:
        numbers = self._numbers(1, 5, 9, 50)
        return torch.cat([made.times(process_of(name), steps) for name in self.processes for steps in numbers])

    def _numbers(self, *wanted: int) -> list[int]:
        """Return those numbers of steps that the grid has times for."""
        most = max(wanted) if self.most_steps is None else self.most_steps
        return [number for number in wanted if self.least_steps <= number <= most]

    def _times(self, name: str, steps: int) -> Tensor:
        """Return the times on a built-in process, held to the contract."""
        times = self.made().times(process_of(name), steps)
        self._right(times, steps, f"{name}, {steps} steps")
        assert isinstance(times, Tensor)
        return times

    def _right(self, times: object, steps: int, where: str) -> None:
        holds(isinstance(times, Tensor), f"{where}: expected a tensor of times, got a {type(times).__name__}")
        assert isinstance(times, Tensor)
        shape = tuple(times.shape)
        holds(shape == (steps + 1,), f"{where}: expected {steps + 1} times, one more than steps, got shape {shape}")
        holds(times.dtype == torch.float64, f"{where}: expected float64, got {times.dtype}")
        holds(not times.requires_grad, f"{where}: the times require a gradient; detach what they are made of")
        holds(torch.isfinite(times).all(), f"{where}: a time is not finite: {_told(times)}")
        first, last = times[0].item(), times[-1].item()
        holds(last >= 0 and first <= 1, f"{where}: expected times within [0, 1], got {_told(times)}")
        equal = (times.diff() >= 0).nonzero().flatten().tolist()
        holds(
            not equal,
            f"{where}: the times do not fall strictly: {_told(times[equal[0] : equal[0] + 2]) if equal else ''}",
        )
        if self.starts_at_noise:
            holds(first == 1, f"{where}: expected 1 as the first time, got {first!r}; or say starts_at_noise = False")
        if self.ends_at_data:
            holds(last == 0, f"{where}: expected 0 as the last time, got {last!r}; or say ends_at_data = False")


def _told(times: Tensor) -> str:
    shown = [f"{t:.6g}" for t in times.tolist()]
    return ", ".join(shown if len(shown) < 8 else [*shown[:4], "…", *shown[-3:]])


class _Bare:
    """A process with no more than the contract asks for, and the length of its table if it has one."""

    def __init__(self, process: Process) -> None:
        self.alpha, self.sigma = process.alpha, process.sigma
        if hasattr(process, "length"):
            self.length = process.length


class _Guarded:
    """A process that nothing can be written on."""

    def __init__(self, process: CompleteProcess) -> None:
        vars(self)["_process"] = process

    def __getattr__(self, name: str) -> object:
        return getattr(vars(self)["_process"], name)

    def __setattr__(self, name: str, value: object) -> None:
        raise Finding(f"the grid sets {name!r} on the process; keep it in a variable")
