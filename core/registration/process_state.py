"""What all code of a process shares and foreign code may change: folder, signals, streams, limits, warnings."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["ProcessState"]

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_STREAMS = ("stdin", "stdout", "stderr")


@dataclass(frozen=True)
class ProcessState:
    """What somebody could change of the process for everybody else.

    Attributes:
        recursion: the recursion limit.
        folder: the working directory; None where it is gone.
        umask: which rights new files lack.
        handlers: what the signals that end a run do, by their numbers.
        streams: the standard streams, by their names.
        filters: of warnings, the first that fits counts.
    """

    recursion: int
    folder: str | None
    umask: int
    handlers: Mapping[int, Any]
    streams: Mapping[str, object]
    filters: Sequence[tuple[Any, ...]]

    @classmethod
    def now(cls) -> ProcessState:
        """Return the state now."""
        return cls(
            sys.getrecursionlimit(),
            _folder(),
            _umask(),
            {number: signal.getsignal(number) for number in _SIGNALS},
            {name: getattr(sys, name, None) for name in _STREAMS},
            list(warnings.filters),
        )

    def restore(self) -> list[str]:
        """Undo what changed since; return its names."""
        changed = []
        if sys.getrecursionlimit() != self.recursion:
            sys.setrecursionlimit(self.recursion)  # first of all, since the rest needs room
            changed.append("recursion limit")
        if self.folder is not None and _folder() != self.folder:
            with contextlib.suppress(OSError):  # it is gone
                os.chdir(self.folder)
            changed.append("working directory")
        if _umask() != self.umask:
            os.umask(self.umask)
            changed.append("umask")
        changed += [f"handler of {signal.Signals(number).name}" for number in self._other_handlers()]
        for name, stream in self.streams.items():
            if getattr(sys, name, None) is not stream:
                setattr(sys, name, stream)
                changed.append(f"sys.{name}")
        if self._filters_changed():
            changed.append("warning filters")
        return changed

    def _other_handlers(self) -> list[int]:
        """Put back the handlers of signals; return the numbers of those that were others."""
        if threading.current_thread() is not threading.main_thread():  # no other thread can have set one
            return []
        other = [
            number
            for number, handler in self.handlers.items()
            if handler is not None and signal.getsignal(number) != handler  # None is one that Python did not set
        ]
        for number in other:
            signal.signal(number, self.handlers[number])
        return other

    def _filters_changed(self) -> bool:
        """Put back the filters of warnings, where somebody else's warnings may be lost; return whether that is so.

        What a library adds for warnings of its own, by their text, module or category, stays.
        """
        here = list(warnings.filters)
        if _for_all(here) == _for_all(self.filters) and all(one in here for one in self.filters):
            return False
        own = [one for one in here if one not in self.filters and not _for_all([one])]
        warnings.resetwarnings()  # which also has Python look at the new ones
        warnings.filters[:] = [*own, *self.filters]  # type: ignore[index]
        return True


def _for_all(filters: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the filters that touch noiseform's own warnings too."""
    return [one for one in filters if one[1] is None and one[3] is None and issubclass(UserWarning, one[2])]


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _umask() -> int:
    """Return the umask, which can only be read by setting it: for that moment to the strictest."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
