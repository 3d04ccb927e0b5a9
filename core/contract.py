"""Checks of what parts return: an error says what was expected, and what came instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .errors import PluginError

__all__ = ["check_rows", "check_tensor", "writes_to"]


def check_tensor(value: object, shape: Sequence[int], *, of: str, device: torch.device | None = None) -> Tensor:
    """Return ``value`` if it is a tensor of real numbers of that shape.

    Args:
        value: what a part gave.
        shape: what it should have.
        of: which part, and which of its methods, for the message.
        device: where it should be, if that matters; on ``meta``, where nothing has a value, it may never be.

    Raises:
        PluginError: it is something else.
    """
    if isinstance(value, Tensor) and value.shape == torch.Size(shape) and value.is_floating_point():
        if not value.is_meta and device in (None, value.device):
            return value
        raise PluginError(f"{of} gave a tensor on {value.device}, expected it on {device or 'cpu'}; fix the part")
    raise PluginError(
        f"{of} gave {_told(value)}, expected floating-point numbers of shape {tuple(shape)}; fix the part"
    )


def check_rows(given: object, rows: int, *, of: str) -> Mapping[str, Tensor]:
    """Return ``given`` if it is a mapping of names to tensors with one row for each item.

    Raises:
        PluginError: it is something else.
    """
    if not isinstance(given, Mapping):
        raise PluginError(f"{of} gave {_told(given)}, expected a mapping of names to tensors; fix the part")
    for name, value in given.items():
        if not isinstance(value, Tensor) or value.ndim < 1 or len(value) != rows:
            raise PluginError(f"{of} gave {_told(value)} as {name!r}, expected a tensor of {rows} rows; fix the part")
    return given


def writes_to(x: Tensor) -> int:
    """Return how often a tensor was written to, which torch counts except in its inference mode."""
    return 0 if x.is_inference() else x._version


def _told(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and {value.dtype}"
    return "None" if value is None else f"a {type(value).__name__}"
