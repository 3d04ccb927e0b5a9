"""The levels that a run visits."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from ..contract import check_tensor
from ..errors import ConfigError
from ..limits import MAX_STEPS
from .level import Level
from .process import Process, complete, levels_at, never_changes

if TYPE_CHECKING:
    from .sampling import Grid

__all__ = ["levels_from"]

_KEPT = 1000
"""Steps of which levels are kept at most: those of more take megabytes, and little beside what is done with them."""


def levels_from(process: Process, grid: Grid, steps: int, start: float = 1.0) -> tuple[Level[float], ...]:
    """Return the levels that a run visits: those of the grid's times, from ``start`` on.

    Raises:
        ConfigError: ``steps`` or ``start`` is out of bounds, or the grid's times do not fall.
    """
    if isinstance(start, bool) or not isinstance(start, int | float) or not 0 < start <= 1:
        raise ConfigError(f"start: expected a time above 0, up to 1, got {start!r}")
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= MAX_STEPS:
        raise ConfigError(f"steps: expected a whole number from 1 to {MAX_STEPS}, got {steps!r}")
    if steps <= _KEPT and never_changes(process) and never_changes(grid):
        return _kept_levels(process, grid, steps, start)
    return _levels(process, grid, steps, start)


def _levels(process: Process, grid: Grid, steps: int, start: float) -> tuple[Level[float], ...]:
    """Return the same, of steps and a start that are in bounds."""
    process = complete(process)
    times = check_tensor(grid.times(process, steps), (steps + 1,), of=f"grid {type(grid).__name__}: {steps} steps")
    falling = bool((times.diff() < 0).all())
    if not (falling and times[-1] >= 0 and times[0] <= 1):
        raise ConfigError(
            f"grid {type(grid).__name__}: {steps} steps gave times that do not fall strictly within [0, 1]: "
            f"{[round(t, 6) for t in times.flatten().tolist()[:6]]}…; choose another number of steps or another grid"
        )
    if start < 1:
        times = torch.cat([times.new_tensor([start]), times[times < start * (1 - 1e-9)]])
    return levels_at(process, times)


_kept_levels = lru_cache(maxsize=16)(_levels)
"""The same, kept: runs one after the other mostly visit the same, which take as long to find as some steps to make."""
