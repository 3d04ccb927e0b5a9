"""Signals that end a run, held until a step is finished and saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Interrupted", "signals_held"]


class Interrupted(Exception):  # noqa: N818  # it is no error
    """A signal ended the run after a step; everything is saved.

    Attributes:
        signal: its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {number}")
        self.signal = number


@contextmanager
def signals_held() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM, so that a step is finished and saved before the run ends.

    A second signal acts at once.
    """
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    wanted = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in wanted}

    def note(number: int, frame: object) -> None:
        caught.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in wanted:
        signal.signal(number, note)
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
