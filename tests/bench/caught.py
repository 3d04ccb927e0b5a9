"""What a pipeline hands to the loop, caught before the loop begins."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from noiseform.core.diffusion.sampling import Denoise
from noiseform.core.pipeline import running
from torch import Tensor

__all__ = ["caught"]


class _CaughtError(Exception):
    """The run has begun, and what it was given is known."""


def caught(make: Callable[[], object]) -> list[tuple[Denoise, Mapping[str, Any]]]:
    """Return what ``sample`` is given first when something is made: the guided denoiser, and the rest by name."""
    found: list[tuple[Denoise, Mapping[str, Any]]] = []

    def catch(denoise: Denoise, **given: Any) -> Tensor:
        found.append((denoise, given))
        raise _CaughtError

    running.sample, kept = catch, running.sample
    try:
        with contextlib.suppress(_CaughtError):
            make()
    finally:
        running.sample = kept
    return found
