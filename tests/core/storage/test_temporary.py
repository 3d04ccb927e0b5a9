"""Temporary files of dead writers go, those of living ones stay."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from noiseform.core.storage import temporary
from noiseform.core.storage.atomic import check_writable, whole_file
from noiseform.core.storage.temporary import TEMPORARY_PREFIX, clean_stale, temporary_for


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_leftovers_of_the_dead_are_removed_and_of_the_living_kept(tmp_path: Path) -> None:
    script = (
        "import os, sys; from noiseform.core.storage.atomic import whole_file\n"
        "with whole_file(sys.argv[1]) as file:\n    file.write(b'x'); file.flush(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "x")], check=False)
    leftover = names(tmp_path)
    assert len(leftover) == 1
    assert leftover[0].startswith(TEMPORARY_PREFIX)
    foreign = tmp_path / f"{TEMPORARY_PREFIX}00000000-1-abcd.wav"
    foreign.write_bytes(b"of another machine")
    old = tmp_path / f"{TEMPORARY_PREFIX}00000001-1-abcd"
    old.write_bytes(b"of another machine, two days old")
    os.utime(old, (0, 0))
    unlike = tmp_path / f"{TEMPORARY_PREFIX}nonsense"
    unlike.write_bytes(b"")
    with whole_file(tmp_path / "y") as file:
        check_writable(tmp_path / "z")
        assert names(tmp_path) == sorted([foreign.name, unlike.name, Path(file.name).name])
    assert clean_stale(tmp_path) == 0
    assert clean_stale(tmp_path / "missing") == 0


def test_a_folder_that_a_dead_writer_left_is_removed(tmp_path: Path) -> None:
    place = temporary._place()
    dead = tmp_path / f"{TEMPORARY_PREFIX}{place}-{2**22 + 1}-00000000"
    (dead / "deep").mkdir(parents=True)
    (dead / "deep" / "x").write_bytes(b"half")
    assert clean_stale(tmp_path) == 1
    assert names(tmp_path) == []


def test_pid_of_a_temporary_file_is_read_from_its_name() -> None:
    name = temporary_for(Path("x.wav")).name
    assert name.removeprefix(TEMPORARY_PREFIX).split("-")[1] == str(os.getpid())
