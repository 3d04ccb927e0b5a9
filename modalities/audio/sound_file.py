"""Sound files of libsndfile, which calls back into Python to read and write: interrupts wait until it has returned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...core.machine.interrupts import interrupts_held

if TYPE_CHECKING:
    from soundfile import SoundFile

__all__ = ["opened"]


@contextmanager
def opened(file: object, *mode: object, **format: object) -> Iterator[SoundFile]:
    """Open a file object as `soundfile.SoundFile` does, with the same arguments, and close it at the end."""
    import soundfile

    sound = None
    try:
        with interrupts_held():
            sound = soundfile.SoundFile(file, *mode, **format)
        yield sound
    finally:
        if sound is not None:
            with interrupts_held():
                sound.close()
