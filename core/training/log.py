"""What a run writes down: its losses, one JSON object a step, a picture of them, and the files it could not use."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import ResourceError
from ..naming import printable
from ..storage.atomic import whole_file, write_whole

__all__ = ["LossLog", "write_skipped"]


class LossLog:
    """``RUN/log.jsonl``: step, loss, learning rate and norm of the gradient of every step.

    Args:
        path: of the file.
        after: steps already done; what the file says of later ones (an interrupted run's) is forgotten.
    """

    def __init__(self, path: Path, *, after: int) -> None:
        self._path = path
        self.entries: list[dict[str, float]] = []
        if path.exists():
            for line in path.read_bytes().splitlines():
                try:
                    entry = json.loads(line)
                    done = entry["step"] <= after
                except (ValueError, TypeError, KeyError):  # cut off by a kill: of a step that will be done again
                    break
                if done:
                    self.entries.append(entry)
        with whole_file(path, overwrite=True) as file:
            file.write("".join(json.dumps(entry) + "\n" for entry in self.entries).encode())
        self._file = path.open("ab", buffering=0)
        self._size = path.stat().st_size
        self._pending: list[str] = []

    def add(self, **entry: float) -> None:
        """Note one step; it is written down with the next :meth:`flush`."""
        self.entries.append(entry)
        self._pending.append(json.dumps(entry) + "\n")

    def flush(self, *, to_disk: bool = False) -> None:
        """Write down what was noted, and hand it on to the disk if asked.

        Raises:
            ResourceError: the disk is full; nothing was written, and what was noted is still there for the next time.
        """
        lines = memoryview("".join(self._pending).encode())
        try:
            while lines:
                lines = lines[self._file.write(lines) :]
            if to_disk:
                os.fsync(self._file.fileno())
        except OSError as error:
            os.ftruncate(self._file.fileno(), self._size)
            why = (error.strerror or "failed").lower()
            raise ResourceError(f"cannot write: {printable(self._path)}: {why}; make room and --resume") from error
        self._size = os.fstat(self._file.fileno()).st_size
        self._pending.clear()

    def close(self) -> None:
        """Write down what was noted, as far as there is room, and close the file."""
        with contextlib.suppress(ResourceError):
            self.flush()
        self._file.close()

    def plot(self, path: Path) -> None:
        """Draw the loss over the steps, each one faint and a running mean of them strong, into a PNG file."""
        from matplotlib.figure import Figure  # takes long to import
        from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

        steps = [entry["step"] for entry in self.entries]
        losses = [entry["loss"] for entry in self.entries]
        mean, smooth = 0.0, []
        for count, loss in enumerate(losses, 1):
            mean = 0.98 * mean + 0.02 * loss
            smooth.append(mean / (1 - 0.98**count))  # of those that there are
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.subplots()
        axes.plot(steps, losses, color="#8aa4c8", linewidth=0.5, alpha=0.6, label="each step")
        axes.plot(steps, smooth, color="#1f3b6e", linewidth=1.6, label="running mean")
        axes.set(xlabel="step", ylabel="loss", yscale="log" if losses and min(losses) > 0 else "linear")
        axes.grid(alpha=0.25)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        low, high = axes.get_ylim()
        plain = FuncFormatter(lambda value, place: f"{value:g}")
        axes.yaxis.set_major_formatter(plain)
        axes.yaxis.set_minor_formatter(plain if high < 30 * low else NullFormatter())  # over many decades they collide
        axes.legend(frameon=False)
        with whole_file(path, overwrite=True) as file:
            figure.savefig(file, format="png", dpi=110)


def write_skipped(path: Path, skipped: Sequence[tuple[str, str]]) -> None:
    """Write down which files could not be used, name and reason, one JSON object a line; nothing where all could."""
    if skipped:
        lines = (json.dumps({"name": name, "reason": reason}) + "\n" for name, reason in skipped)
        write_whole(path, "".join(lines), overwrite=True)
