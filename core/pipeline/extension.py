"""Items longer than a model's window: made window by window, each going on from the end of the one before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..errors import ConfigError
from ..media import MediaSpec
from ..registration.config import ExtendConfig
from .context import CONTEXT, Context
from .running import Conditions, Running
from .stage import Stage

__all__ = ["Window", "extended", "longer", "plan", "windows"]


@dataclass(frozen=True)
class Window:
    """A stretch of an item along time, in positions of the latent.

    Attributes:
        number: from 0.
        start: where it begins.
        known: how many of its first positions are there already.
    """

    number: int
    start: int
    known: int


def windows(whole: int, window: int, context: int) -> Iterator[Window]:
    """Give the windows that cover ``whole`` positions; the last one may reach beyond them."""
    yield Window(0, 0, 0)
    done, number = window, 1
    while done < whole:
        yield Window(number, done - context, context)
        done, number = done + window - context, number + 1


def longer(spec: MediaSpec, seconds: float, *, where: str) -> MediaSpec:
    """Return what an item is that goes on for ``seconds`` more.

    Raises:
        ConfigError: items of this kind do not go on in time.
    """
    if not seconds:
        return spec
    axis = spec.time_axis
    if axis is None:
        raise ConfigError(f"{where}: extend: items of shape {spec.shape} do not go on in time; leave it out")
    shape = list(spec.shape)
    shape[1 + axis] += max(1, round(seconds * (spec.rates[axis] or 0)))
    return replace(spec, shape=tuple(shape))


def plan(stage: Stage, spec: MediaSpec, extend: ExtendConfig, *, where: str) -> tuple[int, list[Window]]:
    """Return the axis of a stage's latents, counted with the batch, that is time, and the windows along it.

    Args:
        stage: its media are one window.
        spec: of the whole items.
        extend: how much of a window the next one is shown.
        where: pipeline, for messages.

    Raises:
        ConfigError: the codec makes something else of longer items, no conditioner takes what is known, or there is
            no room for anything new beside it.
    """
    window, whole = stage.latent_shape, tuple(stage.codec.shape(spec.shape))
    differing = [axis for axis, sizes in enumerate(zip(window, whole, strict=True)) if sizes[0] != sizes[1]]
    if len(differing) > 1 or 0 in differing:
        raise ConfigError(
            f"{where}: extend: codec {stage.config.codec.use!r} gives latents of shape {window}, and {whole} for "
            "longer items, which do not go on from each other; use another codec"
        )
    if not differing:  # what is longer still fits into the same latent, or is none: whatever axis, one window does
        return 1, [Window(0, 0, 0)]
    (axis,) = differing
    length = window[axis]
    learnt = _learnt(stage, axis - 1, length, where)
    context = _positions(stage, extend.context, length, learnt, where)
    return 1 + axis, list(windows(whole[axis], length, context))


def _learnt(stage: Stage, axis: int, length: int, where: str) -> int:
    """Return how many of the first positions along an axis of space a model has learnt to go on from, at most."""
    takers = [one for one in stage.model.conditioners if CONTEXT in getattr(one, "takes", ())]
    most = max((getattr(one, "longest", length - 1) for one in takers if getattr(one, "axis", axis) == axis), default=0)
    if not most:
        why = "another axis or no beginnings in training" if takers else "training without the conditioner mask"
        raise ConfigError(
            f"{where}: extend: this model does not go on from what is there, for it knows {why}; make a longer item at "
            "once (--seconds), or use another model"
        )
    return min(most, length - 1)


def extended(running: Running, spec: MediaSpec, extend: ExtendConfig, conditions: Conditions) -> Tensor:
    """Return latents (items, channels, \\*space) of items of ``spec``, made window by window.

    Args:
        running: the stage, whose media are one window.
        spec: of the whole items.
        extend: how much of a window the next one is shown, and how.
        conditions: of each item.

    Raises:
        ConfigError: the stage cannot go on from what is there.

    Source: Blattmann et al. 2023, arXiv 2304.08818, section 3.2.
    """
    stage = running.stage
    if spec == stage.media:
        return running.window(conditions, running.windows(0))
    axis, planned = plan(stage, spec, extend, where=running.where)
    length = stage.latent_shape[axis - 1]
    made: Tensor | None = None
    for window in planned:
        of_window = running.windows(window.number)
        if made is None:
            made = running.window(conditions, of_window)
            continue
        before = made.narrow(axis, window.start, window.known)
        places = torch.arange(window.known, device=before.device)
        told = [
            {**condition, CONTEXT: Context.of(row, places, axis - 1, length, noise=extend.noise, key=key)}
            for condition, row, key in zip(conditions, before, of_window, strict=True)
        ]
        new = running.window(told, of_window).narrow(axis, window.known, length - window.known)
        made = torch.cat([made, new], axis)
    assert made is not None, "there is a first window"
    return made.narrow(axis, 0, stage.codec.shape(spec.shape)[axis - 1])


def _positions(stage: Stage, seconds: float | None, length: int, learnt: int, where: str) -> int:
    """Return how many positions of the latent so many seconds of a window are; half of it where they are not said."""
    if seconds is None:
        return max(1, min(length // 2, learnt))
    axis = stage.media.time_axis
    assert axis is not None, "what is longer has time"
    whole = stage.media.shape[1 + axis] / (stage.media.rates[axis] or 1)
    count = max(1, round(seconds / whole * length))
    if count > learnt:
        raise ConfigError(
            f"{where}: extend.context: {seconds:g} s, but this model has learnt to go on from "
            f"{learnt / length * whole:g} s of {whole:g} at most; take less, or leave it out"
        )
    return count
