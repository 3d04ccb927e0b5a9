"""Which parts work together: computed, by running every combination on data whose ideal network is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ..diffusion.mixture import GaussianMixture
from ..diffusion.objective import Objective
from ..diffusion.oracle import OracleDenoiser
from ..diffusion.process import CompleteProcess, complete
from ..diffusion.sampling import Grid, Sampler, sample
from ..errors import NoiseformError
from ..registration.build import build
from ..registration.registry import current

__all__ = ["KINDS", "Combination", "combinations", "how_many"]

KINDS = ("process", "objective", "grid", "sampler", "guidance")

_DATA = GaussianMixture([[-1.0, 0.5], [1.0, -0.5]], [0.3, 0.3])
_ASKED = GaussianMixture([[1.0, -0.5]], [0.3])
_SEEDS = (0, 1, 2, 3)
_COND = {"vector": torch.ones(len(_SEEDS), 1)}
_NULL = {"vector": torch.zeros(len(_SEEDS), 1)}
_FAR = 20.0  # data lie within 3 of their centre; what diverges goes far beyond


@dataclass(frozen=True)
class Combination:
    """Five parts by name, and whether they work together.

    Attributes:
        process: a process.
        objective: an objective; sampling asks only for its prediction.
        grid: a grid.
        sampler: a sampler.
        guidance: a guidance.
        why: why they do not work together; None where they do.
    """

    process: str
    objective: str
    grid: str
    sampler: str
    guidance: str
    why: str | None

    @property
    def works(self) -> bool:
        return self.why is None


def how_many() -> int:
    """Return how many combinations there are of the installed parts."""
    return math.prod(len(_names(kind)) for kind in KINDS)


def combinations(*, steps: int = 6) -> Iterator[Combination]:
    """Run every combination of the installed parts, as they are without settings, for so many steps.

    The data are a mixture of two Gaussians in the plane and the network is the ideal one. A combination works if its
    samples are finite and near the data.
    """
    parts = {kind: {name: _attempt(build, kind, name) for name in _names(kind)} for kind in KINDS}
    for process_name, process in parts["process"].items():
        if not isinstance(process, str):
            process = complete(process)
        for objective_name, objective in parts["objective"].items():
            blind = _first_reason(process, objective) or objective.prediction.blindness(process)
            for grid_name, grid in parts["grid"].items():
                for sampler_name, sampler in parts["sampler"].items():
                    for guidance_name, guidance in parts["guidance"].items():
                        why = blind or _first_reason(grid, sampler, guidance)
                        if why is None:
                            why = _run(process, objective, grid, sampler, guidance, steps)
                        yield Combination(process_name, objective_name, grid_name, sampler_name, guidance_name, why)


def _run(
    process: CompleteProcess, objective: Objective, grid: Grid, sampler: Sampler, guidance: Any, steps: int
) -> str | None:
    """Return why five parts do not work together, or None."""
    denoise = OracleDenoiser(_DATA, objective.prediction, asked=_ASKED)
    guided = _attempt(guidance.wrap, denoise, _COND, _NULL)
    if isinstance(guided, str):
        return guided
    made = _attempt(
        sample,
        guided,
        process=process,
        sampler=sampler,
        grid=grid,
        steps=steps,
        shape=_DATA.shape,
        seeds=_SEEDS,
    )
    if isinstance(made, str):
        return made
    farthest = made.abs().max().item()
    # Without the distance: each combination has its own, and the reason is one.
    return None if farthest < _FAR else f"in {steps} steps the samples miss the data; take more, or another grid"


def _names(kind: str) -> list[str]:
    """Return the names by which the parts of a kind can be asked for."""
    plugins = current().plugins
    clashing = {part.full_name for rivals in plugins.clashes() for part in rivals}
    return [part.full_name if part.full_name in clashing else part.name for part in plugins.parts(kind)]


def _attempt(function: Callable[..., Any], *arguments: object, **named: object) -> Any:
    """Return what a function makes, or the reason why it cannot: a part may come from anyone."""
    try:
        return function(*arguments, **named)
    except NoiseformError as error:
        return str(error)
    except Exception as error:
        return " ".join(f"{type(error).__name__}: {error}".split())


def _first_reason(*parts: object) -> str | None:
    """Return the reason that stands in the place of a part, if there is one."""
    return next((part for part in parts if isinstance(part, str)), None)
