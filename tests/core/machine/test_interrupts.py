"""Signals: none is lost, wherever the program is when it comes."""

from __future__ import annotations

import signal
import sys
import time

import pytest
from noiseform.core.machine.interrupts import EndingHandler, ending_signals, interrupts_held, interrupts_kept


class Closing:
    """Is interrupted while it is being closed, as a sound file was."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_in_a_destructor_comes_again():
    def close() -> None:
        thing = Closing()
        del thing
        time.sleep(5)
        pytest.fail("the interrupt was lost")

    with pytest.raises(KeyboardInterrupt), interrupts_kept():
        close()


def test_what_comes_again_is_the_very_exception():
    """One that is made with arguments cannot be made again without."""

    class Numbered(KeyboardInterrupt):
        def __init__(self, number: int) -> None:
            self.number = number

    class Ending:
        def __del__(self) -> None:
            raise Numbered(15)

    with pytest.raises(Numbered) as told, interrupts_kept():
        Ending()
    assert told.value.number == 15


def test_an_interrupt_in_a_destructor_at_the_very_end_is_told():
    before, alarm = sys.unraisablehook, signal.getsignal(signal.SIGALRM)
    with pytest.raises(KeyboardInterrupt), interrupts_kept():
        Closing()
    assert sys.unraisablehook is before
    assert signal.getsignal(signal.SIGALRM) is alarm
    time.sleep(0.05)  # and not once more


def test_other_failures_of_destructors_are_told_as_ever(capsys):
    class Failing:
        def __del__(self) -> None:
            raise ValueError("broken")

    seen = []
    before, sys.unraisablehook = sys.unraisablehook, lambda what: seen.append(str(what.exc_value))
    try:
        with interrupts_kept():
            thing = Failing()
            del thing
    finally:
        sys.unraisablehook = before
    assert seen == ["broken"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_ends_a_run_waits_for_the_end_of_a_held_block(number):
    came, done = [], []
    before = signal.signal(number, EndingHandler(lambda number: came.append((number, len(done)))))
    try:
        with interrupts_held():
            signal.raise_signal(number)
            done.append(1)
    finally:
        signal.signal(number, before)
    assert came == [(number, 1)]


def test_a_hang_up_that_is_ignored_ends_nothing():
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert signal.SIGHUP in ending_signals()
        for other in (signal.SIG_IGN, lambda number, frame: None):
            signal.signal(signal.SIGHUP, other)
            assert ending_signals() == (signal.SIGINT, signal.SIGTERM)
    finally:
        signal.signal(signal.SIGHUP, before)
