"""A terminal that has hung up: what is still to be said is said to nobody, and ends nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator

__all__ = ["heard_or_not"]


@contextlib.contextmanager
def heard_or_not() -> Iterator[None]:
    """Go on after a block that writes to a terminal which is gone; all that is written to it later goes nowhere."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, OSError):  # there is none, or one without a number
                if stat.S_ISCHR(os.fstat(stream.fileno()).st_mode):  # isatty() knows it no more
                    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
