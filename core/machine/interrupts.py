"""Signals held back: where an exception would be lost, and where a step is to be finished and saved first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Interrupted", "interrupts_held", "signals_held"]


class Interrupted(Exception):  # noqa: N818  # it is no error
    """A signal ended the run after a step; everything is saved.

    Attributes:
        signal: its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {number}")
        self.signal = number


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Let SIGINT and SIGTERM act at the end of the block instead of within it; keep the block short.

    For libraries that call back from C, which no exception can pass through.
    """
    wanted = (signal.SIGINT, signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or any(map(_foreign, wanted)):
        yield
        return
    came: list[int] = []
    before = [signal.signal(number, lambda number, frame: came.append(number)) for number in wanted]
    try:
        yield
    finally:
        for number, handler in zip(wanted, before, strict=True):
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


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


def _foreign(number: int) -> bool:
    """Whether a handler was not set by Python, which could not put it back."""
    return signal.getsignal(number) is None
