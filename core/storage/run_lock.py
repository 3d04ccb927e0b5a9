"""The lock that keeps a second trainer out of a run's folder."""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import ConfigError
from ..naming import printable

try:
    import fcntl
except ImportError:  # Windows has none, and no locks that end with the process however it ends
    fcntl = None  # type: ignore[assignment]

__all__ = ["RUN_LOCK", "RunLock"]

RUN_LOCK = ".lock"
"""Name of the file that is locked."""


class RunLock:
    """A lock (flock) on ``RUN/.lock``, held until `release` or the end of this process, however it ends.

    ``with RunLock(run): train()``

    A folder in which nothing was written before an error is left as it was found: without the lock's file, and not at
    all where it was made for the lock.

    Processes forked from this one, such as data loaders, do not hold it, so that one which outlives
    its killed trainer does not stand in the way of a resume.
    """

    def __init__(self, run: Path) -> None:
        """Take the lock, making the folder where it is missing.

        Raises:
            ConfigError: when another trainer holds it, the folder cannot be written, or the system has no such locks.
        """
        self.run = run
        self._handle = -1
        if fcntl is None:
            raise ConfigError("training: this system has no file locks (flock); train on Linux or macOS")
        self._made = [folder for folder in (run, *run.parents) if not os.path.exists(folder)]
        try:
            run.mkdir(parents=True, exist_ok=True)
            handle = self._opened()
        except OSError as error:
            why = (error.strerror or "failed").lower()
            raise ConfigError(
                f"run folder: {printable(run)}: cannot be written ({why}); choose another with -o"
            ) from error
        self._handle = handle
        with suppress(OSError):  # a full disk: the number is only for people
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
        _held.add(self)

    def _opened(self) -> int:
        """Return the locked file."""
        path = self.run / RUN_LOCK
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
                os.close(handle)
                by = f" by process {printable(holder)}" if holder else ""
                raise ConfigError(
                    f"run folder: {printable(self.run)}: another training holds it{by}; "
                    "wait for it, stop it, or choose another folder with -o"
                ) from error
            except OSError as error:
                os.close(handle)
                raise ConfigError(
                    f"run folder: {printable(self.run)}: its file system has no locks; choose a local folder with -o"
                ) from error
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), os.stat(path)):
                    return handle
            os.close(handle)  # its last holder removed the file meanwhile, so nobody else would meet our lock

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        _held.discard(self)
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _undo(self) -> None:
        """Remove the file, and the folders that were made for it, where nothing else has come into them."""
        with suppress(OSError):
            if os.listdir(self.run) == [RUN_LOCK]:
                (self.run / RUN_LOCK).unlink()
                for folder in self._made:
                    folder.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._undo()
        self.release()


_held: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _close_in_child() -> None:
    """Close the child's copies; the lock belongs to the open file, which the parent still has."""
    for lock in list(_held):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
