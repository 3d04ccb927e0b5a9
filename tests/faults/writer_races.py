"""Eight processes write one file at once, again and again; prints whether it was ever torn, and whether one won.

Arguments: the kind of media, and a folder to work in.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from media_written import KINDS, Kind
from noiseform.core.errors import ConfigError

PROCESSES = 8
ROUNDS = 50


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


def overwriting(kind: Kind, path: Path) -> Callable[[int], int]:
    """Return work that replaces the file and looks whether it is whole; it gives the number of times it was not."""

    def work(index: int) -> int:
        torn = 0
        for _ in range(ROUNDS):
            kind.make(index).save(path, overwrite=True)
            torn += not kind.is_whole(path)
        return torn

    return work


def claiming(kind: Kind, folder: Path) -> Callable[[int], int]:
    """Return work that tries to be the first to write each of many names; it gives the number of its wins."""

    def work(index: int) -> int:
        wins = 0
        for number in range(ROUNDS):
            try:
                kind.make(index).save(folder / f"claim-{number}.{kind.endings[number % len(kind.endings)]}")
                wins += 1
            except ConfigError:
                pass
        return wins

    return work


def main() -> None:
    """Run the races in the folder given."""
    torch.set_num_threads(1)
    kind, folder = KINDS[sys.argv[1]], Path(sys.argv[2])
    failed = sum(sum(fork_all(overwriting(kind, folder / f"one.{ending}"))) for ending in kind.endings)
    wins = sum(fork_all(claiming(kind, folder)))
    claims = sorted(folder.glob("claim-*"))
    failed += abs(wins - ROUNDS) + abs(len(claims) - ROUNDS) + sum(not kind.is_whole(path) for path in claims)
    left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    tried = len(kind.endings) * PROCESSES * ROUNDS + PROCESSES * ROUNDS
    print(json.dumps({"tried": tried, "failed": failed + len(left), "left": left, "wins": wins}))


if __name__ == "__main__":
    main()
