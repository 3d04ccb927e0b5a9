"""Interrupts `noiseform generate` at chance moments; prints whether it ended in time, as it should, with nothing left.

Arguments: a model folder, a folder to work in, how many interruptions by SIGINT, by two SIGINTs, by SIGTERM and by
SIGKILL, and a seed.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import torch
from noiseform.core.cli.main import main as noiseform
from noiseform.core.errors import NoiseformError
from noiseform.core.storage.atomic import TEMPORARY_PREFIX, clean_stale
from noiseform.modalities.audio.reading import read

ITEMS = 4
SIGNALS = {"int": signal.SIGINT, "twice": signal.SIGINT, "term": signal.SIGTERM, "kill": signal.SIGKILL}
EXPECTED = {"int": (130, 0), "twice": (130, 0), "term": (143, 0, -15), "kill": (-9, 0)}
"""How a child may end: told, before there was anything to tell, or already done."""
PROMPT = 2.0  # seconds within which an interrupted program has to end


def attempt(model: Path, output: Path, log: Path) -> int:
    """Start a child that generates, with what it says in a file; return its number."""
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        code = noiseform(arguments(model, output))
    except KeyboardInterrupt as error:
        began = any(frame.f_code is noiseform.__code__ for frame, _ in traceback.walk_tb(error.__traceback__))
        code = 99 if began else 130
    finally:
        os._exit(code)


def arguments(model: Path, output: Path) -> list[str]:
    """Return the command line: several items of many steps."""
    return ["generate", "audio", str(model), "--label", "low", "-n", str(ITEMS), "--steps", "15", "-o", str(output)]


def interrupted(pid: int, fault: str, draw: random.Random) -> tuple[int, float]:
    """Interrupt a child; return its exit code and the seconds that it took to end."""
    sent = time.monotonic()
    os.kill(pid, SIGNALS[fault])
    if fault == "twice":
        time.sleep(draw.random() * 0.002)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, time.monotonic() - sent


def left_over(folder: Path) -> list[str]:
    """Return what an interrupted program should not have left: temporary and torn files."""
    found = []
    for path in folder.iterdir():
        try:
            if path.name.startswith(TEMPORARY_PREFIX) or read(path).samples.shape != (1, 64):
                found.append(path.name)
        except NoiseformError as error:
            found.append(str(error))
    return found


def main() -> None:
    """Interrupt, look what is left, and print the figures as JSON."""
    torch.set_num_threads(1)
    model, work = Path(sys.argv[1]), Path(sys.argv[2])
    faults = [fault for fault, count in zip(SIGNALS, sys.argv[3:7], strict=True) for _ in range(int(count))]
    draw = random.Random(int(sys.argv[7]) if len(sys.argv) > 7 else 0)
    with contextlib.redirect_stdout(io.StringIO()):
        assert noiseform(arguments(model, work / "first.wav")) == 0
        started = time.monotonic()
        assert noiseform(arguments(model, work / "second.flac")) == 0
        length = time.monotonic() - started
    failed: list[str] = []
    slowest, finished, kept = 0.0, 0, 0
    for number, fault in enumerate(faults):
        folder = work / f"{number}-{fault}"
        folder.mkdir()
        pid = attempt(model, folder / f"x.{('wav', 'flac', 'ogg')[number % 3]}", work / "log")
        time.sleep(draw.random() * length)
        code, seconds = interrupted(pid, fault, draw)
        slowest, finished = max(slowest, seconds), finished + (code == 0)
        said = (work / "log").read_text()
        if code not in EXPECTED[fault] or seconds > PROMPT or "Traceback" in said:
            failed.append(f"{number} {fault}: code {code} after {seconds:.2f} s: {said[-300:]}")
        if fault == "kill":
            clean_stale(folder)
        failed += [f"{number} {fault}: {left}" for left in left_over(folder)]
        kept += len(list(folder.iterdir()))
    figures = {"tried": len(faults), "failed": failed, "finished": finished, "kept": kept, "slowest": round(slowest, 3)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
