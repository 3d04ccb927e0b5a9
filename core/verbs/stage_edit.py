"""Items edited by one stage: made anew where a mask says so, or as a whole from a noisy form of themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from ..diffusion.held import Held
from ..diffusion.noise import Draws
from ..diffusion.resampling import Resampling
from ..errors import ConfigError
from ..media import MediaSpec, box
from ..pipeline.context import CONTEXT, Context
from ..pipeline.running import Conditions, Running
from ..pipeline.stage import Stage
from ..registration.config import ExtendConfig

__all__ = ["Edit", "blended", "edited", "windows_of"]

_FADE = 2  # positions of the latent over which a seam dies away


@dataclass(frozen=True)
class Edit:
    """How an item is changed.

    Attributes:
        mask: True where it is made anew (\\*space).
        strength: the time of the process at which sampling begins, from the item itself under the noise of that time: 1
            keeps nothing of what was there, less keeps more.
        times: how often each step is made, see :class:`~...diffusion.resampling.Resampling`.
    """

    mask: Tensor
    strength: float = 1.0
    times: int = 1


def windows_of(stage: Stage, edit: Edit, extend: ExtendConfig, spec: MediaSpec, *, where: str) -> int:
    """Return how many windows a stage makes of an item that is edited."""
    shape = _latent_shape(stage, spec, where)
    unknown = _of_latent(edit.mask, stage, shape, where)
    return sum(1 for _ in _windows(stage, unknown, extend))


def edited(
    running: Running, media: Tensor, spec: MediaSpec, edit: Edit, extend: ExtendConfig, conditions: Conditions
) -> Tensor:
    """Return latents (items, channels, \\*space) of edited forms of an item, one for each condition.

    What is not made anew is held at every step. An item larger than a window is changed window by window, those first
    of which most is known; what the item lacks of a window is silence or black, and is there.

    Args:
        running: the stage.
        media: the item (channels, \\*space).
        spec: of it.
        edit: how it is changed.
        extend: how much of a window the next one sees, and how a model with the conditioner ``mask`` is told.
        conditions: of each edited form.

    Raises:
        ConfigError: it cannot be told which positions of the codec's latents belong to the mask.

    Source: Meng et al. 2021, arXiv 2108.01073 (noise on the item itself); Lugmayr et al. 2022, arXiv 2201.09865 (what
    is known is held).
    """
    stage, where = running.stage, running.where
    whole = _padded(media, spec, stage.media)
    shape = _latent_shape(stage, spec, where)
    latent = running.encoded(whole[None], replace(spec, shape=tuple(whole.shape))).cpu()
    unknown = _of_latent(edit.mask, stage, shape, where)
    made = latent.repeat(len(conditions), *(1,) * (latent.ndim - 1))
    sampler = Resampling(stage.sampler, edit.times) if edit.times > 1 else stage.sampler
    for number, (place, known) in enumerate(_windows(stage, unknown, extend)):
        keys = running.windows(number)
        here = made[box(place)]
        told, around = list(conditions), None
        if bool(known.any()) and _told_of(stage, known):
            told = [
                {**condition, CONTEXT: _context(row, known, key, extend.noise)}
                for condition, row, key in zip(conditions, here, keys, strict=True)
            ]
        elif bool(known.any()):
            held = (here.to(running.device), known.to(running.device))
            around = lambda denoise, held=held: Held(denoise, *held)  # noqa: E731
        signal = here if edit.strength < 1 else None
        new = running.window(told, keys, start=edit.strength, signal=signal, around=around, sampler=sampler).cpu()
        made[box(place)] = torch.where(known, here, new)
    return made


def blended(made: Tensor, media: Tensor, mask: Tensor, stage: Stage, *, exact: bool) -> Tensor:
    """Return items (items, channels, \\*space) that are the given one outside of the mask, and what was made inside.

    Where the codec does not give back what it is given, what was made differs a little from the item at the edge of the
    mask; the difference is carried into the mask and dies away there, so that no seam is left.

    Args:
        made: what the stage has made.
        media: the item that was given (channels, \\*space).
        mask: True where it is made anew (\\*space).
        stage: whose codec it is.
        exact: whether the codec gives back what it is given.
    """
    made = made[box(slice(size) for size in mask.shape)]
    if not exact:
        made = made + _carried(media - made, mask, _reach(stage))
    low, high = stage.media.low, stage.media.high
    return torch.where(mask, made.clamp(low, high), media)


def _carried(difference: Tensor, mask: Tensor, reach: Sequence[int]) -> Tensor:
    """Return differences outside of a mask carried into it from its edge, dying away over ``reach`` positions.

    Args:
        difference: (items, channels, \\*space).
        mask: True inside (\\*space).
        reach: positions along each axis.
    """
    carried = torch.zeros_like(difference)
    total = torch.zeros(mask.shape)
    for axis, far in enumerate(reach):
        size = mask.shape[axis]
        place = torch.arange(size).reshape([size if other == axis else 1 for other in range(mask.ndim)])
        place = place.expand(mask.shape)
        before = torch.cummax(torch.where(mask, -1, place), axis).values
        after = torch.cummin(torch.where(mask, size, place).flip(axis), axis).values.flip(axis)
        for source, away in ((before, place - before), (after, after - place)):
            there = mask & (source >= 0) & (source < size) & (away <= far)
            share = torch.where(there, (1 - away / (far + 1)).clamp(0, 1), 0.0)
            index = source.clamp(0, size - 1).expand(difference.shape)
            carried += share * share * difference.gather(2 + axis, index)
            total += share
    return carried / total.clamp(min=1e-6)


def _reach(stage: Stage) -> list[int]:
    """Return over how many positions of an item along each axis a seam of its codec dies away: two of the latent."""
    window, latent = stage.media.shape[1:], stage.latent_shape[1:]
    have = latent if len(latent) == len(window) else latent[-len(window) :]
    return [max(1, _FADE * size // count) for size, count in zip(window, have, strict=True)]


def _windows(stage: Stage, unknown: Tensor, extend: ExtendConfig) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
    """Give the windows that cover what is unknown, and what is known in each when its turn comes (\\*window)."""
    window = stage.latent_shape[1:]
    left = unknown.clone()
    starts = []
    for axis, (size, have) in enumerate(zip(window, unknown.shape, strict=True)):
        others = [other for other in range(unknown.ndim) if other != axis]
        line = unknown.any(others) if others else unknown
        touched = line.nonzero().flatten()
        if not len(touched):
            return
        context = _context_length(stage, extend, axis, size)
        first, last = int(touched[0]), int(touched[-1]) + 1
        begin = max(0, min(first - context, have - size))
        regular = list(range(begin, max(begin + 1, last - context), size - context))
        starts.append(sorted({min(one, have - size) for one in regular}))
    places = [tuple(slice(a, a + size) for a, size in zip(start, window, strict=True)) for start in product(*starts)]
    while places:
        # Those go first of which most is known: there the rest is most certain.
        place = min(places, key=lambda one: int(left[one].sum()))
        places.remove(place)
        if bool(left[place].any()):
            known = ~left[place]
            left[place] = False
            yield place, known


def _context_length(stage: Stage, extend: ExtendConfig, axis: int, size: int) -> int:
    """Return how many positions along an axis a window shares with the one before it."""
    time, rates = stage.media.time_axis, stage.media.rates
    if extend.context is not None and time is not None and len(stage.latent_shape) - 2 - axis == len(rates) - 1 - time:
        whole = stage.media.shape[1 + time] / (rates[time] or 1)
        return max(1, min(size - 1, round(extend.context / whole * size)))
    return max(1, size // 2)


def _told_of(stage: Stage, known: Tensor) -> bool:
    """Return whether the model has learnt to be told of such a known part."""
    takers = [one for one in stage.model.conditioners if CONTEXT in getattr(one, "takes", ())]
    return bool(takers) and all(one.learnt(known) for one in takers if hasattr(one, "learnt"))


def _context(latent: Tensor, known: Tensor, key: object, noise: float) -> Context:
    (eps,) = Draws().normal([key], tuple(latent.shape), purpose="context", dtype=latent.dtype)  # type: ignore[list-item]
    return Context(latent, known.to(latent), eps, noise)


def _latent_shape(stage: Stage, spec: MediaSpec, where: str) -> tuple[int, ...]:
    """Return the shape of the latent of a whole item, and refuse one whose windows are no windows of it."""
    sizes = (max(size, least) for size, least in zip(spec.shape[1:], stage.media.shape[1:], strict=True))
    shape = tuple(stage.codec.shape((spec.shape[0], *sizes)))
    window = stage.latent_shape
    if len(window) == 1:
        raise ConfigError(
            f"{where}: edit: codec {stage.config.codec.use!r} gives one embedding for an item, of which no part can be "
            "held; use another pipeline"
        )
    if len(shape) != len(window) or shape[0] != window[0] or any(a < b for a, b in zip(shape, window, strict=True)):
        raise ConfigError(
            f"{where}: edit: codec {stage.config.codec.use!r} gives latents of shape {window}, and {shape} for the "
            "whole item, of which they are no part; use another pipeline"
        )
    return shape


def _of_latent(mask: Tensor, stage: Stage, shape: tuple[int, ...], where: str) -> Tensor:
    """Return which positions of a latent are made anew where those of the mask are: all that any of these reach.

    A codec whose latent has more axes than the item, as a spectrogram has bins, has time as its last one.
    """
    space = shape[1:]
    sizes = [max(size, least) for size, least in zip(mask.shape, stage.media.shape[1:], strict=True)]
    whole = torch.zeros(sizes)
    whole[tuple(slice(size) for size in mask.shape)] = mask.to(torch.float32)
    if len(space) == mask.ndim:
        pooled = _pooled(whole, space)
    elif mask.ndim == 1:
        pooled = _pooled(whole, space[-1:]).expand(space)
    else:
        raise ConfigError(
            f"{where}: edit: codec {stage.config.codec.use!r} gives latents of shape {shape} for items of {mask.ndim} "
            "axes; which part of one is which of the other is not known, use another pipeline"
        )
    if pooled.shape == whole.shape:  # each position is its own
        return pooled > 0
    for axis in range(pooled.ndim):  # what lies beside is seen by the same windows and kernels
        wide = pooled.clone()
        size = pooled.shape[axis]
        if size > 1:
            wide.narrow(axis, 1, size - 1).copy_(
                torch.maximum(wide.narrow(axis, 1, size - 1), pooled.narrow(axis, 0, size - 1))
            )
            lower = wide.narrow(axis, 0, size - 1)
            lower.copy_(torch.maximum(lower, pooled.narrow(axis, 1, size - 1)))
        pooled = wide
    return pooled > 0


def _pooled(x: Tensor, space: Sequence[int]) -> Tensor:
    """Return the largest value (\\*space) of what each position stands for."""
    for axis, size in enumerate(space):
        line = x.movedim(axis, -1)
        pooled = functional.adaptive_max_pool1d(line.reshape(1, -1, line.shape[-1]), size)
        x = pooled.reshape(*line.shape[:-1], size).movedim(-1, axis)
    return x


def _padded(media: Tensor, spec: MediaSpec, window: MediaSpec) -> Tensor:
    """Return an item at least as large as a window, with silence or black where it is smaller."""
    sizes = [max(size, least) for size, least in zip(spec.shape[1:], window.shape[1:], strict=True)]
    if tuple(sizes) == tuple(spec.shape[1:]):
        return media
    canvas = torch.full((spec.shape[0], *sizes), 0.0)
    canvas[box(slice(size) for size in spec.shape[1:])] = media
    return canvas
