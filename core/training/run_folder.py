"""The folder of a run: whether a training may begin in it, and what one goes on from."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from ..errors import CheckpointError, ConfigError, NoiseformError
from ..naming import printable
from ..storage.checkpoint import AllDamagedError, Checkpoint, has_checkpoints, latest_checkpoint
from ..storage.model_folder import is_model_folder, load_model_folder
from ..storage.run_lock import RUN_LOCK
from ..storage.temporary import clean_stale

__all__ = ["SAMPLES", "check_run_folder", "left_off"]

SAMPLES = "samples"
"""Name of the folder of pictures in a run's folder."""

_OWN = {"checkpoints", "log.jsonl", "loss.png", SAMPLES, "skipped.jsonl"}


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


def left_off(folder: Path) -> Checkpoint | None:
    """Return where a run was left off, or None where it saved nothing; remove what interrupted writers left.

    Args:
        folder: of the run, whose lock is held.

    Raises:
        CheckpointError: there are checkpoints and none is whole, or the newest is of a later noiseform.
    """
    for place in (folder, folder / SAMPLES):
        clean_stale(place)
    try:
        return latest_checkpoint(folder, clean=True)
    except AllDamagedError as error:
        raise CheckpointError(f"{error}; start anew in another folder with -o{_from_model(folder)}") from error


def _from_model(folder: Path) -> str:
    """Return how a new run starts from the model in the folder, as far as that is whole."""
    with suppress(NoiseformError):
        load_model_folder(folder)
        start = json.dumps(os.fspath(folder), ensure_ascii=False)
        return f", from its model, which is whole, with start = {start} under [training]"
    return ""


def _foreign(folder: Path) -> list[str]:
    """Return the files in a folder that no run has begun in."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:  # there is none, or none that can be read: told when it is written
        return []
    if RUN_LOCK in names:  # a run that did not come to its first checkpoint; what it and its observers left is its own
        return []
    return [name for name in names if name not in _OWN and not name.startswith(".")]
