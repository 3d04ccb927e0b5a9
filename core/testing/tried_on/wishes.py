"""What conditioners are tried on: wishes of some items, sources and contexts, and items of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ...media import MediaSpec
from ...pipeline.context import CONTEXT, Context
from ...pipeline.source import SOURCE, Items, Source
from ..finding import holds
from .media_samples import drawn_media
from .numbers import normal

__all__ = ["ROWS", "drawn_items", "drawn_wishes", "resampled"]

ROWS = 3
TEXTS = ("a red hat", "two blue birds", "an old map of the sea")


def resampled(media: Tensor, have: MediaSpec, want: MediaSpec) -> Tensor:
    """Bring media (batch, channels, \\*space) to another shape, by the means of areas."""
    return functional.interpolate(media, want.shape[1:], mode="area")


def drawn_wishes(conditioner: Any, spec: MediaSpec, latent_shape: Sequence[int]) -> list[dict[str, object]]:
    """Return the conditions of some items, each with something of all that a conditioner understands."""
    names, takes = tuple(getattr(conditioner, "names", ())), tuple(getattr(conditioner, "takes", ()))
    for key in takes:
        known = ("labels", "text", SOURCE, CONTEXT)
        holds(key in known, f"takes names {key!r}, of which the suite knows no example; give some in `examples`")
    found: list[dict[str, object]] = []
    for row in range(ROWS):
        one: dict[str, object] = {}
        if names:
            one["labels"] = (names[row % len(names)],)
        if "text" in takes:
            one["text"] = TEXTS[row]
        if SOURCE in takes:
            one[SOURCE] = _source(spec, getattr(conditioner, "source", spec), row)
        if CONTEXT in takes:
            one[CONTEXT] = _context(latent_shape, getattr(conditioner, "axis", 0), row)
        found.append(one)
    return found


def drawn_items(spec: MediaSpec, x0: Tensor, rows: slice = slice(ROWS)) -> Items:
    """Return items of a training, or some of them: the same ones in every run.

    Args:
        spec: of the media.
        x0: latents of the media that :func:`drawn_media` gives.
        rows: which of the items.
    """
    u = (torch.arange(4 * ROWS).reshape(ROWS, 4) * 0.37 + 0.1) % 1.0
    media = drawn_media(spec, ROWS)[rows]

    def noise(shape: tuple[int, ...]) -> Tensor:
        return normal(ROWS, *shape, purpose="shown").float()[rows]

    return Items(x0[rows], media, u[rows], noise, spec, resampled)


def _source(spec: MediaSpec, own: MediaSpec, row: int) -> Source:
    """Return what an item is made from."""
    media = drawn_media(spec, ROWS, purpose="source")[row]
    part = resampled(media[None], spec, own)[0]
    return Source(
        lambda: media.clone(),
        lambda shape: normal(ROWS, *shape, purpose="source noise").float()[row],
        whole=lambda: part.clone(),
        part=lambda: part.clone(),
        resample=resampled,
    )


def _context(latent_shape: Sequence[int], axis: int, row: int) -> Context:
    """Return what is known of an item: its beginning along an axis."""
    known = torch.zeros(*latent_shape[1:])
    known.narrow(axis, 0, 1 + row % max(1, known.shape[axis] // 2)).fill_(1)
    latent, eps = (normal(ROWS, *latent_shape, purpose=purpose).float()[row] for purpose in ("known", "known noise"))
    return Context(latent, known, eps, 0.1 * row)


def same_wishes(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Return whether two items wish for the same; what is no plain value is taken for another one."""
    plain = (str, int, float, bool, tuple, type(None))
    return one.keys() == other.keys() and all(
        isinstance(value, plain) and value == other[key] for key, value in one.items()
    )
