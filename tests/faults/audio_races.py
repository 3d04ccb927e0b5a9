"""Eight processes write one file at once, again and again; prints whether it was ever torn, and whether one won."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from noiseform.core.errors import ConfigError, NoiseformError
from noiseform.modalities.audio.clip import Audio
from noiseform.modalities.audio.reading import read

PROCESSES = 8
ROUNDS = 50
ENDINGS = ("wav", "flac", "ogg", "mp3")


def sound(index: int) -> Audio:
    """Return the sound of one process: told from the others' by its length and record."""
    return Audio(torch.full((1, 1000 + 100 * index), 0.1), 16000, {"process": index})


def fork_all(work: Callable[[int], int]) -> list[int]:
    """Run ``work(index)`` in as many processes at once; return what each gave (0 to 250), 255 for a crash."""
    pids = []
    for index in range(PROCESSES):
        pid = os.fork()
        if pid == 0:
            code = 255
            try:
                code = work(index)
            finally:
                os._exit(code)
        pids.append(pid)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def is_whole(path: Path) -> bool:
    """Whether the file is that of one process, whole."""
    try:
        audio = read(path)
    except NoiseformError:
        return False
    return audio.record is not None and audio.samples.shape[1] == 1000 + 100 * int(str(audio.record["process"]))


def overwriting(path: Path) -> Callable[[int], int]:
    """Return work that replaces the file and looks whether it is whole; it gives the number of times it was not."""

    def work(index: int) -> int:
        torn = 0
        for _ in range(ROUNDS):
            sound(index).save(path, overwrite=True)
            torn += not is_whole(path)
        return torn

    return work


def claiming(folder: Path) -> Callable[[int], int]:
    """Return work that tries to be the first to write each of many names; it gives the number of its wins."""

    def work(index: int) -> int:
        wins = 0
        for number in range(ROUNDS):
            try:
                sound(index).save(folder / f"claim-{number}.{ENDINGS[number % 4]}")
                wins += 1
            except ConfigError:
                pass
        return wins

    return work


def main() -> None:
    """Run the races in the folder given."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    failed = sum(sum(fork_all(overwriting(folder / f"one.{ending}"))) for ending in ENDINGS)
    wins = sum(fork_all(claiming(folder)))
    claims = sorted(folder.glob("claim-*"))
    failed += abs(wins - ROUNDS) + abs(len(claims) - ROUNDS) + sum(not is_whole(path) for path in claims)
    left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    tried = len(ENDINGS) * PROCESSES * ROUNDS + PROCESSES * ROUNDS
    print(json.dumps({"tried": tried, "failed": failed + len(left), "left": left, "wins": wins}))


if __name__ == "__main__":
    main()
