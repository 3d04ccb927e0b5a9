"""What the fault tests of every medium do alike: scripts in processes of their own, refusals, full disks."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from noiseform.core.errors import MediaError, ResourceError

HERE = Path(__file__).parent


def run_script(name: str, *arguments: object, timeout: float = 120) -> dict[str, object]:
    """Run a script beside this file in a fresh interpreter and return the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, str(HERE / name), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def check_refused(read: Callable[[Path], object], path: Path) -> None:
    """Hold that a file is refused soon, in one line with its name and a cure, and as bad media."""
    started = time.process_time()
    with pytest.raises(MediaError) as caught:
        read(path)
    assert time.process_time() - started < 2
    assert caught.value.exit_code == 3
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    assert ";" in message  # what to do about it


def check_mutants(script: str, *counts: int, timeout: float = 120) -> dict[str, object]:
    """Read so many mutated files by a script, none of which may do harm; return what it tells."""
    answer = run_script(script, *counts, timeout=timeout)
    print(f"{script}: tried {answer['tried']} / failed {answer['failed']}, peak {answer['peak_mib']} MiB")
    assert answer["failed"] == 0, answer["faults"]
    assert answer["tried"] == counts[0]
    return answer


def check_harmless(script: str, *counts: int) -> None:
    """Read mutated files, in little memory; enough of them are read, so that the reader was really reached."""
    answer = check_mutants(script, *counts)
    assert int(str(answer["read"])) > counts[0] // 10
    assert int(str(answer["peak_mib"])) < 1024


def check_full_disk(write: Callable[[Path, bool], None], good: Path, shares: int = 20) -> None:
    """Write where files may not get large, beside a good output and over it: nothing is left, and the good one stays.

    Args:
        write: ``(path, overwrite)``; of the same bytes each time.
        good: where the good output goes, alone in its folder.
        shares: limits that are tried, from nothing to all but one share of the largest file.
    """
    resource = pytest.importorskip("resource")
    write(good, False)
    files = sorted(good.iterdir()) if good.is_dir() else [good]
    old = [file.read_bytes() for file in files]
    size = max(map(len, old))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    tried = 0
    for share in range(shares):
        for path, overwrite in ((good.with_stem("new"), False), (good, True)):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size * share // shares, hard))
            try:
                with pytest.raises(ResourceError) as caught:
                    write(path, overwrite)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert caught.value.exit_code == 6
            tried += 1
        assert sorted(entry.name for entry in good.parent.iterdir()) == [good.name]
        assert [file.read_bytes() for file in files] == old
    print(f"full disk, {good.name}: tried {tried} / failed 0")


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """Have a disk of 64 KiB at a place, on which the block is to find no space, and leave nothing."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        with pytest.raises(ResourceError, match=os.strerror(errno.ENOSPC).lower()):
            yield
        assert list(place.iterdir()) == []
    finally:
        subprocess.run(["umount", str(place)], check=False)
