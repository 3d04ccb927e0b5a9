"""Devices and dtypes by name, as users write them."""

from __future__ import annotations

import torch

from .errors import ConfigError, nearest

__all__ = ["checked_device", "checked_dtype"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def checked_device(name: str) -> str:
    """Return a device's name if torch can use it here.

    Raises:
        ConfigError: it cannot.
    """
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        why = str(error).splitlines()[0][:120]
        raise ConfigError(f"device: {name!r} cannot be used here ({why}); use cpu") from error
    return name


def checked_dtype(name: str) -> torch.dtype:
    """Return the dtype of a name.

    Raises:
        ConfigError: there is no such dtype.
    """
    if name not in _DTYPES:
        raise ConfigError(f"dtype: unknown dtype {name!r}; {nearest(name, _DTYPES)}")
    return _DTYPES[name]
