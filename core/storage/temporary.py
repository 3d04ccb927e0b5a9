"""The names of temporary files and folders, by which those of dead writers are told from those in use."""

from __future__ import annotations

import os
import secrets
import shutil
import time
import zlib
from contextlib import suppress
from pathlib import Path

__all__ = ["TEMPORARY_PREFIX", "clean_stale", "temporary_for"]

TEMPORARY_PREFIX = ".noiseform-tmp-"
"""Start of the name of every temporary file; ``<place>-<pid>-<random><suffix>`` follows."""

ABANDONED_SECONDS = 24 * 3600.0
"""Age after which a temporary file of an unknown machine counts as abandoned: no writer takes a day."""


def temporary_for(target: Path) -> Path:
    """Return a name, not taken, for a temporary file or folder beside ``target``, with its ending."""
    suffix = target.suffix if len(target.suffix) <= 16 else ""
    return target.parent / f"{TEMPORARY_PREFIX}{_place()}-{os.getpid()}-{secrets.token_hex(4)}{suffix}"


def clean_stale(folder: str | os.PathLike[str]) -> int:
    """Remove the temporary files and folders in ``folder`` whose writers are dead; return how many.

    A file of this machine goes when no process has its number any more, any other when it is a day old.
    """
    removed = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(TEMPORARY_PREFIX) and _abandoned(entry):
                with suppress(OSError):
                    shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
                    removed += 1
    return removed


def _place() -> str:
    """Tag of the machine and the space of process numbers, in which a pid has a meaning."""
    space = b""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid").encode()
    machine = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return f"{zlib.crc32(machine.encode() + space):08x}"


def _abandoned(entry: os.DirEntry[str]) -> bool:
    try:
        place, pid, _ = entry.name.removeprefix(TEMPORARY_PREFIX).split("-", 2)
        if place == _place() and not _alive(int(pid)):
            return True
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > ABANDONED_SECONDS
    except (ValueError, OSError):
        return False


def _alive(pid: int) -> bool:
    if os.name == "nt":  # there os.kill would end the process that it asks after
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
