"""Training checkpoints: exact, pruned late, and never believed when damaged; the lock of a run."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from noiseform.core.errors import CheckpointError, ConfigError, NumericError, ResourceError
from noiseform.core.storage import checkpoint as storage
from noiseform.core.storage.checkpoint import (
    AllDamagedError,
    Checkpoint,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from noiseform.core.storage.run_lock import RunLock
from noiseform.core.storage.state_tree import flatten_state, restore_optimizer, restore_state
from noiseform.core.storage.strict_json import dump_json, parse_json_object


def save(run: Path, step: int, value: float | None = None, **options: int) -> Path:
    filled = torch.full((4, 3), float(step if value is None else value))
    tensors = {"model": {"w": filled}, "optimizer": {"m": filled.double()}}
    return save_checkpoint(run, step, tensors, {"loss": [0.5, step]}, **options)


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def newest(run: Path, **options: bool) -> Checkpoint:
    found = latest_checkpoint(run, **options)
    assert found is not None
    return found


def flip(path: Path, place: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    path = save(tmp_path, 1000)
    assert path == tmp_path / "checkpoints" / "step-00001000"
    assert sorted(file.name for file in path.iterdir()) == [
        "manifest.json",
        "model.safetensors",
        "optimizer.safetensors",
        "state.json",
    ]
    found = newest(tmp_path)
    assert (found.path, found.step, found.state, found.notes) == (path, 1000, {"loss": [0.5, 1000]}, ())
    assert torch.equal(found.tensors["model"]["w"], torch.full((4, 3), 1000.0))
    assert found.tensors["optimizer"]["m"].dtype == torch.float64


def test_a_run_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path, clean=True) is None
    (tmp_path / "checkpoints").touch()
    with pytest.raises(ConfigError, match="not a directory"):
        latest_checkpoint(tmp_path)


def test_latest_goes_by_the_step_and_not_by_the_clock(tmp_path: Path) -> None:
    for step in (30, 100_000_000, 200):
        save(tmp_path, step)
    os.utime(tmp_path / "checkpoints" / "step-00000030", (2e9, 2e9))
    assert newest(tmp_path).step == 100_000_000


def test_old_ones_go_only_after_the_new_one_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (1, 2, 3, 4):
        save(tmp_path, step, keep=2)
    assert names(tmp_path) == ["step-00000003", "step-00000004"]

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for call in ("mkdir", "fsync", "rename", "link"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            with pytest.raises(ResourceError, match="no space left"):
                save(tmp_path, 5, keep=1)
        assert names(tmp_path) == ["step-00000003", "step-00000004"], call
    assert newest(tmp_path).step == 4


def test_saving_a_step_again_keeps_the_first_until_the_second_is_complete(tmp_path: Path) -> None:
    save(tmp_path, 7, 1.0)
    again = save(tmp_path, 7, 2.0)
    assert again.name == "step-00000007-2"
    assert newest(tmp_path).tensors["model"]["w"][0, 0] == 2
    assert save(tmp_path, 7, 3.0, keep=1).name == "step-00000007-3"
    assert names(tmp_path) == ["step-00000007-3"]


def test_a_save_at_an_earlier_step_removes_nothing_later(tmp_path: Path) -> None:
    for step in (100, 200, 300, 1):
        save(tmp_path, step, keep=1 if step == 1 else 3)
    assert names(tmp_path) == [f"step-{step:08d}" for step in (1, 100, 200, 300)]


def test_nonfinite_tensors_are_not_saved(tmp_path: Path) -> None:
    save(tmp_path, 1)
    with pytest.raises(NumericError, match="model: w holds NaN"):
        save(tmp_path, 2, math.nan, keep=1)
    assert names(tmp_path) == ["step-00000001"]
    save(tmp_path, 2, math.nan, allow_nonfinite=True)
    assert newest(tmp_path).step == 1
    assert newest(tmp_path, allow_nonfinite=True).step == 2


def test_arguments_are_checked(tmp_path: Path) -> None:
    for step, tensors, keep in ((-1, {}, 3), (1, {"../x": {}}, 3), (1, {}, 0)):
        with pytest.raises(ValueError, match="must be"):
            save_checkpoint(tmp_path, step, tensors, {}, keep=keep)
    with pytest.raises(TypeError):
        save_checkpoint(tmp_path, 1, {}, {"x": object()})
    assert names(tmp_path) == []


FILES = ("manifest.json", "state.json", "model.safetensors", "optimizer.safetensors")
DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-2]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"}"),
    "another": lambda path: shutil.copy(path.parents[1] / "step-00000001" / path.name, path),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a link out": lambda path: (path.rename(path.parents[3] / "moved"), path.symlink_to(path.parents[3] / "moved")),
}


# A link to the true content does no harm where no path depends on it.
CASES = [(file, damage) for file in FILES for damage in DAMAGES if damage != "a link out" or file.endswith("tensors")]


@pytest.mark.parametrize(("file", "damage"), CASES)
def test_damage_falls_back_to_the_one_before_and_says_so(file: str, damage: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    save(run, 1)
    path = save(run, 2)
    DAMAGES[damage](path / file)
    found = newest(run)
    assert found.step == 1
    assert len(found.notes) == 1
    assert "step-00000002 is damaged, step-00000001 is used: " in found.notes[0]
    assert names(run) == ["step-00000001", "step-00000002"]
    assert "set aside as damaged-step-00000002" in newest(run, clean=True).notes[0]
    assert names(run) == ["damaged-step-00000002", "step-00000001"]
    assert newest(run).notes == ()
    shutil.copytree(run / "checkpoints" / "step-00000001", path)
    newest(run, clean=True)
    assert names(run) == ["damaged-step-00000002", "damaged-step-00000002.2", "step-00000001"]


def test_a_checkpoint_under_another_step_is_not_believed(tmp_path: Path) -> None:
    save(tmp_path, 1)
    moved = save(tmp_path, 2).rename(tmp_path / "checkpoints" / "step-00000009")
    with pytest.raises(CheckpointError, match="disagree on the step"):
        load_checkpoint(moved)
    with pytest.raises(CheckpointError, match="no folder of a checkpoint"):
        load_checkpoint(tmp_path)


def test_files_missing_from_the_manifest_are_missed(tmp_path: Path) -> None:
    path = save(tmp_path, 1)
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["files"]["optimizer.safetensors"]
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="disagree on the files"):
        load_checkpoint(path)


def test_each_damaged_one_is_named_with_the_one_that_is_used(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        path = save(tmp_path, step)
        if step > 1:
            flip(path / "model.safetensors")
    told = newest(tmp_path, clean=True).notes
    assert [note.partition(":")[0] for note in told] == [
        f"checkpoint step-0000000{step} is damaged and set aside as damaged-step-0000000{step}, step-00000001 is used"
        for step in (3, 2)
    ]


@pytest.mark.parametrize("count", [2, 7])
def test_when_all_are_damaged_training_does_not_start_from_nothing(count: int, tmp_path: Path) -> None:
    for step in range(1, count + 1):
        flip(save(tmp_path, step, keep=count) / "model.safetensors")
    before = names(tmp_path)
    for _ in range(2):  # the second try finds the same
        with pytest.raises(AllDamagedError, match=rf"none of {count} is whole \(step-") as caught:
            latest_checkpoint(tmp_path, clean=True)
        told = str(caught.value)
        assert [f"{name}: weights: " in told for name in reversed(before)] == [True] * min(count, 5) + [False] * (
            count - 5
        )
        assert ("; and 2 more)" in told) == (count == 7)
        assert "take" not in told
        assert "is used" not in told
    assert names(tmp_path) == before


def test_a_later_format_is_an_error_and_not_damage(tmp_path: Path) -> None:
    save(tmp_path, 1)
    path = save(tmp_path, 2) / "manifest.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(CheckpointError, match="update noiseform"):
        latest_checkpoint(tmp_path, clean=True)
    assert names(tmp_path) == ["step-00000001", "step-00000002"]


def test_a_reader_survives_pruning_under_its_hands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 1)
    original, saved = storage.load_tensors, []

    def slow(path: Path, *args: str, **options: bool) -> dict[str, torch.Tensor]:
        if not saved:
            saved.append(save(tmp_path, 2, keep=1))
        return original(path, *args, **options)

    monkeypatch.setattr(storage, "load_tensors", slow)
    assert newest(tmp_path).step == 2
    assert newest(tmp_path).notes == ()


def test_what_an_interrupted_save_left_is_passed_over_and_removed(tmp_path: Path) -> None:
    path = save(tmp_path, 1)
    for name in (".partial-00000002", ".partial-old-step-00000000"):
        shutil.copytree(path, path.with_name(name))
    assert newest(tmp_path).step == 1
    assert len(names(tmp_path)) == 3
    assert newest(tmp_path, clean=True).step == 1
    assert names(tmp_path) == ["step-00000001"]


def test_every_file_is_on_the_disk_before_the_rename_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[tuple[str, str]] = []
    fsync, rename = os.fsync, os.rename

    def noted_fsync(handle: int) -> None:
        events.append(("fsync", os.path.basename(os.readlink(f"/proc/self/fd/{handle}"))))
        fsync(handle)

    def noted_rename(source: str, target: str) -> None:
        events.append(("rename", os.path.basename(target)))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "rename", noted_rename)
    save(tmp_path, 5)
    place = events.index(("rename", "step-00000005"))
    synced = [name for kind, name in events[:place] if kind == "fsync"]
    files = [name for name in synced if name != ".partial-00000005"]
    assert [os.path.splitext(name)[1] for name in files] == [".safetensors", ".safetensors", ".json", ".json"]
    assert synced[-1] == ".partial-00000005"
    assert events[place + 1] == ("fsync", "checkpoints")


# --- nested state ---

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"]))
leaves |= st.integers(0, 3).map(torch.arange)
keys = st.text("ab~.", max_size=3) | st.integers(-3, 3) | st.booleans() | st.none() | st.tuples(st.integers(0, 1))


def nested(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    # A function with a name: of a lambda hypothesis looks up the source, on which Python 3.11 may trip.
    return st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(keys, inner)


trees = st.recursive(leaves, nested, max_leaves=12)


def alike(one: object, other: object) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)  # type: ignore[union-attr, arg-type]
    if isinstance(one, dict):
        same_keys = [(type(key), key) for key in one] == [(type(key), key) for key in other]  # type: ignore[attr-defined]
        return same_keys and all(alike(one[key], other[key]) for key in one)  # type: ignore[index]
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))  # type: ignore[arg-type]
    return one == other or (one != one and other != other)


@given(trees)
def test_nested_state_comes_back_exactly(tree: object) -> None:
    tensors, structure = flatten_state(tree)
    through_json = parse_json_object(dump_json({"state": structure}), "test")["state"]
    assert alike(restore_state(tensors, through_json), tree)


def test_what_no_checkpoint_can_hold_is_refused() -> None:
    for value in (object(), {"a": {1, 2}}, torch.float32, [b"bytes"], torch.Size([1])):
        with pytest.raises(TypeError, match="no place in a checkpoint"):
            flatten_state(value)


@pytest.mark.parametrize(
    "structure",
    [
        {"~tensor": "absent"},
        {"~tensor": []},
        {"~tuple": 3},
        {"~float": "x"},
        {"~dict": [1]},
        {"~dict": [[[], 1]]},
        {"~new": 1},
        {"~float": [[]]},
    ],
)
def test_malformed_state_is_refused(structure: object) -> None:
    with pytest.raises(CheckpointError, match="malformed"):
        restore_state({}, structure)
    with pytest.raises(CheckpointError, match="does not mention: left"):
        restore_state({"left": torch.ones(1)}, {})


Made = Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer]
OPTIMIZERS: dict[str, Made] = {
    "adamw": lambda p: torch.optim.AdamW([{"params": p[:1], "weight_decay": 0.0}, {"params": p[1:]}], lr=0.01),
    "amsgrad": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True, betas=(0.9, 0.95)),
    "adamw-fused": lambda p: torch.optim.AdamW(p, lr=0.01, fused=True),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, centered=True, momentum=0.5),
    "adafactor": lambda p: torch.optim.Adafactor(p, lr=0.01),
    "lbfgs": lambda p: torch.optim.LBFGS(p, lr=0.01, max_iter=2),
}


def train(module: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        data = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))

        def closure(data: torch.Tensor = data) -> float:
            optimizer.zero_grad()
            loss = (module(data) - 1).square().mean()
            loss.backward()
            return float(loss.detach())

        optimizer.step(closure)


def fresh(made: Made, width: int = 4) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = torch.nn.Sequential(torch.nn.Linear(3, width), torch.nn.Tanh(), torch.nn.Linear(width, 1))
    if made is not OPTIMIZERS["lbfgs"]:  # which takes no weights that are laid out otherwise, as our convolutions' are
        module[0].weight.data = module[0].weight.data.t().contiguous().t()
    return module, made(list(module.parameters()))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    module, optimizer = fresh(OPTIMIZERS[name])
    train(module, optimizer, range(6))
    half, half_optimizer = fresh(OPTIMIZERS[name])
    train(half, half_optimizer, range(3))
    tensors, structure = flatten_state(half_optimizer.state_dict())
    save_checkpoint(tmp_path, 3, {"model": half.state_dict(), "optimizer": tensors}, {"optimizer": structure})

    found = newest(tmp_path)
    resumed, resumed_optimizer = fresh(OPTIMIZERS[name])
    resumed.load_state_dict(found.tensors["model"])
    state = restore_state(found.tensors["optimizer"], found.state["optimizer"])
    assert alike(state, half_optimizer.state_dict())
    restore_optimizer(resumed_optimizer, state)
    train(resumed, resumed_optimizer, range(3, 6))
    assert all(torch.equal(one, two) for one, two in zip(resumed.parameters(), module.parameters(), strict=True))


def test_an_optimizer_of_another_model_is_refused() -> None:
    module, optimizer = fresh(OPTIMIZERS["adamw"])
    train(module, optimizer, range(2))
    before = flatten_state(optimizer.state_dict())[0]
    for other in (fresh(OPTIMIZERS["adamw"], width=5), fresh(OPTIMIZERS["sgd"])):
        train(*other, range(1))
        with pytest.raises(CheckpointError, match="another model or optimizer"):
            restore_optimizer(optimizer, other[1].state_dict())
    groups = optimizer.state_dict()["param_groups"]
    for state in (None, {}, {"state": {}}, {"state": [], "param_groups": groups}, {"state": {}, "param_groups": [3]}):
        with pytest.raises(CheckpointError, match="another model or optimizer"):
            restore_optimizer(optimizer, state)
    after = flatten_state(optimizer.state_dict())[0]
    assert all(torch.equal(before[name], after[name]) for name in before)


# --- the lock ---


def test_a_second_trainer_is_kept_out(tmp_path: Path) -> None:
    with RunLock(tmp_path / "run") as lock:
        with pytest.raises(ConfigError, match=f"process {os.getpid()}; wait for it") as caught:
            RunLock(tmp_path / "run")
        assert caught.value.exit_code == 2
        lock.release()
        lock.release()
        RunLock(tmp_path / "run").release()
    RunLock(tmp_path / "run").release()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        RunLock(tmp_path / "file")


HOLDER = """
import pathlib, sys, time
from noiseform.core.storage.run_lock import RunLock
lock = RunLock(pathlib.Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_a_killed_trainer_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match=f"process {holder.pid}"):
            RunLock(tmp_path)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    RunLock(tmp_path).release()


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.write(writing, b"x")
        signal.pause()
    try:
        os.read(reading, 1)
        os.close(lock._handle)  # as the death of the trainer would
        lock._handle = -1
        RunLock(tmp_path).release()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)
