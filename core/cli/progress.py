"""Progress on a terminal: NFE and time left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ..diffusion.sampling import Observer, SamplingStep
from ..naming import printable
from ..pipeline.made import Made
from .hung_up import heard_or_not
from .making import stages_told

__all__ = ["bar"]


class _Bar:
    """A bar over the steps of all items; one line for each file above it."""

    every = 1
    needs_x0 = False

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task
        self.observers: Sequence[Observer] = (self,)

    def __call__(self, step: SamplingStep) -> None:
        with heard_or_not():
            self._progress.advance(self._task, len(step.x))

    def say(self, line: str) -> None:
        """Say what is being done that takes long."""
        with heard_or_not():
            self._progress.console.print(f"[dim]{escape(line)}[/dim]", highlight=False)

    def tell(self, made: Made, target: Path) -> None:
        """Say that an item is there."""
        took = f"{made.nfe} NFE, {made.seconds:.2f} s{stages_told(made.stages)}"
        line = f"{printable(target)}  [dim]item {made.item}, {took}[/dim]"
        with heard_or_not():
            self._progress.console.print(escape(printable(target)) + line[len(printable(target)) :], highlight=False)


@contextlib.contextmanager
def bar(told: str, steps: int) -> Iterator[_Bar]:
    """Show a bar over so many steps while items are made."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps"),
        TimeRemainingColumn(),
    )
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    shown = _Bar(progress, progress.add_task(told, total=steps))
    with heard_or_not():
        progress.start()
    try:
        yield shown
    finally:
        with heard_or_not():
            progress.stop()
