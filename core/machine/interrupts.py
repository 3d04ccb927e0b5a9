"""Interrupts held back where they would be lost: an exception cannot pass through a library that calls back from C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["interrupts_held"]


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Let SIGINT and SIGTERM act at the end of the block instead of within it; keep the block short."""
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


def _foreign(number: int) -> bool:
    """Whether a handler was not set by Python, which could not put it back."""
    return signal.getsignal(number) is None
