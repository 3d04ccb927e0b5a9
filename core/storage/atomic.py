"""Files that are written whole or not at all.

Every writer works on a temporary file in the folder of its target, which is forced to the disk and then given the
target's name in one step. A crash, a full disk or a second writer can therefore never leave a torn file under the final
name, and what stood there before stays until the new file is complete.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..errors import ConfigError, NoiseformError, ResourceError
from ..naming import printable
from .temporary import clean_stale, temporary_for

__all__ = [
    "check_writable",
    "publish_folder",
    "replace_folder",
    "sync_folder",
    "temporary_folder",
    "whole_file",
    "write_whole",
]

_EXHAUSTED = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_CURES = {
    errno.ENOSPC: "free some space or choose another place",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f) or choose another place",
    errno.EDQUOT: "free some of the quota or choose another place",
    errno.ENOENT: "make the folder first",
    errno.ENOTDIR: "name a folder, not a file, before the last slash",
    errno.EISDIR: "name a file, not a folder",
    errno.ENOTEMPTY: "choose another name",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "choose a place that you may write to",
    errno.ENAMETOOLONG: "choose a shorter name",
}


@contextmanager
def whole_file(
    path: str | os.PathLike[str], *, overwrite: bool = False, failures: tuple[type[Exception], ...] = ()
) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the name ``path`` when the block ends well, and vanishes when it does not.

    The file is open for reading and writing bytes; its ``name`` is the path of the temporary file, for libraries that
    write by name.

    Args:
        path: where the file shall stand. A symbolic link there is replaced, never followed.
        overwrite: replace what stands there. Otherwise an existing target is refused, without a race: of several
            writers of one name exactly one wins.
        failures: exceptions besides OSError by which a library reports that it could not write.

    Raises:
        ConfigError: the target exists, or its place is missing, no folder or not writable.
        ResourceError: the disk is full, or a limit on file sizes or a quota is reached.
    """
    target = Path(path)
    temporary = temporary_for(target)
    try:
        _refuse_target(target, overwrite)
        try:
            with open(temporary, "x+b") as file:
                yield file
            _force(temporary)
            _publish(temporary, target, overwrite)
        finally:
            with suppress(OSError):
                os.unlink(temporary)
        sync_folder(target.parent)
    except OSError as error:
        raise _explained(error, target) from error
    except failures as error:
        raise ResourceError(
            f"cannot write: {printable(target)}: {printable(str(error))}; check the free space of the disk"
        ) from error


@contextmanager
def temporary_folder(beside: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a folder in the folder of ``beside`` that is gone when the block ends, unless it was published.

    Raises:
        ConfigError: the place is missing, no folder or not writable.
        ResourceError: the disk is full.
    """
    target = Path(beside)
    temporary = temporary_for(target)
    clean_stale(target.parent)
    try:
        os.mkdir(temporary)
        try:
            yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise _explained(error, target) from error


def publish_folder(temporary: Path, target: Path) -> None:
    """Give a finished temporary folder its name in one step; what stands there, but for an empty folder, is refused.

    The files in it are forced to the disk by their own writers.
    """
    try:
        os.rename(temporary, target)
        sync_folder(target.parent)
    except OSError as error:
        raise _explained(error, target) from error


def replace_folder(temporary: Path, target: Path) -> None:
    """Give a finished temporary folder the name of what stands there, which goes; should that fail, it comes back."""
    aside = temporary_for(target)
    try:
        os.rename(target, aside)
    except OSError as error:
        raise _explained(error, target) from error
    try:
        publish_folder(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.rename(aside, target)
        raise
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        with suppress(OSError):
            os.unlink(aside)


def write_whole(path: str | os.PathLike[str], data: bytes | str, *, overwrite: bool = False) -> None:
    """Write bytes, or text as UTF-8, to ``path``: whole or not at all. Raises what :func:`whole_file` raises."""
    with whole_file(path, overwrite=overwrite) as file:
        file.write(data.encode("utf-8") if isinstance(data, str) else data)


def check_writable(*paths: str | os.PathLike[str], overwrite: bool = False, folders: Sequence[str] = ()) -> None:
    """Find out, before any work is done, whether ``paths`` could be written now; leaves nothing behind.

    Also removes the temporary files that dead processes left in their folders, each of which is tried once.

    Args:
        paths: files; and folders, where their names have one of the endings ``folders``.
        overwrite: what stands there may be replaced.
        folders: endings of the names of folders that are written as one.

    Raises: what :func:`whole_file` raises.
    """
    tried: set[Path] = set()
    for target in map(Path, paths):
        try:
            _refuse_target(target, overwrite, folder=target.suffix.lower() in folders)
            if target.parent not in tried:
                tried.add(target.parent)
                clean_stale(target.parent)
                _try_folder(target)
        except OSError as error:
            raise _explained(error, target) from error


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Force the names in ``folder`` to the disk, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _try_folder(target: Path) -> None:
    """Write a byte beside the target, and remove it."""
    temporary = temporary_for(target)
    try:
        with open(temporary, "xb") as file:
            file.write(b"\0")
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def _refuse_target(target: Path, overwrite: bool, *, folder: bool = False) -> None:
    """Raise where the name is taken by something that must not be replaced; a folder by a folder may be."""
    if "\0" in str(target):
        raise ConfigError(f"cannot write: {printable(target)}: a name cannot hold a NUL; choose another name")
    if not target.name:
        raise ConfigError(f"cannot write: {printable(target)}: this names a folder; name a file")
    try:
        mode = os.lstat(target).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode) and not folder:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
        raise ConfigError(f"cannot write: {printable(target)}: this is a device or a pipe; choose another name")
    if not overwrite:
        raise _taken(target)


def _taken(target: Path) -> ConfigError:
    return ConfigError(
        f"cannot write: {printable(target)}: it exists; choose another name, or replace it with --overwrite "
        "(in Python overwrite=True)"
    )


def _force(temporary: Path) -> None:
    """Bring the bytes to the disk; by name, since a library may have put another file in place of ours."""
    handle = os.open(temporary, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _publish(temporary: Path, target: Path, overwrite: bool) -> None:
    """Give the finished file its name in one step: by rename where it may replace, else by a link, which never does."""
    if overwrite:
        os.replace(temporary, target)
        return
    try:
        os.link(temporary, target, follow_symlinks=False)
    except FileExistsError:
        raise _taken(target) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # No hard links on this file system: reserve the name, then replace our own empty reservation.
        try:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            raise _taken(target) from None
        os.replace(temporary, target)


def _explained(error: OSError, target: Path) -> NoiseformError:
    """Return the error of ours that says what the system's error means for the writing of ``target``."""
    number = error.errno or errno.EIO
    cure = _CURES.get(number, "choose another place")
    message = f"cannot write: {printable(target)}: {os.strerror(number).lower()}; {cure}"
    return ResourceError(message) if number in _EXHAUSTED else ConfigError(message)
