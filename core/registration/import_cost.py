"""What importing a plugin costs at every start, and what it does besides, seen in a fresh interpreter.

In a process of its own no library is there already that the plugin drags in, and whatever the plugin does there (hang,
print, exit, crash) harms nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from .targets import PACKAGE

__all__ = ["HEAVY", "ImportCost", "import_costs"]

_NAMES = """
PIL accelerate av cv2 diffusers jax librosa matplotlib numba numpy onnxruntime pandas pydantic scipy sklearn soundfile
tensorflow torch torchaudio torchvision transformers
"""
HEAVY = frozenset(_NAMES.split())
"""Libraries that no module needs which only names its parts."""

TOGETHER = 2
"""Interpreters at a time: more of them would measure each other."""

KEPT = 1 << 22
"""Bytes of output that are looked at; importing torch tells a twentieth of it."""

_PROBE = """
import atexit, os, sys, threading, time
from importlib import import_module
mark, package, target, heavy = sys.argv[1:]
import_module(package + ".core.cli.main")  # what is imported by then at every start
before = threading.active_count()
state = import_module(package + ".core.registration.process_state").ProcessState.now()
others = {*sys.stdlib_module_names, *heavy.split()}
register, registered = atexit.register, []
def noted(function, *given, **named):
    if str(sys._getframe(1).f_globals.get("__name__", "")).partition(".")[0] not in others:
        registered.append(function)
    return register(function, *given, **named)
atexit.register = noted
os.write(2, f"\\n{mark} begun\\n".encode())
begun = time.perf_counter()
how = "ended"
try:
    import_module(target)
except KeyboardInterrupt:
    how = "interrupted"
except BaseException:
    pass
seconds = time.perf_counter() - begun
changed = state.restore()
told = [seconds, threading.active_count() - before, how, len(registered), ", ".join(changed)]
os.write(2, f"\\n{mark} {' '.join(map(str, told))}\\n".encode())
os._exit(0)
"""
_LINE = re.compile(r"import time: +\d+ \| +(\d+) \| ( *)(\S+)")


@dataclass(frozen=True, slots=True)
class ImportCost:
    """What importing a plugin's module costs and does, in a process in which noiseform's command line is there already.

    Attributes:
        seconds: in all; None where the import did not end.
        libraries: the seconds that each heavy library among it takes, with all that it imports; the costliest first.
        fault: what kept it from ending, such as ``did not end within 30 s``; empty where it ended, by an error or not.
        effects: what it did besides, such as ``prints`` or ``changes the process's umask``.
    """

    seconds: float | None = None
    libraries: Mapping[str, float] = field(default_factory=dict)
    fault: str = ""
    effects: tuple[str, ...] = ()


def import_costs(targets: Iterable[str], *, limit: float) -> dict[str, ImportCost]:
    """Import the modules of targets, each in a fresh interpreter and two at a time; return what each costs.

    Args:
        targets: each ``module`` or ``module:attribute``.
        limit: seconds after which an interpreter is ended.
    """
    costs: dict[str, ImportCost] = {}
    running: dict[str, _Probe] = {}
    try:
        for target in targets:
            if len(running) == TOGETHER:
                first = next(iter(running))
                costs[first] = running.pop(first).cost(limit)
            running[target] = _Probe(target)
        for target in list(running):
            costs[target] = running.pop(target).cost(limit)
    finally:
        for probe in running.values():  # which an interrupt has left
            probe.end()
    return costs


class _Probe:
    """An interpreter that imports a module.

    Args:
        target: whose module.
    """

    def __init__(self, target: str) -> None:
        self._mark = f"noiseform {secrets.token_hex(8)}"
        module, _, _ = target.partition(":")
        head, dot, rest = module.partition(".")
        module = f"{PACKAGE}{dot}{rest}" if head == "noiseform" else module
        command = [sys.executable, "-P", "-u", "-X", "importtime", "-c", _PROBE, self._mark, PACKAGE, module, _NAMES]
        self._begun = time.monotonic()
        self._process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._streams = (self._process.stdout, self._process.stderr)
        self._outputs = (bytearray(), bytearray())
        self._readers = [
            threading.Thread(target=_drain, args=(stream, kept), daemon=True)
            for stream, kept in zip(self._streams, self._outputs, strict=True)
        ]
        for reader in self._readers:
            reader.start()

    def cost(self, limit: float) -> ImportCost:
        """Wait for its end, at most so many seconds from its beginning, and return what the import costs."""
        fault = ""
        try:
            code = self._process.wait(max(0.0, self._begun + limit - time.monotonic()))
            if code:
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                fault = f"ended the interpreter ({how})"
        except subprocess.TimeoutExpired:
            fault = f"did not end within {limit:g} s"
        finally:
            self.end()
        told = self._outputs[1].decode(errors="replace").replace("\r", "").split(f"\n{self._mark} ")
        if len(told) < 2:
            return ImportCost(fault=fault or "could not be looked at")
        ended = re.match(r"([\d.e-]+) (-?\d+) (\w+) (\d+) (.*)\n", told[2]) if len(told) > 2 else None
        if not fault and (ended is None or ended[3] == "interrupted"):
            fault = "ended the interpreter (exit code 0)" if ended is None else "raised KeyboardInterrupt"
        lines = told[1].splitlines()[1:]
        prints = self._outputs[0] or any(line and not _LINE.fullmatch(line) for line in lines)
        effects = ["prints"] if prints else []
        if ended is not None:
            effects += _effects(int(ended[2]), int(ended[4]), ended[5])
        libraries = _libraries([match.groups() for match in map(_LINE.fullmatch, lines) if match])
        return ImportCost(float(ended[1]) if ended and not fault else None, libraries, fault, tuple(effects))

    def end(self) -> None:
        """End it with all that it has started."""
        with contextlib.suppress(OSError):  # nobody is left
            os.killpg(self._process.pid, signal.SIGKILL)  # its own session's
        self._process.wait()
        for stream, reader in zip(self._streams, self._readers, strict=True):
            reader.join(1)
            if not reader.is_alive():  # as it is where something that the import started has left the session
                stream.close()


def _effects(threads: int, registered: int, changed: str) -> Iterator[str]:
    """Give in words what an import did besides: threads, what is to run at the end, what it changed for all."""
    if threads > 0:
        yield f"starts {threads} thread{'s' if threads > 1 else ''}"
    if registered:
        yield f"has {registered} function{'s' if registered > 1 else ''} run at exit"
    if changed:
        yield f"changes the process's {changed}"


def _drain(stream: IO[bytes], kept: bytearray) -> None:
    """Read a stream to its end and keep what comes first, so that nobody waits for a full pipe."""
    while chunk := os.read(stream.fileno(), 1 << 16):
        kept += chunk[: max(0, KEPT - len(kept))]


def _libraries(lines: Sequence[tuple[str, ...]]) -> dict[str, float]:
    """Return the heavy libraries of what ``-X importtime`` says; not one that comes by way of another.

    Args:
        lines: microseconds, indentation and name of each import, a module after what it imports.
    """
    found: dict[str, float] = {}
    above: list[tuple[int, str]] = []
    for microseconds, indentation, name in reversed(lines):
        while above and above[-1][0] >= len(indentation):
            above.pop()
        top = name.partition(".")[0]
        if top in HEAVY and HEAVY.isdisjoint(importer for _, importer in above):
            found[top] = found.get(top, 0.0) + int(microseconds) / 1e6
        above.append((len(indentation), top))
    return dict(sorted(found.items(), key=lambda item: -item[1]))
