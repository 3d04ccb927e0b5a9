"""Grids that are wrong in one way each, of equal steps in time and in log-SNR."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...diffusion.process import Process, complete
from ...errors import ConfigError
from .mutant import Mutant

__all__ = ["MUTANTS"]


class EqualTimes:
    """Equal steps of time: an original."""

    def times(self, process: Process, steps: int) -> Tensor:
        return torch.linspace(1, 0, steps + 1, dtype=torch.float64)


class EqualLogSNR:
    """Equal steps of log-SNR from the end of the process, or -9, to 10, and then 0: an original."""

    low, high = -9.0, 10.0

    def times(self, process: Process, steps: int) -> Tensor:
        process = complete(process)
        start = process.log_snr(torch.ones((), dtype=torch.float64)).clamp(min=self.low).item()
        times = process.t_of_log_snr(torch.linspace(start, self.high, steps + 1, dtype=torch.float64)[:-1])
        return torch.cat([times.new_ones(1), times[1:], times.new_zeros(1)])


class Table:
    """Every so-manieth of a thousand times, from the last: an original that has no more than these."""

    def times(self, process: Process, steps: int) -> Tensor:
        if steps > 1000:
            raise ConfigError(f"steps: expected at most 1000, got {steps}")
        return self.entries(steps)

    def entries(self, steps: int) -> Tensor:
        return (1000 - torch.arange(steps + 1, dtype=torch.float64) * 1000 / steps).round() / 1000


_FEW = {"most_steps": 1000}


class _OneTooFew(EqualTimes):
    def times(self, process, steps):  # type: ignore[no-untyped-def]
        return super().times(process, steps - 1)


class _OneTooMany(EqualTimes):
    """Ends in 0 twice, for samplers that ask for a time beyond the end."""

    def times(self, process, steps):  # type: ignore[no-untyped-def]
        times = super().times(process, steps)
        return torch.cat([times, times[-1:]])


class _AList(EqualTimes):
    def times(self, process, steps):  # type: ignore[no-untyped-def]
        return super().times(process, steps).tolist()


class _Rounds(EqualTimes):
    def times(self, process, steps):  # type: ignore[no-untyped-def]
        return super().times(process, steps).float()


class _Rises(EqualTimes):
    def times(self, process, steps):  # type: ignore[no-untyped-def]
        return super().times(process, steps).flip(0)


class _StopsShort(EqualTimes):
    def times(self, process, steps):  # type: ignore[no-untyped-def]
        return torch.linspace(1, 1e-3, steps + 1, dtype=torch.float64)


class _StartsLate(EqualTimes):
    def times(self, process, steps):  # type: ignore[no-untyped-def]
        return 0.999 * super().times(process, steps)


class _StartsBeyond(EqualTimes):
    def times(self, process, steps):  # type: ignore[no-untyped-def]
        return 1.0001 * super().times(process, steps)


class _SameTimesTwice(EqualTimes):
    """Rounds to hundredths, so that many steps visit some twice."""

    def times(self, process, steps):  # type: ignore[no-untyped-def]
        return (super().times(process, steps) * 100).round() / 100


class _OneLevel(EqualTimes):
    """Lingers so near to pure noise that a sampler sees one level in all its times."""

    def times(self, process, steps):  # type: ignore[no-untyped-def]
        near = 1 - torch.arange(steps, dtype=torch.float64) * 2**-52
        return torch.cat([near, near.new_zeros(1)])


class _OneStepIsNone(EqualTimes):
    """Divides by the number of steps less one."""

    def times(self, process, steps):  # type: ignore[no-untyped-def]
        left = torch.arange(steps, dtype=torch.float64)
        return torch.cat([1 - left / torch.tensor(steps - 1.0) * 0.999, left.new_zeros(1)])


class _OneProcessOnly(EqualLogSNR):
    """Asks for what only one process has."""

    def times(self, process, steps):  # type: ignore[no-untyped-def]
        return super().times(process, steps) + 0 * process.beta_max


class _NoNoiseAtTheEnd(EqualLogSNR):
    """Takes the end of every process to be as noisy as that of its author's, beyond which there is no time."""

    def times(self, process, steps):  # type: ignore[no-untyped-def]
        log_snr = torch.linspace(-14, self.high, steps + 1, dtype=torch.float64)[:-1]
        times = process.t_of_log_snr(log_snr)
        return torch.cat([times.new_ones(1), times[1:], times.new_zeros(1)])


class _LeavesALongStep(EqualLogSNR):
    """Stops where there is as much noise as data, and leaves the rest to one step."""

    high = 0.0


class _BeyondTheTable(Table):
    """Has no more times than its table, and gives some of them again."""

    def times(self, process, steps):  # type: ignore[no-untyped-def]
        return self.entries(steps)


class _RaisesSomething(Table):
    """Looks for a time that its table has not."""

    def times(self, process, steps):  # type: ignore[no-untyped-def]
        return self.entries(range(1, 1001)[steps - 1])


class _WritesOnTheProcess(EqualTimes):
    def times(self, process: Any, steps: int) -> Tensor:
        process.steps = steps
        return super().times(process, steps)


class _Jitters(EqualTimes):
    def times(self, process, steps):  # type: ignore[no-untyped-def]
        times = super().times(process, steps)
        times[1:-1] -= 1e-6 * torch.rand(steps - 1, dtype=torch.float64)
        return times


class _Seeds(EqualTimes):
    def times(self, process, steps):  # type: ignore[no-untyped-def]
        torch.manual_seed(0)
        return super().times(process, steps)


class _KeepsWhatItGave(EqualTimes):
    def __init__(self) -> None:
        self._known: dict[int, Tensor] = {}

    def times(self, process, steps):  # type: ignore[no-untyped-def]
        return self._known.setdefault(steps, super().times(process, steps))


class _RemembersTheLast(EqualTimes):
    """Bends its times by how many steps it was asked for before."""

    _before = 0

    def times(self, process, steps):  # type: ignore[no-untyped-def]
        power, self._before = 1 + 0.01 * self._before, steps
        return super().times(process, steps) ** power


class _OnlyWhatIsBrought(EqualLogSNR):
    """Goes another way where the process has no rate of its own."""

    def times(self, process, steps):  # type: ignore[no-untyped-def]
        own = hasattr(type(process), "beta_max") or type(process).__name__ in ("Flow", "EDM", "VE")
        return super().times(process, steps) if own else EqualTimes().times(process, steps)


class _IgnoresItsPower(EqualTimes):
    def __init__(self, power: float = 1.0) -> None:
        self.power = power


MUTANTS = (
    Mutant("the original: equal times", EqualTimes, None),
    Mutant("the original: equal steps of log-SNR", EqualLogSNR, None),
    Mutant("the original: a table", Table, None, _FEW),
    Mutant("gives one time too few", _OneTooFew, "test_times_fall_from_noise_to_data"),
    Mutant("gives one time too many", _OneTooMany, "test_times_fall_from_noise_to_data"),
    Mutant("gives a list", _AList, "test_times_fall_from_noise_to_data"),
    Mutant("works in float32", _Rounds, "test_times_fall_from_noise_to_data"),
    Mutant("rises from data to noise", _Rises, "test_times_fall_from_noise_to_data"),
    Mutant("stops short of the data", _StopsShort, "test_times_fall_from_noise_to_data"),
    Mutant("starts after the noise", _StartsLate, "test_times_fall_from_noise_to_data"),
    Mutant("starts beyond the noise", _StartsBeyond, "test_times_fall_from_noise_to_data"),
    Mutant("gives a time twice", _SameTimesTwice, "test_times_fall_for_any_number_of_steps"),
    Mutant("gives times that are one level", _OneLevel, "test_levels_differ"),
    Mutant("has no times for a single step", _OneStepIsNone, "test_times_fall_from_noise_to_data"),
    Mutant("serves one process", _OneProcessOnly, "test_times_fall_from_noise_to_data"),
    Mutant("takes every process for pure noise at its end", _NoNoiseAtTheEnd, "test_times_fall_from_noise_to_data"),
    Mutant("leaves one long step to the data", _LeavesALongStep, "test_more_steps_come_closer"),
    Mutant("repeats itself beyond its table", _BeyondTheTable, "test_too_many_steps_are_refused", _FEW),
    Mutant("fails beyond its table without a word", _RaisesSomething, "test_too_many_steps_are_refused", _FEW),
    Mutant("writes on the process", _WritesOnTheProcess, "test_leaves_the_process_alone"),
    Mutant("draws from the global generator", _Jitters, "test_is_deterministic"),
    Mutant("seeds the global generator", _Seeds, "test_is_deterministic"),
    Mutant("keeps what it has given away", _KeepsWhatItGave, "test_times_are_the_callers"),
    Mutant("remembers what it was asked before", _RemembersTheLast, "test_is_deterministic"),
    Mutant("ignores its parameter", _IgnoresItsPower, "test_numbers_change_something"),
    Mutant("knows processes by their class", _OnlyWhatIsBrought, "test_goes_by_what_a_process_says"),
)
