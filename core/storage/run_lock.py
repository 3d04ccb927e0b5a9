"""The lock that keeps a second trainer out of a run's folder."""

from __future__ import annotations

import fcntl
import os
import weakref
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import ConfigError
from ..naming import printable

__all__ = ["RunLock"]

_NAME = ".lock"


class RunLock:
    """A lock (flock) on ``RUN/.lock``, held until `release` or the end of this process, however it ends.

    ``with RunLock(run): train()``

    Processes forked from this one, such as data loaders, do not hold it, so that one which outlives
    its killed trainer does not stand in the way of a resume.
    """

    def __init__(self, run: Path) -> None:
        """Take the lock, making the folder where it is missing.

        Raises:
            ConfigError: when another trainer holds it, or the folder cannot be written.
        """
        self.run = run
        self._handle = -1
        try:
            run.mkdir(parents=True, exist_ok=True)
            handle = os.open(run / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            why = (error.strerror or "failed").lower()
            raise ConfigError(
                f"run folder: {printable(run)}: cannot be written ({why}); choose another with -o"
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            os.close(handle)
            by = f" by process {printable(holder)}" if holder else ""
            raise ConfigError(
                f"run folder: {printable(run)}: another training holds it{by}; "
                "wait for it, stop it, or choose another folder with -o"
            ) from error
        except OSError as error:
            os.close(handle)
            raise ConfigError(
                f"run folder: {printable(run)}: its file system has no locks; choose a local folder with -o"
            ) from error
        self._handle = handle
        with suppress(OSError):  # a full disk: the number is only for people
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
        _held.add(self)

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        _held.discard(self)
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


_held: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _close_in_child() -> None:
    """Close the child's copies; the lock belongs to the open file, which the parent still has."""
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_close_in_child)
