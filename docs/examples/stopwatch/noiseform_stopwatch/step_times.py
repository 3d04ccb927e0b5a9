"""An observer of sampling: it watches the steps and changes nothing."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from noiseform import ConfigError
from noiseform.core.diffusion.sampling import SamplingStep
from noiseform.core.naming import printable
from noiseform.core.pipeline.running import SamplingRun

__all__ = ["HEADINGS", "StepTimes"]

HEADINGS = ("pipeline", "stage", "sampler", "item", "items", "window", "step", "of", "t", "calls", "milliseconds")


class StepTimes:
    """Adds a line to a CSV file for every step, or for every so many steps: what they took together.

    Args:
        path: the file; it is begun with a line of headings, and gone on with where it is there.
        every: steps of a line; the last line of a run may be of fewer.

    Raises:
        ConfigError: ``every`` is none, or the file cannot be written.
    """

    needs_x0 = False

    def __init__(self, path: str | os.PathLike[str], every: int | str = 1) -> None:
        try:
            self.every = int(every)
        except ValueError:
            self.every = 0
        if self.every < 1:
            raise ConfigError(f"stopwatch: every {every!r:.40} steps: expected a whole number from 1")
        self._path = Path(path)
        self._run: SamplingRun | None = None
        self._window, self._calls, self._seconds = 0, 0, 0.0
        if not self._path.is_file() or not self._path.stat().st_size:
            self._add(HEADINGS)

    def begin(self, run: SamplingRun) -> None:
        """Look at the stage that runs now."""
        self._run, self._window, self._calls, self._seconds = run, 0, 0, 0.0

    def __call__(self, step: SamplingStep) -> None:
        run = self._run
        assert run is not None, "it is told of the run before it is shown a step"
        calls, milliseconds = step.calls - self._calls, 1000 * (step.seconds - self._seconds)
        self._calls, self._seconds = step.calls, step.seconds
        what = (run.pipeline, run.called, run.stage.config.sampler.use, run.keys[0].item, len(run.keys), self._window)
        self._add((*what, step.index + 1, step.steps, f"{step.here.t:.6g}", calls, f"{milliseconds:.3f}"))
        if step.index + 1 == step.steps:  # a stage may make an item in several windows, each in so many steps
            self._window, self._calls, self._seconds = self._window + 1, 0, 0.0

    def _add(self, row: tuple[object, ...]) -> None:
        try:
            with self._path.open("a", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerow(row)
        except OSError as error:
            raise ConfigError(
                f"stopwatch: {printable(self._path)}: {error.strerror}; name a file in a folder that you may write to"
            ) from error
