"""A stage of a pipeline: the parts that belong together, built and checked against each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..contract import check_tensor
from ..diffusion.denoiser import Guidance, Network
from ..diffusion.objective import Objective
from ..diffusion.prediction import Prediction
from ..diffusion.process import CompleteProcess, complete
from ..diffusion.sampling import Grid, Sampler
from ..errors import ConfigError, PluginError, ResourceError
from ..machine.interrupts import interrupts_held
from ..machine.memory import available_bytes
from ..media import MediaSpec
from ..registration.build import build_part, find, hosted_by
from ..registration.config import PartConfig, StageConfig
from ..storage.model_parts import RequiredPart
from .conditioning import KINDS, refuse_unheard, widths_of
from .model import Model, told_of

if TYPE_CHECKING:
    from .guide import Guide

__all__ = ["MAX_PARAMETERS", "Stage", "build_stage", "parts_of"]

MAX_PARAMETERS = 20_000_000_000
"""Largest number of parameters that is allocated; more is taken for a mistake in the configuration."""


@dataclass(frozen=True)
class Stage:
    """The built parts of one stage.

    Attributes:
        config: what they were built from.
        media: what the stage makes.
        latent_shape: shape of an item as the network sees it (channels, \\*space).
        model: network and conditioners; their weights are random until loaded.
        guide: the trained model that the guidance asks beside this one.
        compiled: what is called in the place of the model's network.
    """

    config: StageConfig
    media: MediaSpec
    latent_shape: tuple[int, ...]
    process: CompleteProcess
    objective: Objective
    model: Model
    codec: Any
    guidance: Guidance
    sampler: Sampler
    grid: Grid
    guide: Guide | None = None
    compiled: Network | None = None

    @property
    def network(self) -> Network:
        """Return what sampling calls: the compiled network, or the model's own."""
        return self.compiled or self.model.network

    @property
    def parts(self) -> list[RequiredPart]:
        """Return what the stage needs of the installed plugins."""
        return list(parts_of(self.config))


def build_stage(config: StageConfig, media: MediaSpec, *, where: str = "", folder: Path | None = None) -> Stage:
    """Build the parts of a stage and check that they fit together.

    Args:
        config: the stage's table.
        media: shape and units of what it makes.
        where: the pipeline's name, for messages.
        folder: the model folder that it belongs to, which conditioners may keep files in.

    Raises:
        ConfigError: a part is unknown or wrongly set, or two parts do not go together.
        PluginError: a plugin breaks its contract.
    """
    at = f"{where}, stage {config.name!r}" if where else f"stage {config.name!r}"
    process = complete(build_part(config.process, "process", where=at))
    _check_process(process, config)
    objective = build_part(config.objective, "objective", where=at)
    _check_prediction(objective, config, at)
    _refuse_blind(process, objective, config, at)
    codec = build_part(config.codec, "codec", where=at, media=media)
    latent_shape = _latent_shape(codec, media, config)
    conditioners = [
        build_part(one, "conditioner", where=at, media=media, latent_shape=latent_shape, codec=codec, folder=folder)
        for one in config.conditioners
    ]
    widths = widths_of(((told_of(one), one) for one in conditioners), at)
    _, channels_out, *_ = objective.prediction.output_shape((1, *latent_shape))
    host = {
        "channels_in": latent_shape[0],
        "channels_out": channels_out,
        **{parameter: widths.get(kind, 0) for kind, parameter in KINDS.items()},
    }
    sampler = build_part(config.sampler, "sampler", where=at)
    _check_variance(objective, sampler, config, at)
    with interrupts_held(), torch.device("meta"):  # an interrupt between would leave torch there
        trial = build_part(config.network, "network", where=at, **host)
    if not isinstance(trial, torch.nn.Module):
        raise PluginError(
            f"{at}: network {config.network.use!r} made a {type(trial).__name__}, expected a torch module "
            "(torch.nn.Module); fix the part"
        )
    refuse_unheard(widths, _heard(trial, config.network), config.network.use, at)
    count = sum(parameter.numel() for parameter in trial.parameters())
    if count > MAX_PARAMETERS:
        raise ConfigError(f"{at}: network: {count:,} parameters; more than {MAX_PARAMETERS:,} are taken for a mistake")
    room = available_bytes()
    if room is not None and 4 * count > room:
        raise ResourceError(
            f"{at}: network: {count:,} parameters take {4 * count / 2**30:.1f} GiB, {room / 2**30:.1f} GiB are free; "
            "make it smaller"
        )
    if trial.item_ndim != len(latent_shape) - 1:
        raise ConfigError(
            f"{at}: network {config.network.use!r} takes items of {trial.item_ndim} axes of space, but codec "
            f"{config.codec.use!r} gives {len(latent_shape) - 1} (shape {latent_shape}); choose another of the two"
        )
    return Stage(
        config,
        media,
        latent_shape,
        process,
        objective,
        Model(build_part(config.network, "network", where=at, **host), conditioners),
        codec,
        build_part(config.guidance.without_weights, "guidance", where=at),
        sampler,
        build_part(config.grid, "grid", where=at),
    )


def _check_process(process: CompleteProcess, config: StageConfig) -> None:
    """Ask a process for a few moments before anything is built on it, and whether its noise grows from end to end."""
    t = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    moments = {}
    for name in ("alpha", "sigma"):
        of = f"process {config.process.use!r}: {name}(t)"
        moments[name] = check_tensor(getattr(process, name)(t), t.shape, of=of)
        if not bool(torch.isfinite(moments[name]).all()):
            raise PluginError(f"{of} is not finite at t = 0, 0.5 or 1; fix the part")
    (alpha, _, last_alpha), (sigma, _, last_sigma) = (each.tolist() for each in moments.values())
    if sigma * last_alpha >= last_sigma * alpha:
        raise PluginError(
            f"process {config.process.use!r}: alpha is {alpha:.3g} and sigma {sigma:.3g} at t = 0, {last_alpha:.3g} "
            f"and {last_sigma:.3g} at t = 1; expected alpha(0) = 1 and sigma(0) = 0, since t = 0 is clean data and "
            "t = 1 noise; fix the part, by 1 - t for t where it runs the other way"
        )


def _check_prediction(objective: Objective, config: StageConfig, at: str) -> None:
    """Hold what an objective says of the network's output against the contract."""
    if not isinstance(objective.prediction, Prediction):
        raise PluginError(
            f"{at}: objective {config.objective.use!r}: prediction is {objective.prediction!r:.80}, expected a "
            "Prediction such as V of noiseform.core.diffusion.prediction; fix the part"
        )


def _latent_shape(codec: Any, media: MediaSpec, config: StageConfig) -> tuple[int, ...]:
    """Return the shape of an item in latent space, as the codec tells it."""
    shape = codec.shape(media.shape)
    sizes = tuple(shape) if isinstance(shape, Sequence) else ()
    if not sizes or not all(isinstance(size, int) and size >= 1 for size in sizes):
        raise PluginError(
            f"codec {config.codec.use!r}: shape({media.shape}) gave {shape!r}, expected (channels, *space)"
        )
    return sizes


def _refuse_blind(process: CompleteProcess, objective: Objective, config: StageConfig, at: str) -> None:
    """Refuse a prediction that cannot tell x0 on a process that ends in pure noise."""
    why = objective.prediction.blindness(process)
    if why:
        raise ConfigError(
            f"{at}: process {config.process.use!r} and objective {config.objective.use!r} do not go together: {why}; "
            "use v, x0 or edm, or another process"
        )


def _check_variance(objective: Objective, sampler: Sampler, config: StageConfig, at: str) -> None:
    """Refuse a network that cannot say a variance where it is to learn one, and a sampler that asks for none learnt."""
    learns = objective.prediction.learns_variance
    if learns and not _takes(config.network, "channels_out"):
        raise ConfigError(
            f"{at}: network {config.network.use!r} cannot give two outputs for each value, as objective "
            f"{config.objective.use!r} asks: it takes no channels_out; use another network, or an objective that "
            "learns no variance, such as eps"
        )
    if getattr(sampler, "needs_variance", False) and not learns:
        raise ConfigError(
            f"{at}: sampler {config.sampler.use!r} asks for a learnt variance, which objective "
            f"{config.objective.use!r} does not teach; set another variance of the sampler, or use a model trained "
            "with an objective that does, such as hybrid-vlb"
        )


def _takes(table: PartConfig, *parameters: str) -> list[str]:
    """Return those of the host's parameters that a network asks for."""
    asked = hosted_by(find("network", table.use, owners=table.owners))
    return [parameter for parameter in parameters if parameter in asked or "**" in asked]


def _heard(network: Any, table: PartConfig) -> Iterable[str]:
    """Return the kinds of conditioning that a network takes: those it declares, or those whose width it asks for."""
    declared = getattr(network, "conditioning", None)
    if declared is not None:
        return declared
    return [kind for kind, parameter in KINDS.items() if _takes(table, parameter)]


def parts_of(config: StageConfig) -> Iterable[RequiredPart]:
    """Return what the parts of a stage are, and where they are from."""
    tables: list[tuple[str, PartConfig]] = [
        ("process", config.process),
        ("objective", config.objective),
        ("network", config.network),
        ("codec", config.codec),
        *(("conditioner", one) for one in config.conditioners),
        ("guidance", config.guidance),
        ("sampler", config.sampler),
        ("grid", config.grid),
    ]
    for kind, table in tables:
        part = find(kind, table.use, owners=table.owners)
        yield RequiredPart(kind, part.name, part.plugin.distribution, part.plugin.candidate.version)
