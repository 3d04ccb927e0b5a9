"""Kills writers of media at chance moments; prints whether a torn file ever stood under the final name.

Arguments: the kind of media, a folder to work in, and how many are killed.
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
from media_written import KINDS
from noiseform.core.storage.atomic import check_writable
from noiseform.core.storage.temporary import TEMPORARY_PREFIX


def main() -> None:
    """Kill writers, and look what is left."""
    torch.set_num_threads(1)
    kind, folder, count = KINDS[sys.argv[1]], Path(sys.argv[2]), int(sys.argv[3])
    draw = random.Random(0)
    item = kind.large()
    failed = finished = stale = 0
    for number in range(count):
        path = folder / f"x-{number}.{kind.endings[number % len(kind.endings)]}"
        pid = os.fork()
        if pid == 0:
            item.save(path)
            os._exit(0)
        time.sleep(draw.random() * 0.12)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        stale += sum(entry.name.startswith(TEMPORARY_PREFIX) for entry in folder.iterdir())
        if path.exists():
            finished += 1
            failed += not kind.is_whole(path)
        check_writable(folder / f"next.{kind.endings[0]}")
        failed += sum(entry.name.startswith(TEMPORARY_PREFIX) for entry in folder.iterdir())
    print(json.dumps({"tried": count, "failed": failed, "finished": finished, "stale": stale}))


if __name__ == "__main__":
    main()
