"""The stochastic sampler of EDM."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt
from torch import Tensor

from ...core.diffusion.combination import combined
from ...core.diffusion.level import Level
from ...core.diffusion.sampling import Denoise, Noise
from ...core.diffusion.sde import forward
from .euler import Euler
from .heun import Heun

__all__ = ["EDMStochastic"]

MOST = math.sqrt(2) - 1
"""The largest share by which algorithm 2 raises the noise: no more is added than there is."""


@dataclass(frozen=True)
class EDMStochastic:
    """Fresh noise up to ``nsr (1 + churn)``, nsr = sigma / alpha, then a step of the ODE from there to the next level.

    Order 2 in distribution (``euler``: 1) where churn falls like 1 / steps, as the paper's does; with the same churn in
    ever more steps what is left is the error of the steps that go back over the churn. 2 NFE per step (1), keeps no
    state. Where the raised level would lie beyond t = 1, the noise goes up to there and no further.

    Args:
        churn: share by which the noise is raised, gamma of the paper: its S_churn over the number of steps. 0 is
            ``heun``; no more than sqrt(2) - 1 is heeded.
        noise: standard deviation of what is added, S_noise of the paper; a little above 1 makes up for a network that
            removes too much.
        nsr_min: below this noise-to-signal ratio nothing is added; S_tmin of the paper.
        nsr_max: nor above this one; S_tmax of the paper.
        solver: the step of the ODE.

    Source: Karras et al. 2022, arXiv 2206.00364, algorithm 2.
    """

    churn: Annotated[float, Ge(0)] = 0.15
    noise: Annotated[float, Gt(0)] = 1.0
    nsr_min: Annotated[float, Ge(0)] = 0.05
    nsr_max: Annotated[float, Ge(0)] = 50.0
    solver: Literal["heun", "euler"] = "heun"

    claims: ClassVar[Mapping[str, object]] = {"ordered_in_distribution": False}  # but where churn falls like 1 / steps

    @property
    def order(self) -> int:
        return 2 if self.solver == "heun" else 1

    @property
    def nfe_per_step(self) -> int:
        return 2 if self.solver == "heun" else 1

    @property
    def stochastic(self) -> bool:
        return self.churn > 0

    def init(self, x: Tensor) -> None:
        return None

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: None
    ) -> tuple[Tensor, None]:
        ode = Heun() if self.solver == "heun" else Euler()
        if not self.churn or not self.nsr_min * here.alpha <= here.sigma <= self.nsr_max * here.alpha:
            return ode.step(x, here, next, denoise, noise, None)
        raised = here.at_log_snr(here.log_snr - 2 * math.log1p(min(self.churn, MOST)))
        up = forward(here, raised)
        if not up.deviation:
            return ode.step(x, here, next, denoise, noise, None)
        x = combined(x, up.of_x, noise(), self.noise * up.deviation)
        return ode.step(x, raised, next, denoise, noise, None)
