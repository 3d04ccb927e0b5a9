"""The mutants of each kind of parts."""

from __future__ import annotations

from collections.abc import Mapping

from . import samplers
from .mutant import Mutant

__all__ = ["MUTANTS"]

MUTANTS: Mapping[str, tuple[Mutant, ...]] = {"sampler": samplers.MUTANTS}
