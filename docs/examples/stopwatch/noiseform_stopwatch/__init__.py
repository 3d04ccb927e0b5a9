"""A subcommand and an observer. This module only names them: it is imported whenever noiseform starts."""

from __future__ import annotations

import os

from noiseform import hookimpl

noiseform_api = 1  # the version of the hooks that this is written for


@hookimpl
def noiseform_commands():
    return {"stopwatch": "noiseform_stopwatch.command:stopwatch"}


@hookimpl
def noiseform_sampling_observers(run):
    file = os.environ.get("NOISEFORM_STOPWATCH")
    if not file:
        return None  # nobody asked: the run is not watched, and costs nothing
    from .step_times import StepTimes

    watch = StepTimes(file, every=os.environ.get("NOISEFORM_STOPWATCH_EVERY", "1"))
    watch.begin(run)
    return watch
