"""A "scheduler" of diffusers, taken apart into process, objective, grid and sampler.

Whatever option would make a difference and has no counterpart here is an error that names it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from ...core.errors import NoiseformError

__all__ = ["Schedule", "translated"]

Table = dict[str, object]

_TABLES = {"linear": "linear", "scaled_linear": "scaled-linear", "squaredcos_cap_v2": "cosine", "sigmoid": "sigmoid"}
_PREDICTIONS = {"epsilon": "eps", "sample": "x0", "v_prediction": "v"}

_COMMON: Table = {
    "num_train_timesteps": 1000,
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "trained_betas": None,
    "prediction_type": "epsilon",
    "timestep_spacing": "leading",
    "steps_offset": 0,
}
_PIXELS: Table = {
    "clip_sample": True,
    "clip_sample_range": 1.0,
    "thresholding": False,
    "rescale_betas_zero_snr": False,
}
_SIGMAS: Table = {
    "timestep_spacing": "linspace",
    "rescale_betas_zero_snr": False,
    "use_karras_sigmas": False,
    "use_exponential_sigmas": False,
    "use_beta_sigmas": False,
    "final_sigmas_type": "zero",
}
_OPTIONS: dict[str, Table] = {
    "DDPMScheduler": {**_COMMON, **_PIXELS, "variance_type": "fixed_small"},
    "DDIMScheduler": {**_COMMON, **_PIXELS, "set_alpha_to_one": True},
    "PNDMScheduler": {**_COMMON, "set_alpha_to_one": False},
    "EulerDiscreteScheduler": {
        **_COMMON,
        **_SIGMAS,
        "interpolation_type": "linear",
        "sigma_min": None,
        "sigma_max": None,
        "timestep_type": "discrete",
    },
    "DPMSolverMultistepScheduler": {
        **_COMMON,
        **_SIGMAS,
        "solver_order": 2,
        "solver_type": "midpoint",
        "algorithm_type": "dpmsolver++",
        "thresholding": False,
        "use_lu_lambdas": False,
        "use_flow_sigmas": False,
        "lambda_min_clipped": -math.inf,
        "variance_type": None,
        "use_dynamic_shifting": False,
    },
}
"""The options of each class that make a difference, with the values that it gives those that are left out."""

_ONLY: Table = {
    "trained_betas": None,
    "thresholding": False,
    "use_karras_sigmas": False,
    "use_exponential_sigmas": False,
    "use_beta_sigmas": False,
    "final_sigmas_type": "zero",
    "interpolation_type": "linear",
    "sigma_min": None,
    "sigma_max": None,
    "timestep_type": "discrete",
    "solver_order": 2,
    "solver_type": "midpoint",
    "algorithm_type": "dpmsolver++",
    "use_lu_lambdas": False,
    "use_flow_sigmas": False,
    "use_dynamic_shifting": False,
}
"""Options of which one value only can be translated."""

_MATTER_TO: dict[str, frozenset[str]] = {
    "grid": frozenset(
        {
            "timestep_spacing",
            "steps_offset",
            "set_alpha_to_one",
            "use_karras_sigmas",
            "use_exponential_sigmas",
            "use_beta_sigmas",
            "use_lu_lambdas",
            "final_sigmas_type",
            "interpolation_type",
            "sigma_min",
            "sigma_max",
            "lambda_min_clipped",
        }
    ),
    "sampler": frozenset({"solver_order", "solver_type", "algorithm_type"}),
}
"""Options that say nothing any more once a grid or a sampler has been chosen in the place of the scheduler's."""

_OF_THE_SAME_TABLES = frozenset(
    {
        "DDIMParallelScheduler",
        "DDPMParallelScheduler",
        "DEISMultistepScheduler",
        "DPMSolverSDEScheduler",
        "DPMSolverSinglestepScheduler",
        "EulerAncestralDiscreteScheduler",
        "HeunDiscreteScheduler",
        "KDPM2AncestralDiscreteScheduler",
        "KDPM2DiscreteScheduler",
        "LCMScheduler",
        "LMSDiscreteScheduler",
        "TCDScheduler",
        "UniPCMultistepScheduler",
    }
)
"""Classes of which process and objective can be read, but no grid or sampler."""


@dataclass(frozen=True)
class Schedule:
    """The tables of a stage that a scheduler becomes.

    Attributes:
        process: how data is destroyed.
        objective: what the network predicts.
        grid: which times are visited.
        sampler: how a step is made.
        length: number of time steps of its table.
        notes: where it does not do quite the same.
        clip: bound that x0 is held to; 0 is none. The tables of samplers that know it have it too.
    """

    process: Table
    objective: Table
    grid: Table
    sampler: Table
    length: int
    notes: tuple[str, ...] = ()
    clip: float = 0.0


class _Options:
    """The options of one scheduler, each checked as it is taken."""

    def __init__(
        self, kind: str, known: Table, config: Mapping[str, object], error: Callable[[str], NoiseformError]
    ) -> None:
        self.kind, self._error = kind, error
        self.values = {**known, **{key: value for key, value in config.items() if key in known}}
        for key, wanted in _ONLY.items():
            if key in known and self.values[key] != wanted:
                raise self.refused(key)

    def refused(self, key: str, why: str = "") -> NoiseformError:
        """Return the error of an option."""
        shown = f"{self.kind} has {key} = {self.values[key]!r:.80}"
        return self._error(
            f"scheduler: {shown}, which noiseform does not translate{why}; take another scheduler for it"
        )

    def choice(self, key: str, known: Mapping[str, str]) -> str:
        value = self.values[key]
        if not isinstance(value, str) or value not in known:
            raise self.refused(key, f" ({', '.join(known)} it does)")
        return known[value]

    def flag(self, key: str) -> bool:
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise self.refused(key)
        return value

    def number(self, key: str) -> float:
        value = self.values[key]
        try:
            number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
        except OverflowError:  # a whole number beyond all floats
            number = math.inf
        if not math.isfinite(number):
            raise self.refused(key)
        return number

    def whole(self, key: str) -> int:
        value = self.number(key)
        if value != int(value) or value < 0:
            raise self.refused(key)
        return int(value)


def translated(
    kind: str,
    config: Mapping[str, object],
    error: Callable[[str], NoiseformError],
    *,
    chosen: Collection[str] = (),
) -> Schedule:
    """Return what a scheduler becomes.

    Args:
        kind: name of its class.
        config: its configuration.
        error: makes the error of a message.
        chosen: "sampler", "grid", where its own is not asked for: what only that would need is not looked at.

    Raises:
        NoiseformError: of ``error``: the class is unknown, or an option has no counterpart.
    """
    known = _OPTIONS.get(kind)
    if known is None and kind in _OF_THE_SAME_TABLES and {"sampler", "grid"} <= {*chosen}:
        known = {**_COMMON, **_PIXELS, "clip_sample": False, "use_flow_sigmas": False}
    if known is None:
        others = ", and this one with a sampler and a grid of your choice" if kind in _OF_THE_SAME_TABLES else ""
        raise error(f"scheduler: {kind} cannot be translated; those that can: {', '.join(_OPTIONS)}{others}")
    silent = frozenset().union(*(_MATTER_TO[part] for part in chosen))
    options = _Options(kind, known, {key: value for key, value in config.items() if key not in silent}, error)
    length = options.whole("num_train_timesteps")
    if length < 2:
        raise options.refused("num_train_timesteps")
    table = options.choice("beta_schedule", _TABLES)
    process: Table = {"use": "discrete-vp", "schedule": table, "length": length}
    if table != "cosine":  # whose table has no ends of its own
        process |= {"beta_start": options.number("beta_start"), "beta_end": options.number("beta_end")}
    if options.flag("rescale_betas_zero_snr"):
        process["zero_terminal_snr"] = True
        if options.values["prediction_type"] == "epsilon":
            raise options.refused("rescale_betas_zero_snr", " together with prediction_type epsilon")
    objective: Table = {"use": options.choice("prediction_type", _PREDICTIONS)}
    sampler, notes = ({}, []) if "sampler" in chosen else _SAMPLERS[kind](options)
    if sampler.get("variance") == "learned" or ("sampler" in chosen and _learns(options)):
        if objective["use"] == "x0":
            raise options.refused("variance_type", " together with prediction_type sample")
        objective = {"use": "hybrid-vlb", "predict": objective["use"], "length": length}
    grid, told = ({}, []) if "grid" in chosen else _grid(options)
    if "sampler" in chosen:  # what is told of a grid is how the scheduler's own sampler goes along it
        told = []
    clip = options.number("clip_sample_range") if options.flag("clip_sample") else 0.0
    return Schedule(process, objective, grid, sampler, length, (*notes, *told), clip)


def _learns(options: _Options) -> bool:
    """Return whether the network says the variance as well."""
    if options.values.get("variance_type") == "learned":  # not between two bounds, but itself
        raise options.refused("variance_type")
    return options.values.get("variance_type") == "learned_range"


def _grid(options: _Options) -> tuple[Table, list[str]]:
    """Return the grid of a scheduler's spacing."""
    spacing = options.choice("timestep_spacing", {name: name for name in ("leading", "trailing", "linspace")})
    grid: Table = {"use": spacing}
    offset = options.whole("steps_offset") if spacing == "leading" else 0
    if offset:
        grid["offset"] = offset
    if options.kind == "DPMSolverMultistepScheduler" and spacing != "trailing":
        grid["drop_last"] = True
    if "set_alpha_to_one" in options.values and not options.flag("set_alpha_to_one"):
        if offset or spacing == "trailing":
            grid["to_zero"] = False
        elif options.kind == "DDIMScheduler":  # whose last step would go nowhere
            raise options.refused("set_alpha_to_one", f" with timestep_spacing {spacing} and steps_offset {offset}")
    if spacing == "trailing" and options.kind == "DDIMScheduler":
        return grid, [
            "scheduler: on trailing diffusers' DDIM steps to other times than it visits where the steps do not divide "
            f"{options.values['num_train_timesteps']}, noiseform to those"
        ]
    if spacing != "linspace":
        return grid, []
    if options.kind == "DDIMScheduler":
        return grid, ["scheduler: on linspace diffusers' DDIM steps to other times than it visits, noiseform to those"]
    if options.kind == "EulerDiscreteScheduler":
        return grid, [
            "scheduler: the times of linspace are rounded to whole steps of the table, which diffusers does not"
        ]
    return grid, []


def _clip(options: _Options) -> Table:
    return {"clip": options.number("clip_sample_range")} if options.flag("clip_sample") else {}


def _ddpm(options: _Options) -> tuple[Table, list[str]]:
    small = {"fixed_small": "small", "fixed_small_log": "small"}
    variance = options.choice("variance_type", {**small, "fixed_large": "large", "learned_range": "learned"})
    spacing, offset = options.values["timestep_spacing"], options.values["steps_offset"]
    if variance != "small" and (spacing == "trailing" or (spacing == "leading" and offset)):
        # There diffusers adds noise in the last step too.
        raise options.refused("variance_type", f" with timestep_spacing {spacing} and steps_offset {offset}")
    return {"use": "ddpm", **({"variance": variance} if variance != "small" else {}), **_clip(options)}, []


def _ddim(options: _Options) -> tuple[Table, list[str]]:
    return {"use": "ddim", **_clip(options)}, []


def _pndm(options: _Options) -> tuple[Table, list[str]]:
    note = "scheduler: PNDM becomes dpmpp-2m on the same times, the nearest that there is; pictures differ a little"
    return {"use": "dpmpp-2m"}, [note]


def _euler(options: _Options) -> tuple[Table, list[str]]:
    return {"use": "euler"}, []


def _dpm_solver(options: _Options) -> tuple[Table, list[str]]:
    if options.values["lambda_min_clipped"] not in (None, -math.inf):
        raise options.refused("lambda_min_clipped")
    if options.values["variance_type"] is not None:
        raise options.refused("variance_type")
    return {"use": "dpmpp-2m"}, []


_SAMPLERS: dict[str, Callable[[_Options], tuple[Table, list[str]]]] = {
    "DDPMScheduler": _ddpm,
    "DDIMScheduler": _ddim,
    "PNDMScheduler": _pndm,
    "EulerDiscreteScheduler": _euler,
    "DPMSolverMultistepScheduler": _dpm_solver,
}
