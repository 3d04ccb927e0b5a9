"""A stage that goes on from what another has made: more positions, a higher rate, or sound from a spectrogram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..contract import check_tensor
from ..diffusion.noise import Draws, Key
from ..errors import ConfigError
from ..media import MediaSpec, box
from .model import told_of
from .running import Conditions, Result, Running
from .source import SOURCE, Source
from .stage import Stage
from .tiles import Tiles
from .whole_source import Taken, WholeSource

__all__ = ["asked_first", "enlarged", "made_from", "source_of", "tiles_of"]


def source_of(stage: Stage, *, where: str = "") -> Taken | None:
    """Return what a stage takes as its source; None for one that makes items from nothing.

    Raises:
        ConfigError: its conditioners want different ones.
    """
    takers: list[Any] = [one for one in stage.model.conditioners if SOURCE in getattr(one, "takes", ())]
    if not takers:
        return None
    placed = [one for one in takers if not getattr(one, "whole", False)]
    first = (placed or takers)[0]
    if any(one.factors != first.factors for one in placed):
        raise ConfigError(
            f"{where}, stage {stage.config.name!r}: its conditioners take sources of different sizes; give one factor"
        )
    units = [
        math.lcm(*each) for each in zip(*(getattr(one, "units", one.factors) for one in placed or takers), strict=True)
    ]
    rank = len(first.factors)
    free = zip(*(getattr(one, "free", (False,) * rank) for one in placed or takers), strict=True)
    return Taken(first.source, tuple(first.factors), tuple(units), whole=not placed, free=tuple(map(all, free)))


def made_from(stage: Stage, given: MediaSpec, *, where: str) -> MediaSpec:
    """Return shape and rates of what a stage makes of something.

    Args:
        stage: has a source.
        given: what it is made from; another rate than the stage's own source is resampled first, unless it is free.
        where: pipeline, for messages.

    Raises:
        ConfigError: it has another number of channels or axes.
    """
    taken = source_of(stage)
    assert taken is not None, "the stage has a source"
    if len(given.shape) != len(taken.spec.shape) or given.shape[0] != taken.spec.shape[0]:
        raise ConfigError(
            f"{where}, stage {stage.config.name!r}: it goes on from items of {taken.spec.shape[0]} channels and "
            f"{len(taken.spec.shape) - 1} axes, got {given.shape}; change the media of the stage before it"
        )
    if taken.whole:
        return stage.media
    made = given.at_rates(taken.rates(given)).times(taken.factors)
    rates = (have if free else own for free, have, own in zip(taken.free, made.rates, stage.media.rates, strict=True))
    return replace(stage.media, shape=made.shape, rates=tuple(rates))


def tiles_of(stage: Stage, whole: MediaSpec) -> Tiles:
    """Return the tiles in which a stage makes an item; one that is smaller than a window is made as large first."""
    taken = source_of(stage)
    assert taken is not None, "the stage has a source"
    window = stage.media.shape[1:]
    sizes = tuple(max(size, least) for size, least in zip(whole.shape[1:], window, strict=True))
    unit = tuple(math.lcm(factor, ratio) for factor, ratio in zip(taken.units, _ratio(stage), strict=True))
    return Tiles(tuple(-(-size // part) * part for size, part in zip(sizes, unit, strict=True)), window, unit)


def enlarged(running: Running, before: Result, conditions: Conditions) -> Result:
    """Return what a stage makes of the result of the one before it, tile by tile where it is larger than a window.

    Args:
        running: the stage.
        before: what it goes on from.
        conditions: of each item.

    Raises:
        ConfigError: it cannot be made from this.

    Source: Ho et al. 2021, arXiv 2106.15282 (cascades).
    """
    stage = running.stage
    whole, tiles, source = _source(running, before)
    if len(tiles) == 1:
        keys = running.windows(0)
        told = _told(conditions, keys, source, next(iter(tiles)), tiles, stage)
        latent = running.window(told, keys)

        def media() -> Tensor:
            return _cut(_corrected(running.decoded(latent, stage.media.shape), stage, told), whole.shape[1:])

        same = whole.shape == stage.media.shape
        return Result(whole, media, *((latent, stage.config.codec) if same else ()))
    channels = stage.media.shape[0]
    canvas = torch.zeros(len(running.keys), channels, *tiles.whole)
    ratio = _ratio(stage)
    places = zip(tiles.window, ratio, stage.latent_shape[1:], strict=False)
    shared = all(size == part * have for size, part, have in places) and len(stage.latent_shape) == 1 + len(ratio)
    for number, start in enumerate(tiles):
        keys = running.windows(number)
        noise = tiles.noise(running.keys, stage.latent_shape[0], start, ratio) if shared else None
        told = _told(conditions, keys, source, start, tiles, stage)
        latent = running.window(told, keys, noise=noise)
        made = _corrected(running.decoded(latent, stage.media.shape), stage, told).cpu()
        place = tuple(slice(begin, begin + size) for begin, size in zip(start, tiles.window, strict=True))
        canvas[box(place)] += made * tiles.weights(start)
    made = _cut(canvas, whole.shape[1:])
    return Result(whole, lambda: made)


def asked_first(running: Running, before: Result, conditions: Conditions) -> Conditions:
    """Return the conditions of the first tile that :func:`enlarged` would make, with what it is made from."""
    _, tiles, source = _source(running, before)
    return _told(conditions, running.windows(0), source, next(iter(tiles)), tiles, running.stage)


def _source(running: Running, before: Result) -> tuple[MediaSpec, Tiles, WholeSource]:
    """Return what a stage makes of a result, in which tiles, and what these see of it."""
    stage, where = running.stage, running.where
    taken = source_of(stage, where=where)
    assert taken is not None, "the stage has a source"
    whole = made_from(stage, before.spec, where=where)
    tiles = tiles_of(stage, whole)
    return whole, tiles, WholeSource(before, taken, tiles.whole, running.resample, where)


def _told(
    conditions: Conditions,
    keys: tuple[Key, ...],
    source: WholeSource,
    start: tuple[int, ...],
    tiles: Tiles,
    stage: Stage,
) -> Conditions:
    """Return the conditions of a tile, with what it is made from; of the wishes those that the stage understands."""
    known = {name for one in stage.model.conditioners for name in getattr(one, "names", ())}
    takes = {key for one in stage.model.conditioners for key in getattr(one, "takes", ())}
    told = []
    for row, (condition, key) in enumerate(zip(conditions, keys, strict=True)):
        mine: dict[str, object] = {}
        for name, value in condition.items():
            plain = name.removeprefix("negative_")
            if plain == "labels":
                mine[name] = tuple(label for label in value if label in known)  # type: ignore[attr-defined]
            elif plain in takes:
                mine[name] = value
        mine[SOURCE] = Source(
            partial(source.at, row, start, tiles.window),
            partial(_normal, key),
            source.latent_at(row, start, tiles.window),
            source.codec,
            partial(source.whole, row),
            partial(source.part_at, row, start, tiles.window),
            source.resample,
        )
        told.append(mine)
    return told


def _normal(key: Key, shape: Sequence[int]) -> Tensor:
    return Draws().normal([key], shape, purpose="augmentation")[0]


def _corrected(made: Tensor, stage: Stage, told: Conditions) -> Tensor:
    """Return what was made of a tile (items, channels, \\*window) as the conditioners correct it by its source."""
    for one in stage.model.conditioners:
        if SOURCE in getattr(one, "takes", ()) and hasattr(one, "corrected"):
            of = f"{told_of(one)}: corrected"
            pairs = zip(made.cpu(), told, strict=True)
            rows = [check_tensor(one.corrected(row, item[SOURCE]), tuple(row.shape), of=of) for row, item in pairs]
            made = torch.stack(rows)
    return made


def _ratio(stage: Stage) -> tuple[int, ...]:
    """Return how many positions of an item one of the latent stands for along each axis; 1 where they differ."""
    window, latent = stage.media.shape[1:], stage.latent_shape[1:]
    if len(window) != len(latent) or any(size % have for size, have in zip(window, latent, strict=True)):
        return (1,) * len(window)
    return tuple(size // have for size, have in zip(window, latent, strict=True))


def _cut(x: Tensor, space: Sequence[int]) -> Tensor:
    return x[box(slice(size) for size in space)]
