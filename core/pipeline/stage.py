"""A stage of a pipeline: the parts that belong together, built and checked against each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..contract import check_rows, check_tensor
from ..diffusion.denoiser import Guidance, Network
from ..diffusion.objective import Objective
from ..diffusion.process import CompleteProcess, complete
from ..diffusion.sampling import Grid, Sampler
from ..errors import ConfigError, PluginError, ResourceError, nearest
from ..machine.memory import available_bytes
from ..media import MediaSpec
from ..registration.build import build_part, find
from ..registration.config import PartConfig, StageConfig
from ..registration.parameters import host_parameters
from ..storage.model_parts import RequiredPart
from .conditioning import KINDS, combined, refuse_unheard, widths_of

if TYPE_CHECKING:
    from .guide import Guide

__all__ = ["MAX_PARAMETERS", "Model", "Stage", "build_stage"]

MAX_PARAMETERS = 20_000_000_000
"""Largest number of parameters that is allocated; more is taken for a mistake in the configuration."""

Raw = list[dict[str, Tensor]]


class Model(nn.Module):
    """What is trained: a network and the conditioners that feed it.

    Args:
        network: ``(x, time, cond) -> output``.
        conditioners: turn wishes into conditioning, see the guide on plugins; those that are torch modules are trained
            along.
    """

    def __init__(self, network: nn.Module, conditioners: Sequence[Any]) -> None:
        super().__init__()
        self.network = network
        self.conditioners: Any = nn.ModuleList(c if isinstance(c, nn.Module) else _Frozen(c) for c in conditioners)

    @property
    def additions(self) -> tuple[frozenset[str], ...]:
        """Groups of names of weights that a model which this one can start from may lack, as the network has them."""
        groups = getattr(self.network, "additions", ())
        return tuple(frozenset(f"network.{name}" for name in group) for group in groups)

    def encode(self, conditions: Sequence[Mapping[str, object]]) -> Raw:
        """Return what each conditioner makes of the items' conditions, before anything learnt.

        Raises:
            ConfigError: an item carries a label that no conditioner knows, or a wish that none takes.
            PluginError: a conditioner breaks its contract.
        """
        taken = {"labels", *(key for one in self.conditioners for key in getattr(one, "takes", ()))}
        known = {name for conditioner in self.conditioners for name in getattr(conditioner, "names", ())}
        for condition in conditions:
            refused = [key for key, value in condition.items() if value and key not in taken]
            if refused:
                wish = {"text": "prompt"}.get(refused[0], refused[0])  # as the user calls it
                raise ConfigError(f"{wish}: this model takes no {wish}; leave it out, or name another model")
            for label in condition.get("labels") or ():  # type: ignore[attr-defined]
                if label not in known:
                    hint = nearest(str(label), known) if known else "this model takes no labels, leave it out"
                    raise ConfigError(f"label: unknown label {label!r}; {hint}")
        return [
            dict(check_rows(one.encode(conditions), len(conditions), of=f"{_name(one)}: encode"))
            for one in self.conditioners
        ]

    def shown(self, raw: Raw, x0: Tensor, u: Tensor, eps: Tensor) -> Raw:
        """Return the encoding with what conditioners show of the items themselves in training.

        Args:
            raw: what :meth:`encode` gave.
            x0: the items (batch, channels, \\*space).
            u: numbers in [0, 1) for each conditioner (batch, conditioners, some).
            eps: standard normal numbers like x0.
        """
        shown = list(raw)
        for number, one in enumerate(self.conditioners):
            if hasattr(one, "shown"):
                of = f"{_name(one)}: shown"
                shown[number] = dict(check_rows(one.shown(x0, u[:, number], eps), len(x0), of=of))
        return shown

    def null(self, raw: Raw) -> Raw:
        """Return the encoding, of the same shapes, that asks for nothing."""
        return [conditioner.null(one) for conditioner, one in zip(self.conditioners, raw, strict=True)]

    def condition(self, raw: Raw) -> dict[str, Tensor]:
        """Return the conditioning of the network: vectors added up, sequences and channels put side by side."""
        rows = max((len(next(iter(mine.values()), ())) for mine in raw), default=0)
        given = [
            (told, one.outputs, check_rows(one(mine), rows, of=told))
            for told, one, mine in zip(map(_name, self.conditioners), self.conditioners, raw, strict=True)
        ]
        return combined(given, rows)


def _name(conditioner: object) -> str:
    own = getattr(conditioner, "_conditioner", conditioner)
    return f"conditioner {type(own).__name__}"


class _Frozen(nn.Module):
    """A conditioner that is no torch module, with nothing to train, in the place of one."""

    def __init__(self, conditioner: Any) -> None:
        super().__init__()
        self._conditioner = conditioner
        self.outputs = conditioner.outputs
        self.names, self.takes = getattr(conditioner, "names", ()), getattr(conditioner, "takes", ())
        for name in ("axis", "longest", "every"):  # what one that takes a context says of it
            if hasattr(conditioner, name):
                setattr(self, name, getattr(conditioner, name))
        self.encode, self.forward, self.null = conditioner.encode, conditioner.forward, conditioner.null
        if hasattr(conditioner, "shown"):
            self.shown = conditioner.shown


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
        return list(_parts(self.config))


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
    _refuse_blind(process, objective, config, at)
    codec = build_part(config.codec, "codec", where=at, media=media)
    latent_shape = _latent_shape(codec, media, config)
    conditioners = [
        build_part(one, "conditioner", where=at, media=media, latent_shape=latent_shape, folder=folder)
        for one in config.conditioners
    ]
    widths = widths_of(((_name(one), one) for one in conditioners), at)
    _, channels_out, *_ = objective.prediction.output_shape((1, *latent_shape))
    host = {
        "channels_in": latent_shape[0],
        "channels_out": channels_out,
        **{parameter: widths.get(kind, 0) for kind, parameter in KINDS.items()},
    }
    sampler = build_part(config.sampler, "sampler", where=at)
    _check_variance(objective, sampler, config, at)
    with torch.device("meta"):
        trial = build_part(config.network, "network", where=at, **host)
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
    """Ask a process for a few moments before anything is built on it."""
    t = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    for name in ("alpha", "sigma"):
        of = f"process {config.process.use!r}: {name}(t)"
        if not bool(torch.isfinite(check_tensor(getattr(process, name)(t), t.shape, of=of)).all()):
            raise PluginError(f"{of} is not finite at t = 0, 0.5 or 1; fix the part")


def _latent_shape(codec: Any, media: MediaSpec, config: StageConfig) -> tuple[int, ...]:
    """Return the shape of an item in latent space, as the codec tells it."""
    shape = codec.shape(media.shape)
    sizes = tuple(shape) if isinstance(shape, Sequence) else ()
    if len(sizes) < 2 or not all(isinstance(size, int) and size >= 1 for size in sizes):
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
            "use v, x0, velocity or edm, or another process"
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
    asked = host_parameters(find("network", table.use, owners=table.owners).load())  # type: ignore[arg-type]
    return [parameter for parameter in parameters if parameter in asked or "**" in asked]


def _heard(network: Any, table: PartConfig) -> Iterable[str]:
    """Return the kinds of conditioning that a network takes: those it declares, or those whose width it asks for."""
    declared = getattr(network, "conditioning", None)
    if declared is not None:
        return declared
    return [kind for kind, parameter in KINDS.items() if _takes(table, parameter)]


def _parts(config: StageConfig) -> Iterable[RequiredPart]:
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
