"""Reads every hand-made bad file in a child of its own and prints how much memory and time the worst one took.

Arguments: the kind of media, and a folder to work in.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import audio_edges
import image_edges
import video_edges
from noiseform.core.errors import MediaError
from noiseform.modalities import audio, image, video

KINDS = {
    "audio": (audio_edges.REFUSED, audio.read),
    "image": (image_edges.REFUSED, image.read),
    "video": (video_edges.REFUSED, video.read),
}
LIMIT_MIB = 300
SECONDS = 2.0


def peak_kib() -> int:
    """Return the most memory that this process has held since it began, or since the mark was reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def cost(read: Callable[[Path], object], path: Path) -> tuple[bool, int, float]:
    """Return whether the file was refused, the memory that took in MiB, and the seconds."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        started, before, refused = time.process_time(), peak_kib(), False
        try:
            read(path)
        except MediaError:
            refused = True
        finally:
            result = (refused, (peak_kib() - before) // 1024, time.process_time() - started)
            os.write(writing, json.dumps(result).encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        refused, memory, seconds = json.loads(pipe.read() or "[false, 0, 0]")
    os.waitpid(pid, 0)
    return refused, memory, seconds


def main() -> None:
    """Write the files into the folder given, and read each."""
    warnings.simplefilter("ignore")
    (refused_files, read), folder = KINDS[sys.argv[1]], Path(sys.argv[2])
    results = []
    for _, name, make in refused_files:
        (folder / name).write_bytes(make())
    for _, name, _ in refused_files:
        refused, memory, seconds = cost(read, folder / name)
        results.append((name, refused and memory < LIMIT_MIB and seconds < SECONDS, memory, seconds))
    worst = max(results, key=lambda result: result[2])
    bad = [result for result in results if not result[1]]
    print(json.dumps({"tried": len(results), "failed": len(bad), "bad": bad, "worst": f"{worst[0]}: {worst[2]} MiB"}))


if __name__ == "__main__":
    main()
