"""Kills writers of sound at chance moments; prints whether a torn file ever stood under the final name."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from noiseform.core.errors import NoiseformError
from noiseform.core.storage.atomic import TEMPORARY_PREFIX, check_writable
from noiseform.modalities.audio.clip import Audio
from noiseform.modalities.audio.reading import read

ENDINGS = ("wav", "flac", "ogg", "mp3")


def main() -> None:
    """Kill as many writers as the second argument says, in the folder that the first names."""
    torch.set_num_threads(1)
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    draw = random.Random(0)
    sound = Audio(torch.linspace(-0.5, 0.5, 400_000)[None], 16000, {"seed": 1})
    failed = finished = stale = 0
    for number in range(count):
        path = folder / f"x-{number}.{ENDINGS[number % 4]}"
        pid = os.fork()
        if pid == 0:
            sound.save(path)
            os._exit(0)
        time.sleep(draw.random() * 0.12)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        stale += sum(entry.name.startswith(TEMPORARY_PREFIX) for entry in folder.iterdir())
        if path.exists():
            finished += 1
            try:
                failed += read(path).samples.shape != sound.samples.shape
            except NoiseformError:
                failed += 1
        check_writable(folder / "next.wav")
        failed += sum(entry.name.startswith(TEMPORARY_PREFIX) for entry in folder.iterdir())
    print(json.dumps({"tried": count, "failed": failed, "finished": finished, "stale": stale}))


if __name__ == "__main__":
    main()
