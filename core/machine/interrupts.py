"""Signals held back: where an exception would be lost, and where a step is to be finished and saved first."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Interrupted", "ending_signals", "interrupts_held", "interrupts_kept", "signals_held"]

_AGAIN = 0.01  # seconds until an interrupt that was lost comes again


class Interrupted(Exception):  # noqa: N818  # it is no error
    """A signal ended the run after a step; everything is saved.

    Attributes:
        signal: its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {number}")
        self.signal = number


def ending_signals() -> tuple[int, ...]:
    """Return the signals that ask a run to end: SIGINT, SIGTERM and SIGHUP, which comes when a terminal is closed.

    SIGHUP is left alone where it is ignored, as nohup has it, or has a handler that Python could not put back; Windows
    has none.
    """
    hang_up: int | None = getattr(signal, "SIGHUP", None)
    if hang_up is None or signal.getsignal(hang_up) in (signal.SIG_IGN, None):
        return signal.SIGINT, signal.SIGTERM
    return signal.SIGINT, signal.SIGTERM, hang_up


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Let the signals that end a run act at the end of the block instead of within it; keep the block short.

    For libraries that call back from C, which no exception can pass through.
    """
    wanted = ending_signals()
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
def interrupts_kept() -> Iterator[None]:
    """Raise an interrupt again that Python has swallowed: one that came while a destructor ran.

    Python only prints what a destructor raises, and the program would go on as if nothing had come.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    lost: list[type[BaseException]] = []
    before, outer = sys.unraisablehook, signal.getsignal(signal.SIGALRM)

    def again(number: int, frame: object) -> None:
        raise lost.pop()

    def note(what: sys.UnraisableHookArgs) -> None:
        if isinstance(what.exc_value, KeyboardInterrupt):
            lost.append(what.exc_type)
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)  # by then the destructor is left
        else:
            before(what)

    sys.unraisablehook = note
    signal.signal(signal.SIGALRM, again)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, outer)
        sys.unraisablehook = before
    if lost:
        raise lost.pop()


@contextmanager
def signals_held() -> Iterator[list[int]]:
    """Collect the signals that end a run, so that a step is finished and saved before the run ends.

    A second signal acts at once.
    """
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    wanted = ending_signals()
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
