"""What the steps of a run give, held against the contract: each of them, several in one go where they are quick."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import NumericError, PluginError
from .level import Level

__all__ = ["Inspection"]

_SECONDS = 0.1
"""How long a step waits to be looked at while others are made; one that takes as long is looked at by itself."""

_STEPS = 64
"""Looked at in one go at most."""

_BYTES = 1 << 22
"""Of items that are kept for it, beyond the newest."""


class Inspection:
    """Refuses what is not finite, or has not the shape, dtype and device of the items.

    To look for NaN costs as much as one of a sampler's sums, ten times that next to a network, and on an accelerator a
    wait for it. So several steps are looked at once, where these are quick and items small; nobody is shown, or given,
    items that were not looked at.

    Args:
        sampler: makes the steps.
        levels: between which they lead.
        x: the items before the first step.
    """

    def __init__(self, sampler: object, levels: Sequence[Level[float]], x: Tensor) -> None:
        self._sampler, self._levels = sampler, levels
        self._like = x.shape, x.dtype, x.device
        self._most = min(max(_BYTES // max(x.nbytes, 1), 1), _STEPS)
        self._wide = torch.promote_types(x.dtype, torch.float32)  # in which sums of half precision do not overflow
        self._made: list[Tensor] = []
        self._passed = 0
        self._due = time.perf_counter() + _SECONDS

    def take(self, x: Tensor, *, at_once: bool) -> None:
        """Take the items after a further step, and :meth:`look`, at once or where it is time to."""
        self._made.append(x)
        if at_once or len(self._made) >= self._most or time.perf_counter() > self._due:
            self.look()

    def look(self) -> None:
        """Look at all that was taken and not looked at yet.

        Raises:
            PluginError: a step gave another shape, dtype or device than it got; the message names the first one.
            NumericError: a step gave NaN or infinite values; likewise.
        """
        made = self._made
        # One reduction tells: a sum holds every NaN and infinity. (That of large numbers may be one itself.)
        if made and not (self._alike() and math.isfinite(torch.cat(made).sum(dtype=self._wide).item())):
            for index, x in enumerate(made, self._passed):
                self._look_at(index, x)
        self._passed += len(made)
        made.clear()
        self._due = time.perf_counter() + _SECONDS

    def failed(self, error: Exception) -> None:
        """Say why the next step failed, if what came before it or a factor of its own is why.

        Raises:
            PluginError: as :meth:`look`.
            NumericError: likewise, or half precision cannot hold a factor of the step.
        """
        self.look()
        if isinstance(error, RuntimeError) and "without overflow" in str(error):
            raise self._not_finite(self._passed) from error

    def broken(self, got: str, expected: str, index: int | None = None) -> PluginError:
        """Return the error of a step that gave something else than was expected; if not told, of the next one."""
        index = self._passed + len(self._made) if index is None else index
        return PluginError(f"sampler {self._name()}: step {index + 1} gave {got}, expected {expected}")

    def _alike(self) -> bool:
        return all((x.shape, x.dtype, x.device) == self._like for x in self._made)

    def _look_at(self, index: int, x: Tensor) -> None:
        if (x.shape, x.dtype, x.device) != self._like:
            got, expected = (
                f"{tuple(shape)} {dtype} on {device}"
                for shape, dtype, device in ((x.shape, x.dtype, x.device), self._like)
            )
            raise self.broken(got, f"{expected}; fix the sampler or the denoiser", index)
        if not bool(torch.isfinite(x).all()):
            raise self._not_finite(index)

    def _not_finite(self, index: int) -> NumericError:
        steps, t = len(self._levels) - 1, self._levels[index].t
        return NumericError(
            f"sampling: step {index + 1} of {steps} (t = {t:.4g}) of sampler {self._name()} gave values "
            "that are not finite; try more steps, less guidance or float32, or another sampler"
        )

    def _name(self) -> str:
        from ..registration.attribution import owner_named  # the loop itself needs no registry

        return f"{type(self._sampler).__name__}{owner_named(self._sampler)}"
