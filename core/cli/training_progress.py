"""Progress of a training on a terminal: loss and time left."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..training.observing import TrainingStep

__all__ = ["TrainingBar"]


class TrainingBar:
    """An observer of training with a bar, a running mean of the loss and the time left."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("training", total=None, loss=float("nan"))
        self._mean: float | None = None

    def __call__(self, step: TrainingStep) -> None:
        if self._mean is None:
            self._progress.start()
        self._mean = step.loss if self._mean is None else 0.98 * self._mean + 0.02 * step.loss
        self._progress.update(self._task, total=step.steps, completed=step.step, loss=self._mean)
        if step.step == step.steps:
            self._progress.stop()
