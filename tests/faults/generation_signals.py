"""Interrupts a verb at chance moments; prints whether it ended in time, as it should, with nothing left.

Arguments: the verb and the kind of media, a pipeline, a folder to work in, how many interruptions by SIGINT, by two
SIGINTs, by SIGTERM and by SIGKILL, and a seed.
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
STEPS = ["--steps", "15", "-n", str(ITEMS)]
KINDS = {
    "generate audio": (["--label", "low", *STEPS], (1, 64)),
    "generate image": (["--label", "rows", *STEPS], (3, 8, 8)),
    "edit audio": (["source.wav", "--mask", "0.02:0.05", "--label", "low", *STEPS], (1, 64)),
    "edit image": (["source.png", "--mask", "2,2,4,4", "--label", "rows", *STEPS], (3, 8, 8)),
    "upscale audio": (["source.wav", "--steps", "15"], (1, 12000)),
    "upscale image": (["source.png", "--steps", "15"], (3, 80, 80)),
}
"""What follows each command, and the shape of what it makes."""
ENDINGS = {"audio": ("wav", "flac", "ogg"), "image": ("png", "jpg", "webp")}
PROMPT = 2.0  # seconds within which an interrupted program has to end


def attempt(command: list[str], log: Path) -> int:
    """Start a child that runs a command, with what it says in a file; return its number."""
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        code = noiseform(command)
    except KeyboardInterrupt as error:
        began = any(frame.f_code is noiseform.__code__ for frame, _ in traceback.walk_tb(error.__traceback__))
        code = 99 if began else 130
    finally:
        os._exit(code)


def arguments(kind: str, model: str, work: Path, output: Path) -> list[str]:
    """Return the command line: several items of many steps, or a large one."""
    verb, media = kind.split()
    options = [str(work / one) if one.startswith("source.") else one for one in KINDS[kind][0]]
    named = [model] if verb == "generate" else ["--pipeline", model]
    return [verb, media, *named, *options, "-o", str(output)]


def give(kind: str, work: Path) -> None:
    """Write what an edit or an upscaling begins with."""
    verb, media = kind.split()
    wanted = KINDS[kind][1]
    if media == "audio":
        rate = 1000 if verb == "edit" else 4000
        audio.Audio(0.3 * torch.randn(1, wanted[1] // (1 if verb == "edit" else 2)), rate).save(work / "source.wav")
    else:
        edge = wanted[1] // (1 if verb == "edit" else 2)
        image.Image(torch.rand(3, edge, edge)).save(work / "source.png")


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
            made = audio.read(path).samples if kind.endswith("audio") else image.read(path).pixels
            if path.name.startswith(TEMPORARY_PREFIX) or made.shape != KINDS[kind][1]:
                found.append(path.name)
        except NoiseformError as error:
            found.append(str(error))
    return found


def main() -> None:
    """Interrupt, look what is left, and print the figures as JSON."""
    torch.set_num_threads(1)
    kind, model, work = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    endings = ENDINGS[kind.split()[1]]
    give(kind, work)
    faults = [fault for fault, count in zip(SIGNALS, sys.argv[4:8], strict=True) for _ in range(int(count))]
    draw = random.Random(int(sys.argv[8]) if len(sys.argv) > 8 else 0)
    with contextlib.redirect_stdout(io.StringIO()):
        assert noiseform(arguments(kind, model, work, work / f"first.{endings[0]}")) == 0
        started = time.monotonic()
        assert noiseform(arguments(kind, model, work, work / f"second.{endings[1]}")) == 0
        length = time.monotonic() - started
    failed: list[str] = []
    slowest, finished, kept = 0.0, 0, 0
    for number, fault in enumerate(faults):
        folder = work / f"{number}-{fault}"
        folder.mkdir()
        pid = attempt(arguments(kind, model, work, folder / f"x.{endings[number % 3]}"), work / "log")
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
