"""The mutants of each kind of parts."""

from __future__ import annotations

from collections.abc import Mapping

from . import (
    codecs,
    commands,
    conditioners,
    converters,
    grids,
    guidances,
    metrics,
    modalities,
    networks,
    objectives,
    pipelines,
    processes,
    samplers,
)
from .mutant import Mutant

__all__ = ["MUTANTS"]

MUTANTS: Mapping[str, tuple[Mutant, ...]] = {
    "process": processes.MUTANTS,
    "objective": objectives.MUTANTS,
    "grid": grids.MUTANTS,
    "sampler": samplers.MUTANTS,
    "guidance": guidances.MUTANTS,
    "network": networks.MUTANTS,
    "codec": codecs.MUTANTS,
    "conditioner": conditioners.MUTANTS,
    "modality": modalities.MUTANTS,
    "metric": metrics.MUTANTS,
    "pipeline": pipelines.MUTANTS,
    "converter": converters.MUTANTS,
    "command": commands.MUTANTS,
}
"""By the name of the kind; the originals, which are right, come first."""
