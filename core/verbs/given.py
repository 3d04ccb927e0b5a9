"""What a user gives to be edited or made larger: read, brought to the model, and with the mask that belongs to it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError
from ..media import MediaSpec
from ..pipeline.modality import Media
from .regions import grown, margins_of, mask_of
from .stage_edit import Edit

__all__ = ["Given", "given", "to_edit"]


@dataclass(frozen=True)
class Given:
    """An item that a user gives.

    Attributes:
        item: the medium itself.
        tensor: what a model is given of it (channels, \\*space).
        spec: what that is.
    """

    item: Media
    tensor: Tensor
    spec: MediaSpec


def given(modality: Any, item: object, spec: MediaSpec, *, fit: bool, doing: str) -> Given:
    """Return an item, or what is in its file, as a model takes it.

    Args:
        modality: what it is.
        item: a medium, or the path of a file.
        spec: what the model sees.
        fit: bring it to the model's size and rates.
        doing: the verb, for messages.

    A warning says so where its channels become others.

    Raises:
        ConfigError: it is no such item, or the modality reads none.
        MediaError: the file cannot be read, or the item is damaged.
    """
    if not hasattr(modality, "take") or not hasattr(modality, "read"):
        raise ConfigError(f"{doing}: {modality.name} items cannot be read; their modality has no read and no take")
    read: Any = modality.read(item) if isinstance(item, str | os.PathLike) else item
    tensor, found = modality.take(read, spec, fit=fit)
    had, has = getattr(read, "channels", None), found.shape[0]
    if had not in (None, has):
        warnings.warn(
            f"{doing}: the item is brought from {_counted(had)} to {has}, as the model makes them", stacklevel=3
        )
    return Given(read, tensor, found)


def _counted(channels: int) -> str:
    return f"{channels} channel{'s' if channels > 1 else ''}"


def to_edit(
    modality: Any,
    item: object,
    spec: MediaSpec,
    *,
    mask: object = None,
    extend: object = None,
    strength: float | None = None,
    resample: int = 1,
) -> tuple[Given, Edit, bool]:
    """Return an item as a model takes it, with room where it is extended, and what is to become of it.

    Args:
        modality: what it is.
        item: a medium, or the path of a file.
        spec: what the model sees.
        mask: what is made anew, see :func:`~.regions.mask_of`, of the item as it is given.
        extend: what is added, see :func:`~.regions.margins_of`, to the item as the model takes it.
        strength: how much of the item changes; all of what is made anew where None.
        resample: how often each step is made.

    Returns:
        The item, what becomes of it, and whether its beginning stays where it was.

    Raises:
        ConfigError: the item, the mask or what is added is none of this modality.
        MediaError: a file cannot be read.
    """
    whole = given(modality, item, spec, fit=False, doing="edit")
    taken = Given(whole.item, *modality.take(whole.item, spec, fit=True))
    _tell_of_fitting(whole, taken)
    new = None
    if mask is not None:
        told = mask_of(mask, whole.spec, _reader(modality, whole.spec), _regions(modality, whole))
        new = _fitted(modality, told, whole, taken)
    margins = margins_of(extend, taken.spec) if extend is not None else ((0, 0),) * len(spec.rates)
    if mask is None and extend is None:
        new = torch.ones(taken.spec.shape[1:], dtype=torch.bool)
    canvas, new, found = grown(taken.tensor, new, taken.spec, margins)
    time = spec.time_axis
    stays = time is None or margins[time][0] == 0
    return Given(whole.item, canvas, found), Edit(new, float(strength or 1.0), resample), stays


def _tell_of_fitting(whole: Given, taken: Given) -> None:
    """Warn where the model changes the size or rate of an item, since the rest of it changes then too."""
    time = whole.spec.time_axis
    before = [size for axis, size in enumerate(whole.spec.shape[1:]) if axis != time]
    after = [size for axis, size in enumerate(taken.spec.shape[1:]) if axis != time]
    rates = [(a, b) for a, b in zip(whole.spec.rates, taken.spec.rates, strict=True) if a != b]
    if before != after:
        told = " to ".join(" x ".join(map(str, reversed(sizes))) for sizes in (before, after))
        warnings.warn(f"edit: the item is brought from {told}, which is what the model makes", stacklevel=4)
    if rates:
        warnings.warn(
            f"edit: the item is brought from {rates[0][0]:g} to {rates[0][1]:g} a second, as the model makes them",
            stacklevel=4,
        )


def _fitted(modality: Any, mask: Tensor, whole: Given, taken: Given) -> Tensor:
    """Return a mask brought to the model's size as its item was."""
    if whole.spec == taken.spec:
        return mask
    drawn = mask.to(torch.float32).expand(whole.spec.shape)
    made = modality.wrap(drawn.contiguous(), whole.spec, None)
    fitted: Tensor = modality.take(made, taken.spec, fit=True)[0][0] > 0.5
    if not bool(fitted.any()):
        raise ConfigError("mask: nothing of it is left at the size that the model makes; give a larger one")
    return fitted


def _regions(modality: Any, whole: Given) -> Callable[[str], Tensor | None]:
    """Return what makes masks of the texts that only the modality understands."""

    def within(text: str) -> Tensor | None:
        region = modality.region(text) if hasattr(modality, "region") else None
        return None if region is None else region(whole.tensor)

    return within


def _reader(modality: Any, spec: MediaSpec) -> Callable[[str], Tensor]:
    """Return what reads the mask in a file: as the modality does it, or else as one of its items."""

    def read(path: str) -> Tensor:
        if hasattr(modality, "read_mask"):
            mask: Tensor = modality.read_mask(path, spec)
        else:
            mask = modality.take(modality.read(path), replace(spec, shape=(1, *spec.shape[1:])), fit=False)[0][0]
        return mask > 0.5

    return read
