"""Interrupts a training again and again, resumes it, and compares it with one that was left alone.

Arguments: recipe, data, a folder to work in, and how many interruptions by SIGKILL, by SIGTERM and by an exception.
A child is forked for each attempt, so that none pays for importing torch.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from noiseform.core.cli.main import main as noiseform
from noiseform.core.pipeline.loading import load_pipeline
from noiseform.core.registration.build import build
from noiseform.core.storage.model_folder import is_model_folder, read_model_folder
from noiseform.core.training.observing import TrainingStep
from noiseform.core.training.recipe import read_recipe
from noiseform.core.training.trainer import train


class StopHereError(Exception):
    """What an observer raises in the middle of a training."""


def attempt(recipe: Path, data: Path, folder: Path, *, fail_after: int | None = None) -> int:
    """Start a child that trains, or resumes; return its number."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        if fail_after is None:
            arguments = ["train", str(recipe), "--data", str(data), "-o", str(folder), "--resume", "--quiet"]
            code = noiseform(arguments)
        else:
            wanted = read_recipe(recipe)
            modality = build("modality", "audio")
            items = modality.dataset(data, modality.spec(wanted.media), wanted.data)
            seen: list[int] = []

            def fail(step: TrainingStep) -> None:
                seen.append(step.step)
                if len(seen) == fail_after:
                    raise StopHereError

            try:
                train(wanted, items, modality, folder, resume=True, observers=(fail,))
                code = 0
            except StopHereError:
                code = 50
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """Return how a child ended: its code, or the signal's number below zero."""
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def main() -> None:
    """Run both trainings and print the figures as JSON."""
    torch.set_num_threads(1)
    recipe, data, work = map(Path, sys.argv[1:4])
    kills, terms, exceptions = map(int, sys.argv[4:7])
    draw = random.Random(int(sys.argv[7]) if len(sys.argv) > 7 else 0)
    started = time.monotonic()
    whole = ["train", str(recipe), "--data", str(data), "-o", str(work / "whole"), "--quiet"]
    assert noiseform(whole) == 0  # in this process, so that the children find everything imported
    length = time.monotonic() - started
    faults = ["kill"] * kills + ["term"] * terms + ["exception"] * exceptions
    draw.shuffle(faults)
    unexpected: list[str] = []
    finished = 0
    for fault in faults:
        after = draw.randint(1, 20) if fault == "exception" else None
        pid = attempt(recipe, data, work / "torn", fail_after=after)
        if fault != "exception":
            time.sleep(draw.random() * length / len(faults) * 1.5)
            os.kill(pid, signal.SIGKILL if fault == "kill" else signal.SIGTERM)
        code = ended(pid)
        finished += code == 0
        if code not in {"kill": (-9, 0), "term": (143, 0), "exception": (50, 0)}[fault]:
            unexpected.append(f"{fault}: {code}")
        if is_model_folder(work / "torn"):
            load_pipeline(str(work / "torn"), "audio")  # whole, at every moment
    last = ended(attempt(recipe, data, work / "torn"))
    logs = [(work / run / "log.jsonl").read_text().splitlines() for run in ("whole", "torn")]
    losses = [[json.loads(line)["loss"].hex() for line in log] for log in logs]
    weights = [read_model_folder(work / run).sha256("base") for run in ("whole", "torn")]
    print(
        json.dumps(
            {
                "interrupted": len(faults),
                "finished early": finished,
                "unexpected": unexpected,
                "last": last,
                "steps": len(losses[0]),
                "losses differ": sum(a != b for a, b in zip(*losses, strict=False))
                + abs(len(losses[0]) - len(losses[1])),
                "logs equal": logs[0] == logs[1],
                "weights equal": weights[0] == weights[1],
            }
        )
    )


if __name__ == "__main__":
    main()
