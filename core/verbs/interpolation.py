"""Items between items: what lies in time between known positions, such as the frames between key frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..diffusion.noise import Key
from ..diffusion.sampling import Observer
from ..errors import ConfigError
from ..machine.memory import refuse_too_much
from ..media import MediaSpec
from ..pipeline.context import CONTEXT, Context
from ..pipeline.made import Made, Planned, told_of_sources
from ..pipeline.pipeline import Pipeline
from ..pipeline.running import Result, Running
from ..pipeline.stage import Stage

__all__ = ["between", "interpolate", "interpolated"]


def between(spec: MediaSpec, factor: int) -> MediaSpec:
    """Return what an item is after ``factor - 1`` positions were put between each two, the last one staying last."""
    axis = _axis(spec)
    shape, rates = list(spec.shape), list(spec.rates)
    shape[1 + axis] = (shape[1 + axis] - 1) * factor + 1
    rates[axis] = (rates[axis] or 0) * factor
    return replace(spec, shape=tuple(shape), rates=tuple(rates))


def interpolated(running: Running, media: Tensor, factor: int, noise: float, condition: Mapping[str, object]) -> Tensor:
    """Return latents (1, channels, \\*space) of an item whose every ``factor``-th position in time is given.

    Windows share one key position, and the last of them as many as it takes to be whole.

    Args:
        running: the stage, whose conditioner ``mask`` has learnt to go on from key positions that far from each other.
        media: the key positions (1, channels, \\*space).
        factor: distance between them in the result.
        noise: share of noise that the network sees them disturbed by.
        condition: what the item is.

    Raises:
        ConfigError: the stage cannot do this, or the item is too short for a window.

    Source: Blattmann et al. 2023, arXiv 2304.08818, section 3.2 (temporal interpolation).
    """
    stage, where = running.stage, running.where
    axis = 2 + _axis(stage.media)
    _check(stage, factor, tuple(media.shape[1:]), axis - 1, where)
    length = stage.latent_shape[axis - 1]
    inside = (length - 1) // factor  # of a window, from its first key position to its last
    count = media.shape[axis]
    if count < inside + 1:
        raise ConfigError(
            f"{where}: interpolate: {count} key frames; give at least {inside + 1}, what a window of {length} holds"
        )
    known = stage.codec.encode(media)
    shape = list(known.shape)
    shape[axis] = (count - 1) * factor + 1
    made = known.new_zeros(shape)
    first = list(range(0, count - inside, inside))
    if first[-1] + inside < count - 1:
        first.append(count - 1 - inside)
    for number, start in enumerate(first):
        (of_window,) = running.windows(number)
        keys = known.narrow(axis, start, inside + 1)
        places = torch.arange(0, inside * factor + 1, factor, device=keys.device)
        context = Context.of(keys[0], places, axis - 1, length, noise=noise, key=of_window)
        new = running.window([{**condition, CONTEXT: context}], (of_window,)).narrow(axis, 0, inside * factor + 1)
        made.narrow(axis, start * factor, inside * factor + 1).copy_(new)
    made.index_copy_(axis, torch.arange(0, shape[axis], factor, device=made.device), known)
    return made


def interpolate(
    pipeline: Pipeline,
    media: Tensor,
    spec: MediaSpec,
    factor: int,
    condition: Mapping[str, object],
    *,
    seed: int,
    observers: Sequence[Observer] = (),
) -> Made:
    """Make what lies between the moments of an item, by a model that has learnt to go on from key positions.

    Args:
        pipeline: does it.
        media: the item (channels, \\*space), of the size that the pipeline makes, but for its length.
        spec: its shape and rates.
        factor: how many times as many moments there will be.
        condition: what the item is, as for ``Pipeline.make``.
        seed: of what is new.
        observers: as for ``Pipeline.make``.

    Raises: what ``Pipeline.make`` raises, and ConfigError where the model has not learnt this.
    """
    result = between(spec, factor)
    refuse_too_much(result.shape, pipeline.stages[0].latent_shape, 1, "interpolate")

    def whole(running: Running) -> Result:
        known = media[None].to(pipeline.device)
        latent = interpolated(running, known, factor, pipeline.config.extend.noise, condition)
        return Result(result, lambda: running.decoded(latent, result.shape))

    told = told_of_sources("interpolate", [media], factor=factor)
    (made,) = pipeline.run([condition], (Key(seed),), observers, whole, [Planned(0, 0, 1, result)], "interpolate", told)
    return made


def _axis(spec: MediaSpec) -> int:
    """Return the axis of space that is time."""
    if spec.time_axis is None:
        raise ConfigError(f"interpolate: items of shape {spec.shape} have no time; there is nothing between them")
    return spec.time_axis


def _check(stage: Stage, factor: int, media: tuple[int, ...], axis: int, where: str) -> None:
    """Refuse a codec that mixes moments, and a factor that the model has not learnt."""
    latent = tuple(stage.codec.shape(media))
    if len(latent) != len(media) or latent[axis] != media[axis]:
        raise ConfigError(
            f"{where}: interpolate: codec {stage.config.codec.use!r} gives {latent} for items {media}, not one "
            "position for each in time; use another model"
        )
    takers = [one for one in stage.model.conditioners if CONTEXT in getattr(one, "takes", ())]
    learnt = {
        one for part in takers if getattr(part, "axis", axis - 1) == axis - 1 for one in getattr(part, "every", ())
    }
    if factor not in learnt:
        told = ", ".join(map(str, sorted(learnt))) or "none"
        raise ConfigError(f"{where}: interpolate: factor: this model has learnt {told}, got {factor!r}; choose another")
