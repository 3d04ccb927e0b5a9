"""A stage that goes on from what another has made: more positions, a higher rate, or sound from a spectrogram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..diffusion.noise import Draws, Key
from ..errors import ConfigError
from ..media import MediaSpec, box
from .running import Conditions, Result, Running
from .source import SOURCE, Resample, Source
from .stage import Stage
from .tiles import Tiles

__all__ = ["enlarged", "made_from", "source_of", "tiles_of"]

_MARGIN = 16  # positions of a source beside a tile that its resampling may look at
_CORRECTIONS = 4  # more bring nothing that could be measured


@dataclass(frozen=True)
class Taken:
    """What a stage takes as its source.

    Attributes:
        spec: shape and rates of the source of one window.
        factors: how many times as many positions the stage makes of it along each axis.
        units: tiles begin at multiples of these.
        consistent: whether what it makes has to be the source again once it is made smaller.
        whole: whether it takes the source as one, as an embedding, and makes an item of its own shape of it.
    """

    spec: MediaSpec
    factors: tuple[int, ...]
    units: tuple[int, ...]
    consistent: bool
    whole: bool = False


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
    consistent = any(getattr(one, "consistent", False) for one in takers) and math.prod(first.factors) > 1
    units = [
        math.lcm(*each) for each in zip(*(getattr(one, "units", one.factors) for one in placed or takers), strict=True)
    ]
    return Taken(first.source, tuple(first.factors), tuple(units), consistent, whole=not placed)


def made_from(stage: Stage, given: MediaSpec, *, where: str) -> MediaSpec:
    """Return shape and rates of what a stage makes of something.

    Args:
        stage: has a source.
        given: what it is made from; another rate than the stage's own source is resampled first.
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
    source = _at_rates(given, taken.spec.rates)
    sizes = (size * factor for size, factor in zip(source.shape[1:], taken.factors, strict=True))
    return replace(stage.media, shape=(given.shape[0], *sizes))


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
    stage, where = running.stage, running.where
    taken = source_of(stage, where=where)
    assert taken is not None, "the stage has a source"
    whole = made_from(stage, before.spec, where=where)
    tiles = tiles_of(stage, whole)
    source = _Whole(before, taken, tiles.whole, running.resample, where)
    if len(tiles) == 1:
        keys = running.windows(0)
        start = next(iter(tiles))
        latent = running.window(_told(conditions, keys, source, start, tiles, stage), keys)

        def media() -> Tensor:
            made = running.decoded(latent, stage.media.shape)
            return _cut(_corrected(made, source, start, tiles, running.resample), whole.shape[1:])

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
        latent = running.window(_told(conditions, keys, source, start, tiles, stage), keys, noise=noise)
        made = running.decoded(latent, stage.media.shape).cpu()
        made = _corrected(made, source, start, tiles, running.resample)
        place = tuple(slice(begin, begin + size) for begin, size in zip(start, tiles.window, strict=True))
        canvas[box(place)] += made * tiles.weights(start)
    made = _cut(canvas, whole.shape[1:])
    return Result(whole, lambda: made)


def _told(
    conditions: Conditions,
    keys: tuple[Key, ...],
    source: _Whole,
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
        )
        told.append(mine)
    return told


def _normal(key: Key, shape: Sequence[int]) -> Tensor:
    return Draws().normal([key], shape, purpose="augmentation")[0]


class _Whole:
    """The source of whole items, of which tiles are seen at the resolution of what is made from it."""

    def __init__(
        self, before: Result, taken: Taken, whole: tuple[int, ...], resample: Resample | None, where: str
    ) -> None:
        self._before, self.taken, self._resample, self._where = before, taken, resample, where
        self._sizes = tuple(size // factor for size, factor in zip(whole, taken.factors, strict=True))
        self._media: Tensor | None = None
        self.codec = before.codec

    @property
    def media(self) -> Tensor:
        """The source (items, channels, \\*space) at its own resolution, large enough for the tiles."""
        if self._media is None:
            given, media = self._before.spec, self._before.media
            wanted = _at_rates(given, self.taken.spec.rates)
            if wanted != given:
                media = self._resampled(media, given, wanted)
            short = [size - have for size, have in zip(self._sizes, media.shape[2:], strict=True)]
            self._media = _padded(media, short)
        return self._media

    def whole(self, row: int) -> Tensor:
        """Return all that there is of an item, as it is (channels, \\*space)."""
        return self._before.media[row]

    def at(self, row: int, start: Sequence[int], window: Sequence[int]) -> Tensor:
        """Return what there is of an item's tile, resampled to its resolution (channels, \\*window)."""
        return self.seen(start, window)[row]

    def seen(self, start: Sequence[int], window: Sequence[int]) -> Tensor:
        """Return the tiles of all items (items, channels, \\*window)."""
        factors = self.taken.factors
        if math.prod(factors) == 1:
            return self.part(start, window)
        outer, inner = [], []
        for begin, size, factor, have in zip(start, window, factors, self._sizes, strict=True):
            first = max(0, begin // factor - _MARGIN)
            last = min(have, (begin + size) // factor + _MARGIN)
            outer.append(slice(first, last))
            inner.append(slice(begin - first * factor, begin - first * factor + size))
        some = self.media[box(outer)]
        spec = replace(self.taken.spec, shape=tuple(some.shape[1:]))
        return self._resampled(some, spec, _times(spec, factors))[box(inner)]

    def part(self, start: Sequence[int], window: Sequence[int]) -> Tensor:
        """Return what there is of the tiles of all items, as it is (items, channels, \\*window / factors)."""
        along = zip(start, window, self.taken.factors, strict=True)
        return self.media[box(slice(begin // by, (begin + size) // by) for begin, size, by in along)]

    def latent_at(self, row: int, start: Sequence[int], window: Sequence[int]) -> Tensor | None:
        """Return what the stage before made of an item's tile; None where its positions are not the item's."""
        latent, shape = self._before.latent, self._before.spec.shape[1:]
        if latent is not None and latent.ndim == 2:  # an embedding, which is that of the whole
            return latent[row]
        if latent is None or latent.ndim - 2 != len(shape):
            return None
        # A codec may round up: the last position of a latent then stands for less than the others.
        ratio = [-(-size // have) for size, have in zip(shape, latent.shape[2:], strict=True)]
        fits = all(-(-size // by) == have for size, by, have in zip(shape, ratio, latent.shape[2:], strict=True))
        if not fits or any(begin % by or size % by for begin, size, by in zip(start, window, ratio, strict=True)):
            return None
        sizes = (-(-size // by) for size, by in zip(self._sizes, ratio, strict=True))
        short = [size - have for size, have in zip(sizes, latent.shape[2:], strict=True)]
        along = zip(start, window, ratio, strict=True)
        whole = _padded(latent[row : row + 1], short)[0]
        return whole[box(slice(begin // by, (begin + size) // by) for begin, size, by in along)]

    def _resampled(self, media: Tensor, given: MediaSpec, wanted: MediaSpec) -> Tensor:
        if self._resample is None:
            raise ConfigError(f"{self._where}: this modality cannot resample its media; use a stage with factor = 1")
        return self._resample(media.to("cpu", torch.float32), given, wanted).clamp(wanted.low, wanted.high)


def _corrected(made: Tensor, source: _Whole, start: tuple[int, ...], tiles: Tiles, resample: Resample | None) -> Tensor:
    """Return what was made, corrected until it is its source again when it is made smaller."""
    taken = source.taken
    if not taken.consistent or resample is None:
        return made
    low = source.part(start, tiles.window)
    small = replace(taken.spec, shape=tuple(low.shape[1:]))
    large = _times(small, taken.factors)
    made = made.cpu()
    for _ in range(_CORRECTIONS):
        made = made + resample(low - resample(made, large, small), small, large)
    return made.clamp(small.low, small.high)


def _ratio(stage: Stage) -> tuple[int, ...]:
    """Return how many positions of an item one of the latent stands for along each axis; 1 where they differ."""
    window, latent = stage.media.shape[1:], stage.latent_shape[1:]
    if len(window) != len(latent) or any(size % have for size, have in zip(window, latent, strict=True)):
        return (1,) * len(window)
    return tuple(size // have for size, have in zip(window, latent, strict=True))


def _times(spec: MediaSpec, factors: Sequence[int]) -> MediaSpec:
    channels, *space = spec.shape
    sizes = (size * factor for size, factor in zip(space, factors, strict=True))
    rates = tuple(rate and rate * factor for rate, factor in zip(spec.rates, factors, strict=True))
    return replace(spec, shape=(channels, *sizes), rates=rates)


def _at_rates(spec: MediaSpec, rates: tuple[float | None, ...]) -> MediaSpec:
    """Return shape and rates of the same at other rates."""
    channels, *space = spec.shape
    sizes = []
    for size, have, want in zip(space, spec.rates, rates, strict=True):
        sizes.append(size if have == want or not have or not want else max(1, round(size * want / have)))
    return replace(spec, shape=(channels, *sizes), rates=rates)


def _padded(x: Tensor, short: Sequence[int]) -> Tensor:
    """Return x (items, channels, \\*space) with its last position along each axis again as often as it is short."""
    for axis, count in enumerate(short, start=2):
        if count > 0:
            last = x.narrow(axis, x.shape[axis] - 1, 1)
            x = torch.cat([x, last.expand(*x.shape[:axis], count, *x.shape[axis + 1 :])], axis)
    return x


def _cut(x: Tensor, space: Sequence[int]) -> Tensor:
    return x[box(slice(size) for size in space)]
