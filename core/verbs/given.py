"""What a user gives to be edited or made larger: read, brought to the model, and with the mask that belongs to it."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError
from ..media import MediaSpec
from ..pipeline.modality import Media
from ..registration.build import build
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

    Raises:
        ConfigError: it is no such item, or the modality reads none.
        MediaError: the file cannot be read, or the item is damaged.
    """
    if not hasattr(modality, "take") or not hasattr(modality, "read"):
        raise ConfigError(f"{doing}: {modality.name} items cannot be read; their modality has no read and no take")
    read: Any = modality.read(item) if isinstance(item, str | os.PathLike) else item
    tensor, found = modality.take(read, spec, fit=fit)
    return Given(read, tensor, found)


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
        ConfigError: an argument is out of bounds.
        MediaError: a file cannot be read.
    """
    if strength is not None and (isinstance(strength, bool) or not isinstance(strength, int | float)):
        raise ConfigError(f"strength: expected a number above 0, up to 1, got {strength!r:.80}")
    if strength is not None and not 0 < strength <= 1:
        raise ConfigError(f"strength: expected a number above 0, up to 1, got {strength!r}")
    if isinstance(resample, bool) or not isinstance(resample, int) or not 1 <= resample <= 100:
        raise ConfigError(f"resample: expected a whole number from 1 to 100, got {resample!r:.80}")
    whole = given(modality, item, spec, fit=False, doing="edit")
    taken = given(modality, whole.item, spec, fit=True, doing="edit")
    _tell_of_fitting(whole, taken)
    new = (
        None
        if mask is None
        else _fitted(modality, mask_of(mask, whole.spec, _reader(modality, whole.spec)), whole, taken)
    )
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


def _reader(modality: Any, spec: MediaSpec) -> Any:
    """Return what reads the mask in a file: an item of the same kind, or a picture that counts for all of a film."""

    def read(path: str) -> Tensor:
        kind = modality
        pictures = build("modality", "image")
        if Path(path).suffix.lower() not in modality.endings and Path(path).suffix.lower() in pictures.endings:
            kind = pictures
        shape = (1, *spec.shape[1:]) if kind is modality else (1, *spec.shape[-2:])
        wanted = replace(spec, shape=shape, rates=spec.rates[-len(shape) + 1 :])
        mask: Tensor = kind.take(kind.read(path), wanted, fit=False)[0][0]
        return mask > 0.5

    return read
