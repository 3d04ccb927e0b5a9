"""The verbs that start from media: what a user wants changed, checked, and bound to a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..diffusion.sampling import Observer
from ..errors import ConfigError
from ..media import MediaSpec
from ..pipeline.made import Made
from ..pipeline.modality import Media
from ..pipeline.pipeline import Pipeline
from ..pipeline.running import Conditions
from .edits import edit as edit_items
from .edits import editing, mix
from .enlarging import enlarge, enlarging
from .given import given, to_edit
from .regions import is_text_of_region

__all__ = ["Change", "Job", "enlargement"]

Make = Callable[[int, int, Sequence[Observer]], Iterator[Made]]


@dataclass(frozen=True)
class Job:
    """Work that a pipeline is to do on an item.

    Attributes:
        make: does it: ``(seed, first, observers)`` -> items.
        count: how many items.
        spec: of what is made.
        steps: how many steps it takes in all.
        kept: puts to an item what it keeps of the one that it was made from.
    """

    make: Make
    count: int
    spec: MediaSpec
    steps: int
    kept: Callable[[Any], Media]


@dataclass(frozen=True)
class Change:
    """What becomes of an item; see :meth:`~.verbs.Verbs.edit`."""

    mask: Any = None
    extend: Any = None
    strength: float | None = None
    between: Any = None
    at: float | Sequence[float] | None = None
    resample: int = 1

    def check(self) -> None:
        """Refuse what does not go together, before anything is loaded.

        Raises:
            ConfigError: it does not.
        """
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

    def job(self, pipeline: Pipeline, item: Any, wishes: Conditions) -> Job:
        """Return what a pipeline does to make this change, once for each wish.

        Raises:
            ConfigError: the change does not fit the item or the pipeline.
            MediaError: a file cannot be read.
        """
        if self.between is not None:
            return self._mixing(pipeline, item, wishes)
        modality, window = pipeline.modality, pipeline.stages[0].media
        if not pipeline.starts_from_nothing:
            raise ConfigError(
                f"pipeline {pipeline.name!r}: its first stage makes larger what is there, and cannot edit; name a "
                "pipeline that generates"
            )
        found, edit, stays = to_edit(
            modality,
            item,
            window,
            mask=self.mask,
            extend=self.extend,
            strength=self.strength,
            resample=self.resample,
        )
        _, planned = editing(pipeline, found.spec, edit)
        wished = self._told()
        steps = sum(pipeline.stages[one.number].config.steps * one.windows for one in planned)

        def make(seed: int, first: int, observers: Sequence[Observer]) -> Iterator[Made]:
            return edit_items(
                pipeline,
                found.tensor,
                found.spec,
                edit,
                wishes,
                seed=seed,
                first=first,
                wished=wished,
                observers=observers,
            )

        return Job(
            make, len(wishes), planned[-1].spec, steps * len(wishes), _keeping(modality, found.item if stays else None)
        )

    def _told(self) -> dict[str, object]:
        """Return what a record says of the change: no names of files, which are this machine's own."""
        given = self.mask if isinstance(self.mask, list | tuple) else [self.mask] if self.mask is not None else []
        masks = [one if is_text_of_region(one) else "a file or an array" for one in given]
        extend = self.extend if isinstance(self.extend, str | int | float | None) else dict(self.extend)
        return {"mask": masks or None, "extend": extend, "strength": self.strength, "resample": self.resample}

    def _mixing(self, pipeline: Pipeline, item: Any, wishes: Conditions) -> Job:
        modality, window = pipeline.modality, pipeline.stages[0].media
        places = _places(self.at, len(wishes))
        pair = []
        for one in (item, self.between):
            found = given(modality, one, window, fit=True, doing="edit")
            if any(size > most for size, most in zip(found.spec.shape, window.shape, strict=True)):
                raise ConfigError(
                    f"edit: between: an item of {found.spec.shape}, longer than the {window.shape} that the model "
                    "sees at once; cut it first"
                )
            canvas = torch.zeros(window.shape)
            canvas[tuple(slice(size) for size in found.spec.shape)] = found.tensor
            pair.append(canvas)
        items = torch.stack(pair)

        def make(seed: int, first: int, observers: Sequence[Observer]) -> Iterator[Made]:
            return mix(pipeline, items, places, wishes[0], seed=seed, first=first, observers=observers)

        return Job(make, len(places), pipeline.spec, pipeline.steps * len(places), _keeping(modality, None))


def enlargement(pipeline: Pipeline, item: Any, wish: Mapping[str, object], factor: int | None) -> Job:
    """Return what a pipeline does to make an item larger.

    Raises:
        ConfigError: it makes nothing larger, or not so much.
        MediaError: the item cannot be read.
    """
    if factor is not None and (isinstance(factor, bool) or not isinstance(factor, int) or factor < 2):
        raise ConfigError(f"upscale: factor: expected a whole number from 2, got {factor!r:.80}")
    found = given(pipeline.modality, item, pipeline.takes, fit=False, doing="upscale")
    planned = enlarging(pipeline, found.spec, factor)
    steps = sum(pipeline.stages[one.number].config.steps * one.windows for one in planned)

    def make(seed: int, first: int, observers: Sequence[Observer]) -> Iterator[Made]:
        yield enlarge(pipeline, found.tensor, found.spec, wish, seed=seed, factor=factor, observers=observers)

    return Job(make, 1, planned[-1].spec, steps, _keeping(pipeline.modality, found.item))


def _places(at: float | Sequence[float] | None, count: int) -> list[float]:
    """Return where between two items something is made."""
    if at is None:
        return [(number + 1) / (count + 1) for number in range(count)]
    places: list[Any] = list(at) if isinstance(at, list | tuple) else [at]
    if not places or not all(isinstance(one, int | float) and 0 <= one <= 1 for one in places):
        raise ConfigError(f"at: expected numbers from 0 to 1, got {at!r:.80}")
    if count not in (1, len(places)):
        raise ConfigError(f"at: {len(places)} places for {count} items; leave one of the two out")
    return [float(one) for one in places]


def _keeping(modality: Any, item: Media | None) -> Callable[[Any], Media]:
    """Return what puts to an item what it keeps of the one that it was made from."""
    kept = getattr(modality, "kept", None)
    if kept is None or item is None:
        return lambda made: made
    return lambda made: kept(made, item)
