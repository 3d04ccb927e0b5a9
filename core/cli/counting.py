"""Progress on a terminal of work that is counted: a bar for each piece of it, one after the other."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..naming import printable
from ..pipeline.work import Tell, Work, untold
from .hung_up import heard_or_not

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["counted"]


@contextlib.contextmanager
def counted(*, quiet: bool = False) -> Iterator[Tell]:
    """Give what shows how far work is: on a terminal by bars, elsewhere, or if the user wants it quiet, not at all."""
    if quiet or not sys.stderr.isatty():
        yield untold
        return
    bars = _Bars()
    try:
        yield bars
    finally:
        bars.end()


class _Bars:
    """One bar at a time, from the first that is told of a piece of work until all of it is done."""

    def __init__(self) -> None:
        self._shown: Progress | None = None

    def __call__(self, work: Work) -> None:
        with heard_or_not():
            self._show(work)

    def end(self) -> None:
        """Take the bar away, if there is one."""
        shown, self._shown = self._shown, None
        if shown is not None:
            with heard_or_not():
                shown.stop()

    def _show(self, work: Work) -> None:
        from rich.markup import escape

        what = escape(printable(work.what))
        if self._shown is not None:
            (task,) = self._shown.task_ids
            self._shown.update(task, description=what, completed=work.done, total=work.of, unit=work.unit)
        elif work.done < work.of:
            self._shown = _bar()
            self._shown.add_task(what, completed=work.done, total=work.of, unit=work.unit)
            self._shown.start()
        if work.done >= work.of:
            self.end()


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # which may be a file; and what becomes of the streams while parts work is watched
        redirect_stderr=False,
    )
