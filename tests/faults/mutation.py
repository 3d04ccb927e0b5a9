"""Mutated files read in forked children: what came of each, and one JSON line of it all.

The script of a kind of media gives the good files and what reads one; the mutants are the same each time.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from noiseform.core.errors import MediaError

ADDRESS_SPACE = 4 * 2**30  # torch alone maps about 2 GiB
SECONDS_PER_FILE = 10
INTERESTING = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7F800000]

Originals = list[tuple[str, bytes]]
"""Name and content of good files."""

Reader = Callable[[int, str, bytes], bool]
"""Reads a file, given its number, name and content; whether what it gave is good. May raise anything."""


def mutate(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Return ``data`` with one to four damages of seven kinds, half of them near the start, where the headers are."""
    body = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 4])):
        if not body:
            break
        place = draw.randrange(min(len(body), 128) if draw.random() < 0.5 else len(body))
        length = draw.choice([1, 2, 4, 16, 256, 2000])
        kind = draw.randrange(7)
        if kind == 0:
            body[place] ^= 1 << draw.randrange(8)
        elif kind == 1:
            body[place : place + length] = draw.randbytes(len(body[place : place + length]))
        elif kind == 2:
            value, order = draw.choice(INTERESTING), draw.choice(["little", "big"])
            body[place : place + 4] = value.to_bytes(4, order)
        elif kind == 3:
            del body[place:]
        elif kind == 4:
            del body[place : place + length]
        elif kind == 5:
            body[place:place] = body[place : place + length] * draw.choice([1, 1, 50])
        else:
            body[place:] = other[draw.randrange(len(other)) :]
    return bytes(body)


def mutants(originals: Originals, first: int, last: int) -> list[tuple[int, str, bytes]]:
    """Return number, name and content of the mutants from ``first`` to before ``last``: the same ones each time."""
    made = []
    for number in range(first, last):
        draw = random.Random(number)
        name, data = originals[number % len(originals)]
        made.append((number, name, mutate(data, draw.choice(originals)[1], draw)))
    return made


def try_one(reader: Reader, number: int, name: str, data: bytes) -> str:
    """Read one file and return what came of it: ``read``, ``refused`` or the fault."""
    started = time.process_time()  # a machine that stands still is no fault of the file; a hang meets the alarm
    try:
        outcome = "read" if reader(number, name, data) else f"bad values {number}"
    except MediaError as error:
        outcome = "refused" if "\n" not in str(error) and name in str(error) else f"message {number}: {error}"
    except BaseException as error:
        outcome = f"{type(error).__name__} {number}: {error}"
    return outcome if time.process_time() - started < SECONDS_PER_FILE else f"slow {number}"


def child(originals: Originals, reader: Reader, first: int, last: int, pipe: int) -> None:
    """Try the mutants from ``first`` to before ``last`` and write one line for each to ``pipe``."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)  # decoders print warnings of their own
    with os.fdopen(pipe, "w", buffering=1) as out:
        for number, name, data in mutants(originals, first, last):
            signal.alarm(2 * SECONDS_PER_FILE)
            out.write(json.dumps(try_one(reader, number, name, data)) + "\n")
        memory = next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
        out.write(json.dumps(int(memory.split()[1])) + "\n")


def run(originals: Originals, reader: Reader, first: int, last: int) -> tuple[list[str], int]:
    """Try mutants in a child, and in another one after each that dies; return the outcomes and the most memory."""
    outcomes: list[str] = []
    peak = 0
    while len(outcomes) < last - first:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            try:
                child(originals, reader, first + len(outcomes), last, writing)
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as lines:
            for line in lines:
                value = json.loads(line)
                if isinstance(value, int):
                    peak = max(peak, value)
                else:
                    outcomes.append(value)
        _, status = os.waitpid(pid, 0)
        if len(outcomes) < last - first:
            outcomes.append(f"death {first + len(outcomes)}: status {status}")
    return outcomes, peak


def report(originals: Originals, reader: Reader) -> None:
    """Try as many mutants as the first argument says, from the number that the second says, in batches of 500."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    count = int(sys.argv[1])
    start = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kinds: Counter[str] = Counter()
    peak = 0
    for first in range(start, start + count, 500):
        outcomes, memory = run(originals, reader, first, min(first + 500, start + count))
        kinds.update(outcomes)
        peak = max(peak, memory)
    faults = [kind for kind in kinds if kind not in ("read", "refused")]
    print(
        json.dumps(
            {
                "tried": sum(kinds.values()),
                "read": kinds["read"],
                "refused": kinds["refused"],
                "faults": faults[:20],
                "failed": len(faults),
                "peak_mib": peak // 1024,
                "base_mib": base // 1024,
            }
        )
    )
