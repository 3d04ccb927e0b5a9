"""Interrupts `noiseform generate` at chance moments; prints whether it ended in time, as it should, with nothing left.

Arguments: the kind of media, a model folder, a folder to work in, how many interruptions by SIGINT, by two SIGINTs, by
SIGTERM and by SIGKILL, and a seed.
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
from noiseform.core.storage.temporary import TEMPORARY_PREFIX, clean_stale
from noiseform.modalities import audio, image

ITEMS = 4
SIGNALS = {"int": signal.SIGINT, "twice": signal.SIGINT, "term": signal.SIGTERM, "kill": signal.SIGKILL}
EXPECTED = {"int": (130, 0), "twice": (130, 0), "term": (143, 0, -15), "kill": (-9, 0)}
"""How a child may end: told, before there was anything to tell, or already done."""
KINDS = {
    "audio": ("low", ("wav", "flac", "ogg"), lambda path: audio.read(path).samples.shape == (1, 64)),
    "image": ("rows", ("png", "jpg", "webp"), lambda path: image.read(path).pixels.shape == (3, 8, 8)),
}
"""For each kind of media a label of its tiny model, endings, and whether a file is what that model makes."""
PROMPT = 2.0  # seconds within which an interrupted program has to end


def attempt(kind: str, model: Path, output: Path, log: Path) -> int:
    """Start a child that generates, with what it says in a file; return its number."""
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        code = noiseform(arguments(kind, model, output))
    except KeyboardInterrupt as error:
        began = any(frame.f_code is noiseform.__code__ for frame, _ in traceback.walk_tb(error.__traceback__))
        code = 99 if began else 130
    finally:
        os._exit(code)


def arguments(kind: str, model: Path, output: Path) -> list[str]:
    """Return the command line: several items of many steps."""
    label = KINDS[kind][0]
    return ["generate", kind, str(model), "--label", label, "-n", str(ITEMS), "--steps", "15", "-o", str(output)]


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


def left_over(kind: str, folder: Path) -> list[str]:
    """Return what an interrupted program should not have left: temporary and torn files."""
    found = []
    for path in folder.iterdir():
        try:
            if path.name.startswith(TEMPORARY_PREFIX) or not KINDS[kind][2](path):
                found.append(path.name)
        except NoiseformError as error:
            found.append(str(error))
    return found


def main() -> None:
    """Interrupt, look what is left, and print the figures as JSON."""
    torch.set_num_threads(1)
    kind, model, work = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    endings = KINDS[kind][1]
    faults = [fault for fault, count in zip(SIGNALS, sys.argv[4:8], strict=True) for _ in range(int(count))]
    draw = random.Random(int(sys.argv[8]) if len(sys.argv) > 8 else 0)
    with contextlib.redirect_stdout(io.StringIO()):
        assert noiseform(arguments(kind, model, work / f"first.{endings[0]}")) == 0
        started = time.monotonic()
        assert noiseform(arguments(kind, model, work / f"second.{endings[1]}")) == 0
        length = time.monotonic() - started
    failed: list[str] = []
    slowest, finished, kept = 0.0, 0, 0
    for number, fault in enumerate(faults):
        folder = work / f"{number}-{fault}"
        folder.mkdir()
        pid = attempt(kind, model, folder / f"x.{endings[number % 3]}", work / "log")
        time.sleep(draw.random() * length)
        code, seconds = interrupted(pid, fault, draw)
        slowest, finished = max(slowest, seconds), finished + (code == 0)
        said = (work / "log").read_text()
        if code not in EXPECTED[fault] or seconds > PROMPT or "Traceback" in said:
            failed.append(f"{number} {fault}: code {code} after {seconds:.2f} s: {said[-300:]}")
        if fault == "kill":
            clean_stale(folder)
        failed += [f"{number} {fault}: {left}" for left in left_over(kind, folder)]
        kept += len(list(folder.iterdir()))
    figures = {"tried": len(faults), "failed": failed, "finished": finished, "kept": kept, "slowest": round(slowest, 3)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
