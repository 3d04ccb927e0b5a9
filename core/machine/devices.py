"""Devices and dtypes by name, as users write them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..errors import ConfigError, nearest

__all__ = ["checked_device", "checked_dtype", "seeded"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_SHORT = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""As recipes call them."""


def checked_device(name: str) -> str:
    """Return a device's name if torch can use it here.

    Raises:
        ConfigError: it cannot.
    """
    try:
        if torch.empty(0, device=name).is_meta:
            raise RuntimeError("it computes nothing")
    except Exception as error:  # every backend that is not there fails in its own way
        told = (str(error).splitlines() or [type(error).__name__])[0]
        why = textwrap.shorten(told.partition(". ")[0], 120, placeholder=" …")
        raise ConfigError(f"device: {name!r} cannot be used here ({why}); use cpu") from error
    return name


def checked_dtype(name: str) -> torch.dtype:
    """Return the dtype of a name, ``bfloat16`` or ``bf16``.

    Raises:
        ConfigError: there is no such dtype.
    """
    name = _SHORT.get(name, name)
    if name not in _DTYPES:
        raise ConfigError(f"dtype: unknown dtype {name!r}; {nearest(name, _DTYPES)}")
    return _DTYPES[name]


@contextmanager
def seeded(seed: int, device: str = "cpu") -> Iterator[None]:
    """Have torch's own generators, of the CPU and of a GPU, begin at a seed, and put them back after."""
    on_gpu = torch.device(device).type == "cuda"
    with torch.random.fork_rng([torch.device(device)] if on_gpu else []):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU there is
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
