"""What watches a training is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .recipe import AnyRecipe

__all__ = ["Observer", "TrainingRun", "TrainingStep"]


@dataclass(frozen=True)
class TrainingStep:
    """What an observer is shown after a step.

    Attributes:
        step: steps done, from 1.
        steps: steps in all.
        loss: of this step.
        learning_rate: of this step.
        gradient: norm of the gradient before clipping.
        seconds: since the run was started or resumed.
    """

    step: int
    steps: int
    loss: float
    learning_rate: float
    gradient: float
    seconds: float


@dataclass(frozen=True)
class TrainingRun:
    """What the factories of training observers are told.

    Attributes:
        folder: the run's folder.
        recipe: what is trained.
        start: steps already done.
    """

    folder: Path
    recipe: AnyRecipe
    start: int


Observer = Callable[[TrainingStep], None]
