"""A file given to a library in C: what fails in its calls back into Python is kept, and raised where it can be told."""

from __future__ import annotations

import os
from typing import BinaryIO

__all__ = ["GuardedFile"]


class GuardedFile:
    """A file whose failures are kept and raised later: libraries would swallow them, or hand them on changed.

    ValueError is the failure of a file that an interrupt has closed before the library was done with it.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._failure: OSError | ValueError | None = None

    def raise_failure(self) -> None:
        """Raise the first failure, if there was one."""
        if self._failure is not None:
            raise self._failure

    def write(self, data: bytes) -> int:
        if self._failure is None:
            try:
                return self._file.write(data)
            except (OSError, ValueError) as error:
                self._failure = error
        return len(data)

    def read(self, count: int = -1) -> bytes:
        return self._file.read(count)

    def readinto(self, buffer: bytearray) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(place, whence)
        except (OSError, ValueError) as error:  # seeking writes out what is still held back
            self._failure = self._failure or error
            return 0

    def tell(self) -> int:
        return 0 if self._file.closed else self._file.tell()
