"""What a user asks of a verb: refused where it is wrong by itself, then bound to a pipeline and an item.

The command line and Python make the same requests, so that both refuse the same things in the same order: what can be
seen without a model, what the model does not have, what the item is not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ..diffusion.noise import Key
from ..diffusion.sampling import Observer
from ..errors import ConfigError
from ..media import MediaSpec
from ..pipeline.made import Made
from ..pipeline.modality import Media
from ..pipeline.pipeline import Pipeline
from ..pipeline.running import Conditions
from .asked import conditions_of
from .given import given, to_edit
from .loader import Loader
from .pipeline_edit import edit, mix, planned_edit
from .pipeline_upscale import planned_upscale, refuse_wishes, upscale
from .regions import is_text_of_region

__all__ = ["EditRequest", "GenerateRequest", "Job", "UpscaleRequest", "wishes_of"]

Named = str | os.PathLike[str] | Pipeline | None
"""A pipeline by its name, by its path, as itself, or the default."""


def wishes_of(
    asked: Mapping[str, Any], *, seed: int, count: int = 1, first: int = 0, batch_size: int = 1
) -> Conditions:
    """Return the conditions of items that are all asked for alike, see :func:`~.asked.conditions_of`.

    Raises:
        ConfigError: the seed is out of bounds, or something else is wrong.
    """
    Key(seed)
    return conditions_of(**asked, count=count, first=first, batch_size=batch_size)


@dataclass(frozen=True)
class Job:
    """Work that a pipeline is to do.

    Attributes:
        pipeline: does it.
        make: has it done: who watches the steps -> items.
        count: how many items.
        spec: of what is made.
        steps: how many steps it takes in all.
        kept: puts to an item what it keeps of the one that it was made from.
    """

    pipeline: Pipeline
    make: Callable[[Sequence[Observer]], Iterator[Made]]
    count: int
    spec: MediaSpec
    steps: int
    kept: Callable[[Any], Media] = lambda made: made

    def items(self, observers: Sequence[Observer] = ()) -> list[Media]:
        """Return the items, when all of them are there."""
        return [self.kept(one.media) for one in self.make(observers)]


@dataclass(frozen=True, kw_only=True)
class GenerateRequest:
    """Items out of noise; see :meth:`~.verbs.Verbs.generate`.

    Attributes:
        wishes: what each is.
        seed: of all of them.
        first: number of the first.
        batch_size: items a call of the network.
        sampled: what ``Loader.load`` takes beside the pipeline.
    """

    wishes: Conditions
    seed: int
    first: int = 0
    batch_size: int = 1
    sampled: Mapping[str, Any] = field(default_factory=dict)

    def job(self, loader: Loader, pipeline: Named) -> Job:
        """Return what is to be done, with the pipeline loaded.

        Raises: what ``Loader.loaded`` raises.
        """
        loaded = loader.loaded(pipeline, **self.sampled)

        def make(observers: Sequence[Observer]) -> Iterator[Made]:
            return loaded.make(
                self.wishes, seed=self.seed, first=self.first, batch_size=self.batch_size, observers=observers
            )

        count = len(self.wishes)
        return Job(loaded, make, count, loaded.spec, loaded.steps * count)


@dataclass(frozen=True, kw_only=True)
class EditRequest:
    """Items out of one that is there; see :meth:`~.verbs.Verbs.edit`.

    Attributes:
        wishes: what each is.
        seed: of all of them.
        first: number of the first.
        sampled: what ``Loader.load`` takes beside the pipeline.

    Raises:
        ConfigError: something is out of bounds, or does not go together.
    """

    wishes: Conditions
    seed: int
    first: int = 0
    mask: Any = None
    extend: Any = None
    strength: float | None = None
    between: Any = None
    at: float | Sequence[float] | None = None
    resample: int = 1
    sampled: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        others = [name for name in ("mask", "extend", "strength") if getattr(self, name) is not None]
        if self.between is not None and others:
            raise ConfigError(f"edit: between and {others[0]} exclude each other; leave one of them out")
        if self.between is None and self.at is not None:
            raise ConfigError("edit: at says where between two items; give the second one as between")
        if self.between is None and not others:
            raise ConfigError(
                "edit: say what changes: a mask (made anew), extend (goes on), strength (a variation of the whole), or "
                "between (something between two items)"
            )
        wrong = isinstance(self.strength, bool) or not isinstance(self.strength, int | float | None)
        if wrong or (self.strength is not None and not 0 < self.strength <= 1):
            raise ConfigError(f"strength: expected a number above 0, up to 1, got {self.strength!r:.80}")
        times = self.resample
        if isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= 100:
            raise ConfigError(f"resample: expected a whole number from 1 to 100, got {times!r:.80}")
        if self.between is not None:
            self._refuse_unheard()
            _ = self.places

    def _refuse_unheard(self) -> None:
        """Refuse what the way between two items makes no use of."""
        unheard = {
            "resample": self.resample != 1,
            "guidance": self.sampled.get("guidance") is not None,
            "sampler": self.sampled.get("sampler") is not None,
            "negative_label": "negative_labels" in self.wishes[0],
            "negative_prompt": "negative_text" in self.wishes[0],
        }
        said = [name for name, is_said in unheard.items() if is_said]
        if said:
            raise ConfigError(
                f"edit: between goes by Euler's steps, back and forth, without guidance, and takes no {said[0]}; "
                "leave it out"
            )

    @property
    def places(self) -> list[float]:
        """Where between two items something is made."""
        count = len(self.wishes)
        if self.at is None:
            return [(number + 1) / (count + 1) for number in range(count)]
        places: list[Any] = list(self.at) if isinstance(self.at, list | tuple) else [self.at]
        if not places or not all(isinstance(one, int | float) and 0 <= one <= 1 for one in places):
            raise ConfigError(f"at: expected numbers from 0 to 1, got {', '.join(map(repr, places)):.80}")
        if count not in (1, len(places)):
            raise ConfigError(f"at: {len(places)} places for {count} items; leave one of the two out")
        return [float(one) for one in places]

    @property
    def count(self) -> int:
        """How many items are made."""
        return len(self.wishes if self.between is None else self.places)

    def job(self, loader: Loader, pipeline: Named, item: Any) -> Job:
        """Return what is to be done with an item, a medium or the path of a file, with the pipeline loaded.

        Raises:
            ConfigError: the request does not fit the item or the pipeline.
            MediaError: a file cannot be read.
        """
        loaded = loader.loaded(pipeline, **self.sampled)
        if not loaded.starts_from_nothing:
            raise ConfigError(
                f"pipeline {loaded.name!r}: its first stage makes larger what is there, and cannot edit; name a "
                "pipeline that generates"
            )
        return self._editing(loaded, item) if self.between is None else self._mixing(loaded, item)

    def _editing(self, pipeline: Pipeline, item: Any) -> Job:
        found, change, stays = to_edit(
            pipeline.modality,
            item,
            pipeline.stages[0].media,
            mask=self.mask,
            extend=self.extend,
            strength=self.strength,
            resample=self.resample,
        )
        _, planned = planned_edit(pipeline, found.spec, change)
        wished = self._told(pipeline.modality)

        def make(observers: Sequence[Observer]) -> Iterator[Made]:
            return edit(
                pipeline,
                found.tensor,
                found.spec,
                change,
                self.wishes,
                seed=self.seed,
                first=self.first,
                wished=wished,
                observers=observers,
            )

        steps = sum(pipeline.stages[one.number].config.steps * one.windows for one in planned) * self.count
        kept = _keeping(pipeline.modality, found.item if stays else None)
        return Job(pipeline, make, self.count, planned[-1].spec, steps, kept)

    def _told(self, modality: object) -> dict[str, object]:
        """Return what a record says of the change: no names of files, which are this machine's own."""
        masks = self.mask if isinstance(self.mask, list | tuple) else [self.mask] if self.mask is not None else []
        told = [one if is_text_of_region(one, modality) else "a file or an array" for one in masks]
        extend = self.extend if isinstance(self.extend, str | int | float | None) else dict(self.extend)
        return {"mask": told or None, "extend": extend, "strength": self.strength, "resample": self.resample}

    def _mixing(self, pipeline: Pipeline, item: Any) -> Job:
        window, places = pipeline.stages[0].media, self.places
        pair = []
        for one in (item, self.between):
            found = given(pipeline.modality, one, window, fit=True, doing="edit")
            if any(size > most for size, most in zip(found.spec.shape, window.shape, strict=True)):
                raise ConfigError(
                    f"edit: between: an item of {found.spec.shape}, longer than the {window.shape} that the model "
                    "sees at once; cut it first"
                )
            canvas = torch.zeros(window.shape)
            canvas[tuple(slice(size) for size in found.spec.shape)] = found.tensor
            pair.append(canvas)
        items = torch.stack(pair)

        def make(observers: Sequence[Observer]) -> Iterator[Made]:
            return mix(pipeline, items, places, self.wishes[0], seed=self.seed, first=self.first, observers=observers)

        return Job(pipeline, make, len(places), pipeline.spec, pipeline.steps * len(places))


@dataclass(frozen=True, kw_only=True)
class UpscaleRequest:
    """An item made larger; see :meth:`~.verbs.Verbs.upscale`.

    Attributes:
        wishes: what it is (one).
        seed: of what is new.
        factor: how many times as large.
        sampled: what ``Loader.load`` takes beside the pipeline.

    Raises:
        ConfigError: the factor is none.
    """

    wishes: Conditions
    seed: int
    factor: int | None = None
    sampled: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.factor is not None and (type(self.factor) is not int or self.factor < 2):
            raise ConfigError(f"upscale: factor: expected a whole number from 2, got {self.factor!r:.80}")

    def job(self, loader: Loader, pipeline: Named, item: Any) -> Job:
        """Return what is to be done with an item, a medium or the path of a file, with the pipeline loaded.

        Raises:
            ConfigError: the pipeline makes nothing larger, or not so much, or takes no such wish.
            MediaError: the item cannot be read.
        """
        loaded = loader.loaded(pipeline, upscale=True, **self.sampled)
        (wish,) = self.wishes
        refuse_wishes(loaded, wish)
        found = given(loaded.modality, item, loaded.takes, fit=False, doing="upscale")
        planned = planned_upscale(loaded, found.spec, self.factor)

        def make(observers: Sequence[Observer]) -> Iterator[Made]:
            yield upscale(
                loaded, found.tensor, found.spec, wish, seed=self.seed, factor=self.factor, observers=observers
            )

        steps = sum(loaded.stages[one.number].config.steps * one.windows for one in planned)
        return Job(loaded, make, 1, planned[-1].spec, steps, _keeping(loaded.modality, found.item))


def _keeping(modality: Any, item: Media | None) -> Callable[[Any], Media]:
    """Return what puts to an item what it keeps of the one that it was made from."""
    kept = getattr(modality, "kept", None)
    if kept is None or item is None:
        return lambda made: made
    return lambda made: kept(made, item)
