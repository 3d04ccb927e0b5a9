"""The parts that the scheduler of a pipeline of diffusers stands for, as the object that it is there."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...core.diffusion.level import Level, Scalar
from ...core.diffusion.prediction import Prediction
from ...core.diffusion.process import Process
from ...core.diffusion.sampling import Grid, Sampler
from ...core.errors import ConfigError
from ...core.registration.build import build, build_part, find
from .schedule import translated

__all__ = ["OwnTimes", "SchedulerParts", "equally_spaced", "named_prediction", "parts_of"]

_PREDICTIONS = {"epsilon": "eps", "sample": "x0", "v_prediction": "v", "flow_prediction": "velocity"}


@dataclass(frozen=True)
class SchedulerParts:
    """What a scheduler becomes.

    Attributes:
        process: how data was destroyed.
        prediction: what the network says.
        sampler: how a step is made.
        grid: which times are visited.
        clip: bound that x0 is held to before the sampler sees it; 0 is none.
        unit_start: whether a pipeline starts from noise of the strength that noisy data of unit variance have.
        notes: where it does not do quite the same.
    """

    process: Process
    prediction: Prediction
    sampler: Sampler
    grid: Grid
    clip: float = 0.0
    unit_start: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class OwnTimes:
    """The grid that a scheduler for flow models makes by itself.

    Args:
        scheduler: a copy of it; its sigmas are the times of the process.
        sigmas: those that a pipeline asks for; the scheduler shifts them as it does its own.
        mu: the logarithm of the shift, for a scheduler that shifts by the size of a picture.
    """

    scheduler: Any
    sigmas: Sequence[float] | None = None
    mu: float | None = None

    def times(self, process: Process, steps: int) -> Tensor:
        asked = {"sigmas": self.sigmas, "mu": self.mu}
        self.scheduler.set_timesteps(steps, **{name: value for name, value in asked.items() if value is not None})
        times: Tensor = self.scheduler.sigmas.double().cpu()
        return times


def named_prediction(name: str) -> Prediction:
    """Return a prediction by its name here or in diffusers, whose flow models are shown x as it is."""
    prediction: Prediction = build("objective", _PREDICTIONS.get(name, name)).prediction
    return replace(prediction, scale=_as_it_is) if prediction.name == "velocity" else prediction


def _as_it_is(level: Level[Scalar]) -> Scalar:
    return 0.0 * level.t + 1.0


def equally_spaced(sigmas: Sequence[float]) -> bool:
    """Return whether sigmas say no more than how many there are, as the lists that most pipelines make do."""
    given = torch.as_tensor(list(sigmas), dtype=torch.float64)
    even = torch.linspace(float(given[0]), float(given[-1]), len(given), dtype=torch.float64)
    return torch.allclose(given, even, atol=1e-4)


def parts_of(scheduler: object, sampler: Sampler | str | None, grid: Grid | str | None) -> SchedulerParts:
    """Return the parts of a scheduler, of which sampler and grid may be chosen in the place of its own.

    Raises:
        ConfigError: its class or an option of it has no counterpart.
    """
    kind, config = type(scheduler).__name__, getattr(scheduler, "config", None)
    if not isinstance(config, Mapping):
        raise ConfigError(f"scheduler: expected a scheduler of diffusers, got a {kind}")
    if kind.startswith("FlowMatch") or config.get("use_flow_sigmas"):
        return _flow(scheduler, kind, config, sampler, grid)
    chosen = [name for name, part in (("sampler", sampler), ("grid", grid)) if part is not None]
    schedule = translated(kind, config, ConfigError, chosen=chosen)
    method, clips = _sampler(schedule.sampler if sampler is None else sampler, schedule.clip)
    return SchedulerParts(
        build_part(schedule.process, "process"),
        build_part(schedule.objective, "objective").prediction,
        method,
        build_part(schedule.grid, "grid") if grid is None else build("grid", grid) if isinstance(grid, str) else grid,
        clip=0.0 if clips else schedule.clip,
        # Where it counts in x / alpha, it starts from sigma / alpha, but on leading from sqrt(1 + (sigma / alpha)**2).
        unit_start=config.get("timestep_spacing") == "leading" or getattr(scheduler, "init_noise_sigma", 1.0) == 1.0,
        notes=schedule.notes,
    )


def _sampler(given: Sampler | str | Mapping[str, object], clip: float) -> tuple[Sampler, bool]:
    """Return a sampler and whether it clips x0 itself."""
    if isinstance(given, str):
        from ...core.registration.parameters import describe

        factory: Any = find("sampler", given).load()
        takes = any(one.name == "clip" for one in describe(factory))
        return build("sampler", given, **({"clip": clip} if takes and clip else {})), takes
    if isinstance(given, Mapping):
        return build_part(given, "sampler"), "clip" in given
    return given, bool(getattr(given, "clip", 0.0))


def _flow(
    scheduler: object, kind: str, config: Mapping[str, object], sampler: Sampler | str | None, grid: Grid | str | None
) -> SchedulerParts:
    """Return the parts of a scheduler for flow models."""
    wanted: dict[str, object] = {"invert_sigmas": False, "thresholding": False, "prediction_type": "flow_prediction"}
    wanted |= {} if sampler else {"stochastic_sampling": False}
    for option, value in wanted.items():
        if config.get(option, value) != value:
            raise ConfigError(
                f"scheduler: {kind} has {option} = {config[option]!r:.80}, which noiseform does not translate; take "
                "another scheduler for it"
            )
    if sampler is None:
        if kind != "FlowMatchEulerDiscreteScheduler":
            raise ConfigError(f"scheduler: noiseform does not know what the sampler of {kind} is; choose one: sampler=")
        sampler = "euler"
    if grid is None and "Heun" in kind:  # whose sigmas stand there twice
        raise ConfigError(f"scheduler: noiseform does not read the times of {kind}; choose a grid: grid=")
    return SchedulerParts(
        build("process", "flow"),
        named_prediction("velocity"),
        _sampler(sampler, 0.0)[0],
        OwnTimes(copy.deepcopy(scheduler)) if grid is None else build("grid", grid) if isinstance(grid, str) else grid,
    )
