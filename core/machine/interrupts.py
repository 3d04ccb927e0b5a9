"""Signals held back: where an exception would be lost, and where a step is to be finished and saved first."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["EndingHandler", "Interrupted", "ending_signals", "interrupts_held", "interrupts_kept", "signals_held"]

_HANG_UP: int | None = getattr(signal, "SIGHUP", None)
_AGAIN = 0.01  # seconds until an interrupt that was lost comes again


class Interrupted(Exception):  # noqa: N818  # it is no error
    """A signal ended the run after a step; everything is saved.

    Attributes:
        signal: its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {number}")
        self.signal = number


class EndingHandler:
    """A handler of noiseform's own of a signal that ends a run, which it knows again by its type.

    Args:
        act: what to do, given the signal's number.
    """

    def __init__(self, act: Callable[[int], None]) -> None:
        self._act = act

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._act(number)


def ending_signals() -> tuple[int, ...]:
    """Return the signals that ask a run to end: SIGINT, SIGTERM and SIGHUP, which comes when a terminal is closed.

    SIGHUP is left alone where it is ignored, as nohup has it, or has a handler of the program that noiseform runs in:
    many daemons read their settings again. Windows has none.
    """
    if _HANG_UP is None:
        return signal.SIGINT, signal.SIGTERM
    handler = signal.getsignal(_HANG_UP)
    ends = handler == signal.SIG_DFL or isinstance(handler, EndingHandler)
    return (signal.SIGINT, signal.SIGTERM, _HANG_UP) if ends else (signal.SIGINT, signal.SIGTERM)


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
    before = [signal.signal(number, EndingHandler(came.append)) for number in wanted]
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
    lost: list[BaseException] = []
    before, outer = sys.unraisablehook, signal.getsignal(signal.SIGALRM)

    def again(number: int, frame: object) -> None:
        raise lost.pop()

    def note(what: sys.UnraisableHookArgs) -> None:
        if isinstance(what.exc_value, KeyboardInterrupt):
            lost.append(what.exc_value)
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

    A second signal acts at once. A hang-up is never the second, since what closes a session sends it after another.
    """
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    wanted = ending_signals()
    before = {number: signal.getsignal(number) for number in wanted}

    def note(number: int) -> None:
        caught.append(number)
        if number != _HANG_UP:
            for each in (signal.SIGINT, signal.SIGTERM):
                signal.signal(each, before[each])

    for number in wanted:
        signal.signal(number, EndingHandler(note))
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _foreign(number: int) -> bool:
    """Whether a handler was not set by Python, which could not put it back."""
    return signal.getsignal(number) is None
