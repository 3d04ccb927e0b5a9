"""Which part of an item is to be made anew: masks as files, boxes or ranges of time, and what is added at its ends."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ..errors import ConfigError
from ..media import MediaSpec

__all__ = ["Margins", "grown", "is_text_of_region", "margins_of", "mask_of"]

Margins = tuple[tuple[int, int], ...]
"""Positions before and after an item along each axis of space."""

_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_RANGE = re.compile(rf"({_NUMBER})?:({_NUMBER})?")
_BOX = re.compile(r"(\d+),(\d+),(\d+),(\d+)")
_FORMS = "mask: expected a range such as 0.2:0.4, a box such as 8,8,24,24, a file or an array, got {!r:.80}"
_ENDS = ("start", "end")
_SIDES = (("top", "bottom"), ("left", "right"))


def is_text_of_region(given: object, modality: object = None) -> bool:
    """Return whether a mask is a text that says all of it: a range, a box, or a region as the modality knows them."""
    if not isinstance(given, str):
        return False
    own = getattr(modality, "region", None)
    return _is_range(given) or bool(_BOX.fullmatch(given)) or (own is not None and own(given) is not None)


def mask_of(
    given: object,
    spec: MediaSpec,
    read: Callable[[str], Tensor],
    region: Callable[[str], Tensor | None] | None = None,
) -> Tensor:
    """Return the mask (\\*space) of an item: True where it is to be made anew.

    Args:
        given: a tensor or an array (\\*space), above one half where it is to be made anew; a text: a range in seconds
            such as ``0.2:0.4``, ``:0.4`` or ``0.2:``, which counts positions where items have one axis that is no time,
            a box ``left,top,right,bottom`` in pixels, what else the modality knows, or a file; or several of these,
            which count together. What of a range or a box lies beyond the item's end is told of.
        spec: of the item.
        read: returns the mask in a file (\\*space).
        region: returns the mask (\\*space) that a text of the modality's own says; None where the text is none.

    Raises:
        ConfigError: it is none of these, has another size than the item, or nothing of the item lies in it.
    """
    several = given if isinstance(given, list | tuple) else [given]
    mask = torch.zeros(spec.shape[1:], dtype=torch.bool)
    for one in several:
        mask |= _one(one, spec, read, region or (lambda text: None))
    if not bool(mask.any()):
        raise ConfigError("mask: nothing of the item lies in it, so nothing is to be made anew; give another one")
    return mask


def _one(
    given: object, spec: MediaSpec, read: Callable[[str], Tensor], region: Callable[[str], Tensor | None]
) -> Tensor:
    space = spec.shape[1:]
    if isinstance(given, str):
        if _is_range(given):
            return _range(given, spec)
        if _BOX.fullmatch(given):
            return _box(given, spec)
        own = region(given)
        if own is None and not os.path.exists(given) and (":" in given or "," in given or "." not in given):
            raise ConfigError(_FORMS.format(given))
        given = read(given) if own is None else own
    try:
        mask = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError):
        raise ConfigError(_FORMS.format(given)) from None
    if mask.dtype != torch.bool:
        if not bool(torch.isfinite(mask.double()).all()):
            raise ConfigError("mask: some of its values are not finite; give 1 where it is to be made anew, else 0")
        mask = mask > 0.5
    if tuple(mask.shape) == space[-mask.ndim :] and 0 < mask.ndim <= len(space):
        return mask.expand(space)
    raise ConfigError(f"mask: it has the shape {tuple(mask.shape)}, the item {space}; give one of the item's size")


def _is_range(text: str) -> bool:
    return text != ":" and bool(_RANGE.fullmatch(text))


def _range(text: str, spec: MediaSpec) -> Tensor:
    """Return the mask of a range in seconds, or in positions where items have one axis and that is no time."""
    axis = 0 if len(spec.rates) == 1 else spec.time_axis
    if axis is None:
        raise ConfigError(f"mask: {text}: a range in seconds, but such items have no time; give a box or a file")
    match = _RANGE.fullmatch(text)
    assert match is not None, "it is a range"
    rate, length = spec.rates[axis] or 1.0, spec.shape[1 + axis]
    unit, units = ("s", "seconds") if spec.rates[axis] else ("positions", "positions")
    first = round(float(match[1] or 0) * rate)
    last = length if match[2] is None else round(float(match[2]) * rate)
    if match[2] is not None and last <= first:
        raise ConfigError(f"mask: {text}: the end does not lie after the start; give start:end in {units}")
    if not 0 <= first < length:
        raise ConfigError(f"mask: {text}: no part of an item of {length / rate:g} {unit}; give a range inside it")
    if last > length:
        _tell_of_end(text, f"{match[2]} {unit}", f"{length / rate:g} {unit}")
    line = torch.zeros(length, dtype=torch.bool)
    line[first:last] = True
    return line.reshape([length if other == axis else 1 for other in range(len(spec.rates))]).expand(spec.shape[1:])


def _box(text: str, spec: MediaSpec) -> Tensor:
    """Return the mask of a box in pixels, in all frames of a film."""
    if len(spec.shape) < 3 or spec.rates[-1] or spec.rates[-2]:
        raise ConfigError(f"mask: {text}: a box in pixels, but such items have none; give a range or a file")
    left, top, right, bottom = map(int, text.split(","))
    height, width = spec.shape[-2:]
    if right <= left or bottom <= top:
        raise ConfigError(f"mask: {text}: right or bottom does not lie after left or top; give left,top,right,bottom")
    if not (left < width and top < height):
        raise ConfigError(
            f"mask: {text}: no part of {width} x {height} pixels; give left,top,right,bottom of a box inside it"
        )
    if right > width or bottom > height:
        _tell_of_end(text, f"{right}, {bottom}", f"{width}, {height}")
    mask = torch.zeros(spec.shape[1:], dtype=torch.bool)
    mask[..., top:bottom, left:right] = True
    return mask


def _tell_of_end(text: str, end: str, most: str) -> None:
    """Warn that a part of a mask lies beyond the item."""
    warnings.warn(f"mask: {text}: it ends at {end}, the item at {most}; what lies beyond is left out", stacklevel=2)


def margins_of(given: object, spec: MediaSpec) -> Margins:
    """Return how many positions an item gains before and after, along each axis of space.

    Args:
        given: a number, of seconds at the end of what has time; or for each end its own, as a mapping or a text such as
            ``left=16,right=16``: ``start`` and ``end`` in seconds, ``left``, ``right``, ``top``, ``bottom`` in pixels.
        spec: of the item.

    Raises:
        ConfigError: it is none of these, or says nothing.
    """
    names = _names(spec)
    if not names:
        raise ConfigError("extend: such items have no ends at which they could go on; leave it out")
    wishes = _wishes(given, "end" if "end" in names else None)
    margins = [[0, 0] for _ in spec.rates]
    for name, value in wishes.items():
        if name not in names:
            raise ConfigError(f"extend: {name!r}: such items have {', '.join(names)}; extend one of these")
        axis, end = names[name]
        rate = spec.rates[axis]
        number = value * rate if rate else value
        if not 0 <= number <= 2**31 or (not rate and value != int(value)):
            raise ConfigError(f"extend: {name}: expected {'seconds' if rate else 'whole pixels'} from 0, got {value:g}")
        margins[axis][end] = round(number)
    if not any(map(any, margins)):
        raise ConfigError("extend: nothing is to be added; give seconds, or a side such as right=16")
    return tuple((before, after) for before, after in margins)


def _names(spec: MediaSpec) -> dict[str, tuple[int, int]]:
    """Return axis and end of each name of an end."""
    names = {}
    if spec.time_axis is not None:
        names = {name: (spec.time_axis, end) for end, name in enumerate(_ENDS)}
    if len(spec.rates) >= 2 and not spec.rates[-1] and not spec.rates[-2]:
        for axis, pair in zip((-2, -1), _SIDES, strict=True):
            names |= {name: (len(spec.rates) + axis, end) for end, name in enumerate(pair)}
    return names


def _wishes(given: object, plain: str | None) -> dict[str, float]:
    wrong = ConfigError(
        f"extend: expected {'seconds, or ' if plain else ''}sides such as "
        f"{'start=0.5,end=1' if plain else 'left=16,right=16'}, got {given!r:.80}"
    )
    if isinstance(given, str):
        parts = [part.partition("=") for part in given.split(",")]
        if len(parts) == 1 and not parts[0][1]:
            given = {plain: parts[0][0]} if plain else {}
        else:
            given = {name.strip(): value for name, _, value in parts}
    elif isinstance(given, int | float) and not isinstance(given, bool):
        given = {plain: given} if plain else {}
    if not isinstance(given, Mapping) or not given:
        raise wrong
    try:
        wishes = {str(name): float(value) for name, value in given.items()}
    except (TypeError, ValueError):
        raise wrong from None
    if not all(value == value and abs(value) != float("inf") for value in wishes.values()):
        raise wrong
    return wishes


def grown(media: Tensor, mask: Tensor | None, spec: MediaSpec, margins: Margins) -> tuple[Tensor, Tensor, MediaSpec]:
    """Return an item with room at its ends, the mask that says the room is new, and what the item is then.

    Args:
        media: (channels, \\*space).
        mask: (\\*space) of what else is to be made anew; None for nothing.
        spec: of the item.
        margins: see :func:`margins_of`.
    """
    channels, *space = media.shape
    sizes = [before + size + after for size, (before, after) in zip(space, margins, strict=True)]
    inside = tuple(slice(before, before + size) for size, (before, _) in zip(space, margins, strict=True))
    canvas = torch.full((channels, *sizes), (spec.low + spec.high) / 2)
    canvas[(slice(None), *inside)] = media
    new = torch.ones(sizes, dtype=torch.bool)
    new[inside] = torch.zeros(tuple(space), dtype=torch.bool) if mask is None else mask
    return canvas, new, replace(spec, shape=(channels, *sizes))
