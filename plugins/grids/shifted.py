"""A grid moved towards the noise, as larger items want it."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor

from ...core.diffusion.process import Process, complete
from ...core.diffusion.sampling import Grid
from ...core.registration.build import build_part

__all__ = ["Shifted"]


class Shifted:
    """The times of another grid, with their noise-to-signal ratio ``shift`` times as large.

    On ``flow`` that is ``t_shifted = shift t / (1 + (shift - 1) t)``. A process whose nsr has an end at t = 1 keeps it:
    what is divided by ``shift`` is ``1 / nsr - 1 / nsr(1)``, which is the same as long as nsr is far from the end.

    Args:
        shift: ``sqrt(m / n)`` for items of m values (pixels, frames, positions), where n values are seen as the base
            grid has it; 3 is Stable Diffusion 3's at 1024 by 1024. FLUX and others give its logarithm, mu. Below 1 the
            grid moves towards the data, on a table beyond its first entry.
        base: the grid that is moved: its name, or a table such as ``{ use = "karras", rho = 5.0 }``.

    Source: Esser et al. 2024, arXiv 2403.03206, equation 23.
    """

    def __init__(self, shift: Annotated[float, Gt(0)] = 3.0, base: str | dict[str, object] = "uniform") -> None:
        self.shift = shift
        self.base: Grid = build_part({"use": base} if isinstance(base, str) else base, "grid", where="grid/shifted")

    def times(self, process: Process, steps: int) -> Tensor:
        process, times = complete(process), self.base.times(process, steps)
        least = torch.exp(process.log_snr(torch.ones_like(times)) / 2)  # 1 / nsr at t = 1
        signal = torch.exp(process.log_snr(times) / 2) - least
        moved = process.t_of_log_snr(2 * torch.log(signal / self.shift + least))
        return torch.where((times == 0) | (times == 1), times, moved)
