"""Training checkpoints: folders that are whole or absent, whenever the process or the machine dies.

``RUN/checkpoints/step-00001000/`` holds ``<name>.safetensors`` for each set of tensors (model, ema, optimizer…),
``state.json`` and ``manifest.json``. It is made under another name, every file forced to the disk, the manifest last,
and then renamed. Nothing is ever changed in place, older checkpoints go only when the new one is complete, and loading
checks every sha256 and steps back to the checkpoint before a damaged one.

One trainer at a time writes: hold a `run_lock.RunLock`.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..errors import CheckpointError, ConfigError, NoiseformError, NumericError, ResourceError
from ..naming import printable
from .atomic import sync_folder, write_whole
from .manifest import FORMAT, MANIFEST, FileEntry, NewerFormatError, describe, read_entries, read_manifest, read_small
from .strict_json import dump_json, parse_json_object
from .weights import is_finite, load_tensors, save_tensors

__all__ = [
    "AllDamagedError",
    "Checkpoint",
    "has_checkpoints",
    "latest_checkpoint",
    "latest_state",
    "load_checkpoint",
    "save_checkpoint",
]

FOLDER = "checkpoints"
STATE = "state.json"
_SUFFIX = ".safetensors"
_PARTIAL = ".partial-"  # being written, or being removed
_COMPLETE = re.compile(r"step-(\d{8,15})(?:-(\d{1,6}))?")
_SET_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SHOWN = 5  # of damaged checkpoints named in an error


class AllDamagedError(CheckpointError):
    """There are checkpoints, and none of them is whole; what to do about it is for the caller to say."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory, every file checked against its sha256.

    Attributes:
        path: its folder.
        step: the training step after which it was saved.
        tensors: for each set (``model``, ``ema``, ``optimizer``…) the tensors by name.
        state: the rest, as it was given to `save_checkpoint`.
        notes: what the user should hear, such as that a damaged newer checkpoint was passed over.
    """

    path: Path
    step: int
    tensors: dict[str, dict[str, torch.Tensor]]
    state: dict[str, object]
    notes: tuple[str, ...] = ()


def save_checkpoint(
    run: Path,
    step: int,
    tensors: Mapping[str, Mapping[str, torch.Tensor]],
    state: Mapping[str, object],
    *,
    keep: int = 3,
    allow_nonfinite: bool = False,
) -> Path:
    """Save a checkpoint, then remove all but the ``keep`` newest.

    Args:
        run: the run's folder.
        step: the training step, at least 0; saving a step again keeps the earlier copy until the new one is complete.
        tensors: sets of tensors by name; the set ``model`` becomes ``model.safetensors``.
        state: whatever JSON can say: random states go to ``tensors``, nested state through `state_tree.flatten_state`.
        keep: how many checkpoints stay, at least 1.
        allow_nonfinite: save NaN and infinity, which loading refuses by default.

    Returns:
        The checkpoint's folder.

    Raises:
        NumericError: when a tensor is not finite.
        ResourceError: when the disk is full; every earlier checkpoint is intact then.
        ConfigError: when the folder cannot be written.
    """
    if step < 0 or keep < 1 or not all(map(_SET_NAME.fullmatch, tensors)):
        raise ValueError(f"step {step} must be at least 0, keep {keep} at least 1, names {sorted(tensors)} plain")
    if not allow_nonfinite:
        _refuse_nonfinite(tensors)
    folder = run / FOLDER
    temporary = folder / f"{_PARTIAL}{step:08d}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_partial(run)
        os.mkdir(temporary)
        _write_files(temporary, step, tensors, state)
        final = _free_name(folder, step)
        os.rename(temporary, final)
    except OSError as error:
        raise _explained(error, folder) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_folder(folder)
    sync_folder(run)
    for _, _, old in [entry for entry in _complete(folder) if entry[0] <= step][keep:]:
        _remove(old)
    return final


def latest_checkpoint(run: Path, *, clean: bool = False, allow_nonfinite: bool = False) -> Checkpoint | None:
    """Load the checkpoint of the highest step that is whole; None when there is none at all.

    Args:
        run: the run's folder.
        clean: also remove what interrupted saves left, and set damaged checkpoints that are newer than the one loaded
            aside (renamed, not removed). Only the holder of the run's lock may ask for it.
        allow_nonfinite: accept NaN and infinity.

    Raises:
        AllDamagedError: when there are checkpoints and none is whole; they keep their names, so that the next try
            finds the same.
        CheckpointError: when the newest is of a later noiseform.
    """
    folder = run / FOLDER
    if clean:
        remove_partial(run)
    damaged: list[tuple[Path, CheckpointError]] = []
    for _, _, path in _complete(folder):
        try:
            found = load_checkpoint(path, allow_nonfinite=allow_nonfinite)
        except NewerFormatError:
            raise
        except CheckpointError as error:
            if not os.path.lexists(path):  # a trainer at work pruned it under our hands, so there are newer ones
                return latest_checkpoint(run, clean=clean, allow_nonfinite=allow_nonfinite)
            damaged.append((path, error))
            continue
        notes = [
            f"checkpoint {bad.name} is damaged{f' and set aside as {_set_aside(bad).name}' if clean else ''}, "
            f"{path.name} is used: {error}"
            for bad, error in damaged
        ]
        return replace(found, notes=tuple(notes))
    if damaged:
        shown = "; ".join(f"{bad.name}: {_why(error)}" for bad, error in damaged[:_SHOWN])
        more = f"; and {len(damaged) - _SHOWN} more" if len(damaged) > _SHOWN else ""
        raise AllDamagedError(f"checkpoints: {printable(folder)}: none of {len(damaged)} is whole ({shown}{more})")
    return None


def latest_state(run: Path) -> dict[str, object]:
    """Return the state in the newest checkpoint, unchecked and without its tensors; empty where there is none to read.

    To look at before the run is set up; :func:`latest_checkpoint` says which one it goes on from.
    """
    for _, _, path in _complete(run / FOLDER):
        with suppress(NoiseformError):
            state = parse_json_object(read_small(path / STATE), f"checkpoint: {printable(path)}").get("state")
            if isinstance(state, dict):
                return state
    return {}


def has_checkpoints(run: Path) -> bool:
    """Tell whether a run has saved anything to continue from, without looking into it."""
    return bool(_complete(run / FOLDER))


def load_checkpoint(path: Path, *, allow_nonfinite: bool = False) -> Checkpoint:
    """Load one checkpoint's folder.

    Raises:
        CheckpointError: when anything of it is missing, damaged or not as its manifest says.
    """
    match = _COMPLETE.fullmatch(path.name)
    if match is None:
        raise CheckpointError(
            f"checkpoint: {printable(path)}: no folder of a checkpoint; name one such as step-00001000"
        )
    source = f"checkpoint: {printable(path)}"
    raw = read_manifest(path)
    entries = read_entries(path, raw.get("files"))
    data = read_small(path / STATE)
    if STATE not in entries or describe(data) != entries[STATE]:
        raise CheckpointError(f"{source}: {STATE} is not the one of the manifest; take an earlier checkpoint")
    content = parse_json_object(data, f"{source}: {STATE}")
    step, state = content.get("step"), content.get("state")
    if not isinstance(state, dict) or not isinstance(step, int) or not raw.get("step") == step == int(match[1]):
        raise CheckpointError(
            f"{source}: its name, manifest and state disagree on the step; take an earlier checkpoint"
        )
    if sorted(entries) != content.get("files"):
        raise CheckpointError(f"{source}: manifest and state disagree on the files; take an earlier checkpoint")
    tensors = {
        name.removesuffix(_SUFFIX): load_tensors(path / name, entry.sha256, allow_nonfinite=allow_nonfinite)
        for name, entry in entries.items()
        if name != STATE
    }
    return Checkpoint(path, step, tensors, state)


def remove_partial(run: Path) -> int:
    """Remove what interrupted saves and removals left; return how many. Only for the holder of the run's lock."""
    stale = [path for path in _listing(run / FOLDER) if path.name.startswith(_PARTIAL)]
    for path in stale:
        shutil.rmtree(path, ignore_errors=True)
    return len(stale)


def _write_files(
    folder: Path, step: int, tensors: Mapping[str, Mapping[str, torch.Tensor]], state: Mapping[str, object]
) -> None:
    """Write every file of a checkpoint, each forced to the disk, the manifest last."""
    entries: dict[str, FileEntry] = {}
    for name in sorted(tensors):
        path = folder / f"{name}{_SUFFIX}"
        sha256 = save_tensors(path, tensors[name], {"format": "pt"})
        entries[path.name] = FileEntry(sha256, path.stat().st_size)
    data = dump_json({"step": step, "files": sorted([*entries, STATE]), "state": dict(state)})
    write_whole(folder / STATE, data)
    entries[STATE] = describe(data)
    files = {name: entry.as_json() for name, entry in sorted(entries.items())}
    write_whole(folder / MANIFEST, dump_json({"format": FORMAT, "step": step, "files": files}))


def _refuse_nonfinite(tensors: Mapping[str, Mapping[str, torch.Tensor]]) -> None:
    for group, members in tensors.items():
        for name, tensor in members.items():
            if not is_finite(tensor):
                raise NumericError(
                    f"checkpoint: {group}: {name} holds NaN or infinity; it is not saved, those before it stay; "
                    "lower the learning rate or clip gradients"
                )


def _listing(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:  # not the same as no checkpoint: training must not start from nothing
        raise _explained(error, folder) from error


def _complete(folder: Path) -> list[tuple[int, int, Path]]:
    """Checkpoints by their names, newest first: (step, how many times saved, path)."""
    matches = [(match, path) for path in _listing(folder) if (match := _COMPLETE.fullmatch(path.name))]
    return sorted(((int(match[1]), int(match[2] or 1), path) for match, path in matches), reverse=True)


def _free_name(folder: Path, step: int) -> Path:
    """The name for a new checkpoint of ``step``, newer than any earlier one of the same step."""
    saves = [count for known, count, _ in _complete(folder) if known == step]
    return folder / (f"step-{step:08d}-{saves[0] + 1}" if saves else f"step-{step:08d}")


def _why(error: CheckpointError) -> str:
    """Return what an error says but for its cure, which is another where no other checkpoint is left."""
    return str(error).rpartition("; ")[0] or str(error)


def _set_aside(path: Path) -> Path:
    """Rename a damaged checkpoint so that it is passed over from now on."""
    aside = path.with_name(f"damaged-{path.name}")
    count = 1
    while aside.exists():
        count += 1
        aside = path.with_name(f"damaged-{path.name}.{count}")
    with suppress(OSError):
        path.rename(aside)
    return aside


def _remove(path: Path) -> None:
    """Remove a checkpoint; by another name first, so that half of one never counts as a checkpoint."""
    doomed = path.with_name(f"{_PARTIAL}old-{path.name}")
    with suppress(OSError):
        path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def _explained(error: OSError, folder: Path) -> NoiseformError:
    why = (error.strerror or "failed").lower()
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        return ResourceError(
            f"checkpoint: {printable(folder)}: {why}; free some space, the earlier checkpoints are intact"
        )
    return ConfigError(f"checkpoint: {printable(folder)}: {why}; choose a folder that can be written")
