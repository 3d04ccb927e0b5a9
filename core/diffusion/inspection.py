"""What the steps of a run give, held against the contract: each of them, several in one go where they are quick."""

from __future__ import annotations

import math
from collections.abc import Sequence
from time import perf_counter

import torch
from torch import Tensor

from ..contract import writes_to
from ..errors import NumericError, PluginError
from .level import Level

__all__ = ["Inspection"]

_SECONDS = 0.1
"""How long a step waits at most to be looked at, but for what the next one takes."""

_STEPS = 64
"""Looked at in one go at most."""

_BYTES = 1 << 18
"""Of items that are kept for it. Of more than fit into a cache, each is looked at while it is there."""


class Inspection:
    """Refuses what is not finite, or has not the shape, dtype and device of the items.

    To look for NaN takes as long as several of a sampler's sums, and on an accelerator a wait for it. So several steps
    are looked at once, where these are quick and items small. Whoever observes a run, or gets what it made, is given
    nothing that was not looked at.

    What was written into meanwhile can no longer be looked at. The first step is looked at by itself; where its items
    are written into later, as a denoiser or a sampler does that works in place, so are all others.

    Args:
        sampler: makes the steps.
        levels: between which they lead.
        x: the items before the first step.
    """

    def __init__(self, sampler: object, levels: Sequence[Level[float]], x: Tensor) -> None:
        self._sampler, self._levels = sampler, levels
        self._like = x.shape, x.dtype, x.device
        self._most = 1  # the first step
        self._first: Tensor | None = None
        self._first_writes = 0
        self._made: list[Tensor] = []
        self._writes: list[int] = []
        self._passed = 0
        self._due = perf_counter() + _SECONDS

    def take(self, x: Tensor, at_once: bool) -> None:
        """Take the items after a further step, and :meth:`look`, at once or where it is time to."""
        made = self._made
        made.append(x)
        try:
            writes = x._version
        except RuntimeError:  # made in inference mode, where nobody counts
            writes, at_once = writes_to(x), True
        self._writes.append(writes)
        first = self._first
        if first is not None and first._version != self._first_writes:
            at_once = True
        if at_once or len(made) >= self._most or perf_counter() > self._due:
            self.look()

    def look(self) -> None:
        """Look at all that was taken and not looked at yet.

        Raises:
            PluginError: a step gave another shape, dtype or device than it got, or what it gave was written into before
                it was looked at; the message names the first such step.
            NumericError: a step gave NaN or infinite values; likewise.
        """
        made = self._made
        if not made:
            return
        if not self._is_fine():
            for number, x in enumerate(made):
                self._look_at(number, x)
        if not self._passed:
            most = min(_BYTES // max(made[0].nbytes, 1), _STEPS)
            if most > 1 and not made[0].is_inference():
                self._most, self._first, self._first_writes = most, made[0], self._writes[0]
        self._passed += len(made)
        made.clear()
        self._writes.clear()
        self._due = perf_counter() + _SECONDS

    def failed(self, error: Exception) -> None:
        """Say why the next step failed, if what came before it or a factor of its own is why.

        Raises:
            PluginError: as :meth:`look`.
            NumericError: likewise, or half precision cannot hold a factor of the step.
        """
        self.look()
        if isinstance(error, RuntimeError) and "without overflow" in str(error):
            raise self._not_finite(self._passed) from error

    def refuse(self, made: object) -> None:
        """Say that the next step gave something that is no pair of items and a state.

        Raises:
            PluginError: that.
            NumericError: what came before it is not finite, as :meth:`look`.
        """
        self.look()
        raise self._broken(self._passed, f"a {type(made).__name__}, expected (x, state); fix the sampler")

    def _is_fine(self) -> bool:
        """Return whether all is as it was before the first step, as it was made, and finite."""
        made, (shape, dtype, device) = self._made, self._like
        together = made[-1]
        if together.shape != shape or together.dtype is not dtype or together.device != device:
            return False
        if len(made) > 1:
            if any(x.shape != shape or x.dtype is not dtype for x in made):
                return False
            if self._writes != [writes_to(x) for x in made]:
                return False
            try:
                together = torch.cat(made)
            except RuntimeError:  # on several devices
                return False
        # One reduction tells: a sum holds every NaN and infinity. (That of large numbers may be one itself.)
        wide = torch.promote_types(dtype, torch.float32)  # in which that of half precision is none
        return math.isfinite(together.sum(dtype=wide).item())

    def _look_at(self, number: int, x: Tensor) -> None:
        """Look at one of what was made, thoroughly."""
        index = self._passed + number
        if (found := (x.shape, x.dtype, x.device)) != self._like:
            got, expected = (f"{tuple(shape)} {dtype} on {device}" for shape, dtype, device in (found, self._like))
            raise self._broken(index, f"{got}, expected {expected}; fix the sampler or the denoiser")
        if writes_to(x) != self._writes[number]:
            raise self._broken(index, "items that were written into later; fix the denoiser, or the sampler, to copy")
        if not bool(torch.isfinite(x).all()):
            raise self._not_finite(index)

    def _broken(self, index: int, what: str) -> PluginError:
        return PluginError(f"sampler {self._name()}: step {index + 1} gave {what}")

    def _not_finite(self, index: int) -> NumericError:
        steps, t = len(self._levels) - 1, self._levels[index].t
        return NumericError(
            f"sampling: step {index + 1} of {steps} (t = {t:.4g}) of sampler {self._name()} gave values "
            "that are not finite; try more steps, less guidance or float32, or another sampler"
        )

    def _name(self) -> str:
        from ..registration.attribution import owner_named  # the loop itself needs no registry

        return f"{type(self._sampler).__name__}{owner_named(self._sampler)}"
