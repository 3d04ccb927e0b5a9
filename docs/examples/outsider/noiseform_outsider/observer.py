"""An observer of training: it watches the steps and changes nothing."""

from __future__ import annotations

from pathlib import Path


class StepTimes:
    """Writes how long each step took, in milliseconds.

    Args:
        path: a CSV file, started again with each run.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.before = path, 0.0
        path.write_text("step,milliseconds\n", encoding="utf-8")

    def __call__(self, step) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{step.step},{(step.seconds - self.before) * 1000:.2f}\n")
        self.before = step.seconds
