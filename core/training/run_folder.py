"""The folder of a run: whether a training may begin in it."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import ConfigError
from ..naming import printable
from ..storage.checkpoint import has_checkpoints
from ..storage.model_folder import is_model_folder
from ..storage.run_lock import RUN_LOCK

__all__ = ["check_run_folder"]

_OWN = {"checkpoints", "log.jsonl", "loss.png", "samples", "skipped.jsonl"}


def check_run_folder(folder: Path, *, resume: bool, data: Path | None = None) -> None:
    """Refuse a folder that a run must not be started in, or that holds one already.

    Args:
        folder: of the run.
        resume: whether a run that is there is to be continued.
        data: where the items lie.

    Raises:
        ConfigError: it lies in the data, holds files of something else, a model, or (without ``resume``) a run.
    """
    shown = printable(folder)
    there = os.path.isdir(folder)  # which takes any name, as is_dir() does not
    if there and has_checkpoints(folder):
        if not resume:
            raise ConfigError(
                f"run folder: {shown}: holds a training already; "
                "continue it with --resume, or choose another folder with -o"
            )
        return
    if data is not None and folder.resolve().is_relative_to(data.resolve()):
        raise ConfigError(f"run folder: {shown}: lies inside the data; choose another folder with -o")
    if there and is_model_folder(folder):
        raise ConfigError(
            f"run folder: {shown}: holds a model without checkpoints, which would be replaced; "
            "choose another folder with -o"
        )
    foreign = _foreign(folder)
    if foreign:
        raise ConfigError(
            f"run folder: {shown}: holds other files, such as {printable(foreign[0])}; choose a new folder with -o"
        )


def _foreign(folder: Path) -> list[str]:
    """Return the files in a folder that no run has begun in."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:  # there is none, or none that can be read: told when it is written
        return []
    if RUN_LOCK in names:  # a run that did not come to its first checkpoint; what it and its observers left is its own
        return []
    return [name for name in names if name not in _OWN and not name.startswith(".")]
