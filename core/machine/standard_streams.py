"""Standard input, output and error of a program: there even where they were closed, and named where output fails."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

__all__ = ["STANDARD_OUTPUT", "open_closed_streams", "output_named"]

STANDARD_OUTPUT = "standard output"
"""What stands in the place of the file name where it cannot be written to."""


def open_closed_streams() -> None:
    """Open those of the three streams that were closed before the start, as some daemons leave them, on nothing.

    Their descriptors are taken too: the next file that is opened would get the number, and with it whatever a library
    or a child process writes there. For programs, which the library is not.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one
            os.set_inheritable(null, True)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nothing = open(os.devnull, mode, encoding="utf-8", errors="backslashreplace")  # noqa: SIM115  # for good
            setattr(sys, name, nothing)


@contextlib.contextmanager
def output_named() -> Iterator[None]:
    """Have errors in writing to standard output say so, since the error of a write names no file; ends with a flush."""
    with contextlib.redirect_stdout(cast(TextIO, _Named(sys.stdout))):
        try:
            yield
        finally:
            sys.stdout.flush()


class _Named:
    """A stream that names itself in its errors; otherwise the one that it is given."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with _naming():
            return self._stream.write(text)

    def flush(self) -> None:
        with _naming():
            self._stream.flush()


@contextlib.contextmanager
def _naming() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename = STANDARD_OUTPUT
        raise
