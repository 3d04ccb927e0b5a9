"""Conditioning: what several conditioners give, put together into what one network is told.

There are three kinds: a ``vector`` (item, width); a ``sequence`` (item, length, width), of which a ``sequence_mask``
(item, length) may say where it holds something; ``channels`` (item, channels, \\*space) that are laid beside the item.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..contract import check_tensor
from ..errors import ConfigError, PluginError

__all__ = ["KINDS", "combined", "mixed", "refuse_unheard", "widths_of"]

KINDS = {"vector": "vector_width", "sequence": "sequence_width", "channels": "extra_channels"}
"""The kinds of conditioning, each with the parameter by which a network is told its width."""

Given = tuple[str, Mapping[str, int], Mapping[str, Tensor]]


def widths_of(conditioners: Iterable[tuple[str, Any]], at: str) -> dict[str, int]:
    """Return the width of each kind of conditioning that there is.

    Args:
        conditioners: names for messages, and the conditioners.
        at: pipeline and stage, for messages.

    Raises:
        ConfigError: vectors or sequences of different widths.
        PluginError: a conditioner does not say what it gives.
    """
    widths: dict[str, int] = {}
    for told, conditioner in conditioners:
        for attribute in ("names", "takes"):
            words = getattr(conditioner, attribute, ())
            several = isinstance(words, Collection) and not isinstance(words, str)
            if not several or not all(isinstance(word, str) for word in words):
                raise PluginError(f"{at}: {told}: {attribute} is {words!r:.80}, expected several texts; fix the part")
        outputs = conditioner.outputs
        if not isinstance(outputs, Mapping) or not all(isinstance(width, int) for width in outputs.values()):
            raise PluginError(f"{at}: {told}: outputs is {outputs!r:.80}, expected a mapping such as {{'vector': 128}}")
        for kind, width in outputs.items():
            if kind not in KINDS:
                raise PluginError(f"{at}: {told}: unknown kind of output {kind!r}; expected {', '.join(KINDS)}")
            if kind == "channels":
                widths[kind] = widths.get(kind, 0) + width
            elif widths.setdefault(kind, width) != width:
                raise ConfigError(
                    f"{at}: conditioners: {kind}s of width {widths[kind]} and {width}; give all one width"
                )
    return widths


def refuse_unheard(widths: Mapping[str, int], heard: Iterable[str], network: str, at: str) -> None:
    """Refuse conditioning that a network would not look at.

    Args:
        widths: of each kind of conditioning that there is.
        heard: the kinds that the network takes.
        network: its name.
        at: pipeline and stage, for messages.

    Raises:
        ConfigError: there is a kind that it does not take.
    """
    known = set(heard)
    for kind in widths:
        if kind not in known:
            raise ConfigError(
                f"{at}: network {network!r} takes no conditioning {kind}, but a conditioner gives one; take another "
                f'network, or a conditioner without it (set its outputs, such as outputs = "vector", where it has that)'
            )


def combined(given: Iterable[Given], rows: int) -> dict[str, Tensor]:
    """Return the conditioning of a network: vectors added up, sequences and channels put side by side.

    A sequence without a mask beside one that has a mask counts as whole.

    Args:
        given: of each conditioner its name for messages, its ``outputs``, and what it gave.
        rows: number of items.

    Raises:
        PluginError: a conditioner gave something else than its ``outputs`` say.
    """
    cond: dict[str, Tensor] = {}
    sequences: list[Tensor] = []
    masks: list[Tensor | None] = []
    for told, outputs, tensors in given:
        _check_names(told, outputs, tensors)
        for kind, width in outputs.items():
            value = tensors[kind]
            if kind == "vector":
                value = check_tensor(value, (rows, width), of=told)
                cond[kind] = cond[kind] + value if kind in cond else value
            elif kind == "channels":
                value = check_tensor(value, (rows, width, *value.shape[2:]), of=f"{told}: channels")
                cond[kind] = torch.cat([cond[kind], value], 1) if kind in cond else value
            else:
                length = value.shape[1] if value.ndim > 1 else 1
                sequences.append(check_tensor(value, (rows, length, width), of=f"{told}: sequence"))
                masks.append(_checked_mask(tensors.get("sequence_mask"), (rows, length), told))
    if sequences:
        cond["sequence"] = torch.cat(sequences, 1)
    if any(mask is not None for mask in masks):
        whole = [
            one.new_ones(one.shape[:2], dtype=torch.bool) if mask is None else mask
            for one, mask in zip(sequences, masks, strict=True)
        ]
        cond["sequence_mask"] = torch.cat(whole, 1)
    return cond


def mixed(first: Tensor, one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return for each item what ``one`` says of it where ``first`` (items,) is True, or else what ``other`` says."""

    def beside(value: Tensor) -> Tensor:
        return first.reshape(-1, *(1,) * (value.ndim - 1))

    return {name: torch.where(beside(value), value, other[name]) for name, value in one.items()}


def _check_names(told: str, outputs: Mapping[str, int], tensors: Mapping[str, Tensor]) -> None:
    """Refuse what was not announced, and the lack of what was."""
    announced = {*outputs, *(("sequence_mask",) if "sequence" in outputs else ())}
    for name in tensors:
        if name not in announced:
            raise PluginError(f"{told} gave {name!r}, which its outputs do not name; fix the part")
    for name in outputs:
        if name not in tensors:
            raise PluginError(f"{told} gave no {name!r}, though its outputs name it; fix the part")


def _checked_mask(mask: Tensor | None, shape: tuple[int, int], told: str) -> Tensor | None:
    if mask is None or (mask.dtype == torch.bool and mask.shape == torch.Size(shape)):
        return mask
    raise PluginError(
        f"{told} gave a sequence_mask of shape {tuple(mask.shape)} and {mask.dtype}, expected torch.bool of shape "
        f"{shape}; fix the part"
    )
