"""Saves that are killed or run out of disk: nothing lost, nothing torn (figures G4 and G5)."""

from __future__ import annotations

import io
import itertools
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from noiseform.core.errors import NoiseformError
from noiseform.core.storage import atomic
from noiseform.core.storage.checkpoint import latest_checkpoint, save_checkpoint
from noiseform.core.storage.model_folder import load_model_folder, write_model_folder
from noiseform.core.storage.temporary import TEMPORARY_PREFIX

CALLS = ("open", "mkdir", "fsync", "link", "unlink", "rename", "replace", "rmdir")
BYTE_COUNTS = 20


def save(run: Path, step: int, size: int = 16) -> None:
    """Save a checkpoint all of whose parts tell its step."""
    filled = torch.full((size, size), float(step))
    tensors = {"model": {"w": filled, "v": filled}, "optimizer": {"m": filled}}
    save_checkpoint(run, step, tensors, {"step": step}, keep=2)


def export(run: Path, step: int, size: int = 16) -> None:
    """Export a model of two stages all of whose parts tell its step."""
    filled = torch.full((size, size), float(step))
    stages = {"base": {"w": filled}, "up": {"w": filled + 0.5}}
    write_model_folder(run / "model", {"steps": step}, stages, (), {"step": step})


def loaded_step(run: Path) -> int:
    """Load the newest checkpoint; fail when its parts disagree or a damaged one had to be passed over."""
    found = latest_checkpoint(run, clean=True)
    assert found is not None, "lost"
    values = {value for members in found.tensors.values() for tensor in members.values() for value in tensor.unique()}
    assert {float(value) for value in values} == {float(found.step)}, "torn"
    assert found.state == {"step": found.step}, "torn"
    assert found.notes == (), "torn"
    return found.step


def exported_step(run: Path) -> int:
    """Load the model; fail when its parts disagree."""
    model, weights = load_model_folder(run / "model")
    step = model.facts["step"]
    assert isinstance(step, int)
    assert model.pipeline == {"steps": step}, "torn"
    assert weights["base"]["w"].unique().tolist() == [step], "torn"
    assert weights["up"]["w"].unique().tolist() == [step + 0.5], "torn"
    return step


def leftovers(run: Path) -> list[str]:
    """Names that a completed save and export would not leave."""
    found = [path.name for path in run.rglob("*") if path.name.startswith((".partial", TEMPORARY_PREFIX))]
    return found + [path.name for path in (run / "model").glob("*") if len(list((run / "model").iterdir())) != 4]


def forked(work: Callable[[], None]) -> int:
    """Start ``work`` in a copy of this warm process and return its number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # no thread of ours holds a lock here
        child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except NoiseformError as error:
        os._exit(error.exit_code)
    except BaseException:
        os._exit(99)


def outcome(child: int) -> int:
    """Wait for a child: its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die_at(place: int) -> None:
    """Arrange for this process to kill itself before, in the middle of, or after the calls that change the disk."""
    passed = itertools.count(1)

    def pass_by() -> None:
        if next(passed) == place:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*args: object, **options: object) -> object:
            pass_by()
            result = call(*args, **options)
            pass_by()
            return result

        return wrapped

    class CountedFile(io.FileIO):
        def write(self, data: bytes) -> int:  # type: ignore[override]
            view = memoryview(data).cast("B")
            for part in (view[: len(view) // 2], view[len(view) // 2 :]):
                pass_by()
                super().write(part)
            pass_by()
            return len(view)

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    atomic.open = lambda path, mode: CountedFile(path, mode.replace("b", ""))  # type: ignore[attr-defined]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A run with two checkpoints, the next of which prunes, and a model."""
    for step in (1, 2):
        save(tmp_path / "base", step)
    export(tmp_path / "base", 2)
    return tmp_path / "base"


def test_a_kill_at_every_call_of_a_save(base: Path) -> None:
    for tried in itertools.count(1):
        run = base.with_name(f"run-{tried}")
        shutil.copytree(base, run)
        ended = outcome(forked(lambda place=tried, run=run: (die_at(place), save(run, 3))))  # type: ignore[misc]
        assert ended in (0, -signal.SIGKILL)
        complete = (run / "checkpoints" / "step-00000003").exists()
        assert loaded_step(run) == (3 if complete else 2)
        save(run, 4)
        assert loaded_step(run) == 4
        assert leftovers(run) == []
        shutil.rmtree(run)
        if ended == 0:
            break
    assert complete
    assert tried > 80
    print(f"G4 kill -9 at every call of a save: {tried - 1} tried, 0 lost, 0 torn")


def test_a_kill_at_every_call_of_an_export(base: Path) -> None:
    seen = []
    for tried in itertools.count(1):
        run = base.with_name(f"run-{tried}")
        shutil.copytree(base, run)
        ended = outcome(forked(lambda place=tried, run=run: (die_at(place), export(run, 3))))  # type: ignore[misc]
        assert ended in (0, -signal.SIGKILL)
        seen.append(exported_step(run))
        export(run, 4)
        assert exported_step(run) == 4
        assert leftovers(run) == []
        shutil.rmtree(run)
        if ended == 0:
            break
    assert seen == sorted(seen)
    assert set(seen) == {2, 3}
    print(f"G4 kill -9 at every call of an export: {tried - 1} tried, 0 lost, 0 torn")


@dataclass
class Figures:
    tried: int = 0
    in_a_save: int = 0
    steps: int = 0


def kill_at_random(run: Path, kills: int, seed: int) -> Figures:
    """Kill a process that saves and exports in turn, again and again in one run's folder."""
    chance, figures, reached, exported = random.Random(seed), Figures(), 2, 2

    def work(start: int, writing: int) -> None:
        for step in itertools.count(start + 1):
            save(run, step, 200)
            os.write(writing, b"s")
            export(run, step, 200)
            os.write(writing, b"e")

    for _ in range(kills):
        reading, writing = os.pipe()
        child = forked(lambda writing=writing, reached=reached: work(reached, writing))  # type: ignore[misc]
        os.close(writing)
        time.sleep(chance.uniform(0.0, 0.15))
        os.kill(child, signal.SIGKILL)
        assert outcome(child) == -signal.SIGKILL
        with open(reading, "rb") as pipe:
            told = pipe.read()
        saved, begun = reached + told.count(b"s"), reached + told.count(b"e") + 1
        exported = begun - 1 if b"e" in told else exported
        figures.tried += 1
        figures.in_a_save += any((run / "checkpoints").glob(".partial-*"))
        reached = loaded_step(run)
        assert saved <= reached <= saved + 1, "lost"
        assert exported_step(run) in (exported, begun), "lost"
        exported = exported_step(run)
    figures.steps = reached
    export(run, reached + 1)
    save(run, reached + 1)
    assert leftovers(run) == []
    return figures


def report(figures: Figures) -> None:
    print(
        f"G4 random kill -9: {figures.tried} tried ({figures.in_a_save} in the middle of a save), 0 lost, 0 torn, "
        f"{figures.steps} checkpoints in all"
    )


def test_random_kills(base: Path) -> None:
    figures = kill_at_random(base, 60, seed=1)
    report(figures)
    assert figures.in_a_save > 5


@pytest.mark.soak
def test_random_kills_soak(base: Path) -> None:
    report(kill_at_random(base, 500, seed=2))


def with_file_limit(limit: int, work: Callable[[], None]) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    work()


@pytest.mark.parametrize("writer", [save, export])
def test_a_full_disk_at_any_byte_leaves_the_old_one(writer: Callable[[Path, int, int], None], base: Path) -> None:
    largest = 4 * 40 * 40 + 100
    for number in range(BYTE_COUNTS):
        limit = largest * number // BYTE_COUNTS
        assert outcome(forked(lambda limit=limit: with_file_limit(limit, lambda: writer(base, 3, 40)))) == 6  # type: ignore[misc]
        assert [path for path in base.rglob("*") if path.name.startswith((".partial", TEMPORARY_PREFIX))] == []
        assert loaded_step(base) == 2
        assert exported_step(base) == 2
    writer(base, 3, 40)
    assert (loaded_step(base), exported_step(base)) == ((3, 2) if writer is save else (2, 3))
    print(f"G5 disk full, {writer.__name__}: {BYTE_COUNTS} tried, 0 failed")


FULL_DISK = """
import pathlib, sys, torch
from noiseform.core.storage.checkpoint import latest_checkpoint, save_checkpoint
from noiseform.core.errors import ResourceError
run = pathlib.Path(sys.argv[1])
try:
    for step in range(1, 100):
        save_checkpoint(run, step, {"model": {"w": torch.full((100, 100), float(step))}}, {}, keep=100)
except ResourceError as error:
    found = latest_checkpoint(run)
    assert found.step == step - 1 > 1 and not found.notes
    assert not list((run / "checkpoints").glob(".*"))
    save_checkpoint(run, 1000, {}, {}, keep=1)
    sys.exit(error.exit_code)
"""


def test_a_truly_full_disk(tmp_path: Path) -> None:
    space = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=400k none "$0" || exit 77; exec "$@"', tmp_path]
    try:
        ended = subprocess.run([*space, sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no `unshare` on this system")
    if ended.returncode in (1, 77) and "Error" not in ended.stderr:
        pytest.skip("not allowed to mount a small file system")
    assert ended.returncode == 6, ended.stderr
