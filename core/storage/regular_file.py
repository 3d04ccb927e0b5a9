"""Opening of files that others made: regular files only, so that nothing blocks, loops or is a device."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

from ..errors import MediaError
from ..naming import printable

__all__ = ["open_regular"]


def open_regular(path: str | os.PathLike[str], *, follow: bool = True, name: str | None = None) -> BinaryIO:
    """Open a regular file that is not empty, for reading bytes.

    Args:
        path: the file.
        follow: whether the last part of ``path`` may be a symbolic link.
        name: what messages call it; ``path`` if omitted.

    Raises:
        MediaError: there is no such file, it may not be read, it is a folder, pipe, device or socket, or it is empty.
    """
    where = f"cannot read: {printable(path if name is None else name)}"
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    # A pipe without a writer would block the opening for ever.
    flags |= getattr(os, "O_NONBLOCK", 0) | (0 if follow else getattr(os, "O_NOFOLLOW", 0))
    try:
        handle = os.open(path, flags)
    except (OSError, ValueError) as error:
        why = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
        raise MediaError(f"{where}: {why}; check the name and its permissions") from error
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise MediaError(f"{where}: this is no regular file; name a file")
        if status.st_size == 0:
            raise MediaError(f"{where}: empty file; make it again")
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise
