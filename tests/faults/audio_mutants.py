"""Reads mutated sound files in forked children and prints one JSON line of what happened; run by test_audio_files."""

from __future__ import annotations

import io
import json
import os
import random
import resource
import signal
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy
import soundfile
import torch
from noiseform.core.errors import MediaError
from noiseform.modalities.audio.reading import decode

ADDRESS_SPACE = 4 * 2**30  # torch alone maps about 2 GiB
SECONDS_PER_FILE = 10
SEEDS = [
    ("a.wav", "WAV", "PCM_16", 1),
    ("b.wav", "WAV", "FLOAT", 2),
    ("c.wav", "WAVEX", "PCM_24", 6),
    ("d.wav", "RF64", "PCM_16", 2),
    ("e.flac", "FLAC", "PCM_16", 2),
    ("f.ogg", "OGG", "VORBIS", 1),
    ("g.mp3", "MP3", "MPEG_LAYER_III", 1),
    ("h.mp3", "MP3", "MPEG_LAYER_III", 2),
]
INTERESTING = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7F800000]


def originals() -> list[tuple[str, bytes]]:
    """Return a small good file of each format."""
    files = []
    phase = 2 * numpy.pi * numpy.arange(6000) / 16000
    for name, container, encoding, channels in SEEDS:
        wave = numpy.stack([0.3 * numpy.sin((200 + 90 * c) * phase) for c in range(channels)], axis=1)
        buffer = io.BytesIO()
        with soundfile.SoundFile(buffer, "w", 16000, channels, encoding, format=container) as sound:
            sound.comment = 'noiseform {"a":1}'
            sound.write(wave.astype("float32"))
        files.append((name, buffer.getvalue()))
    return files


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


def mutants(first: int, last: int) -> list[tuple[int, str, bytes]]:
    """Return number, name and content of the mutants from ``first`` to before ``last``: the same ones each time."""
    files = originals()
    made = []
    for number in range(first, last):
        draw = random.Random(number)
        name, data = files[number % len(files)]
        made.append((number, name, mutate(data, draw.choice(files)[1], draw)))
    return made


def try_one(number: int, name: str, data: bytes) -> str:
    """Read one file and return what came of it: ``read``, ``refused`` or the fault."""
    wishes = [{}, {"strict": False}, {"sample_rate": 8000, "channels": 1}, {"strict": False, "channels": 2}]
    started = time.perf_counter()
    try:
        audio = decode(io.BytesIO(data), name, **wishes[number // len(SEEDS) % len(wishes)])
        good = bool(torch.isfinite(audio.samples).all()) and float(audio.samples.abs().max()) <= 1
        outcome = "read" if good else f"bad samples {number}"
    except MediaError as error:
        outcome = "refused" if "\n" not in str(error) and name in str(error) else f"message {number}: {error}"
    except BaseException as error:
        outcome = f"{type(error).__name__} {number}: {error}"
    return outcome if time.perf_counter() - started < SECONDS_PER_FILE else f"slow {number}"


def child(first: int, last: int, pipe: int) -> None:
    """Try the mutants from ``first`` to before ``last`` and write one line for each to ``pipe``."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)  # libmpg123 prints warnings of its own
    with os.fdopen(pipe, "w", buffering=1) as out:
        for number, name, data in mutants(first, last):
            signal.alarm(2 * SECONDS_PER_FILE)
            out.write(json.dumps(try_one(number, name, data)) + "\n")
        memory = next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
        out.write(json.dumps(int(memory.split()[1])) + "\n")


def run(first: int, last: int) -> tuple[list[str], int]:
    """Try mutants in a child, and in another one after each that dies; return the outcomes and the most memory."""
    outcomes: list[str] = []
    peak = 0
    while len(outcomes) < last - first:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            try:
                child(first + len(outcomes), last, writing)
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


def main() -> None:
    """Try as many mutants as the first argument says, in batches of 500."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    count = int(sys.argv[1])
    start = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kinds: Counter[str] = Counter()
    peak = 0
    for first in range(start, start + count, 500):
        outcomes, memory = run(first, min(first + 500, start + count))
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


if __name__ == "__main__":
    main()
