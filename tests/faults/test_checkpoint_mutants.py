"""Checkpoints, models and pickles with bytes changed at random: refused or read rightly, never run (figure G3)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import random
import shutil
import signal
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from noiseform.core.errors import CheckpointError
from noiseform.core.storage.checkpoint import load_checkpoint, save_checkpoint
from noiseform.core.storage.model_folder import load_model_folder, write_model_folder
from noiseform.core.storage.model_parts import RequiredPart
from noiseform.core.storage.weights import assign, load_tensors, save_tensors

FORBIDDEN = {"os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "pickle.find_class"}
FORBIDDEN |= {"socket.connect", "socket.bind", "socket.getaddrinfo"}
BATCH = 500
NUMBERS = [b"0", b"1", b"-1", b"2", b"4", b"1e9", b"9223372036854775808", b"18446744073709551616", b"true", b"null"]
NUMBERS += [b"[]", b"{}", b'""', b"NaN", b"9" * 60, b'"../../x"', b'"F64"', b'"BOOL"']


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Change, cut, repeat or replace some of the bytes, more often near the start, where the header is."""
    data = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        near = min(len(data), chance.choice([9, 300, len(data)]))
        place = chance.randrange(near) if near else 0
        size = chance.choice([1, 2, 8, 40])
        kind = chance.randrange(9)
        if kind == 0 and data:
            data[place] ^= 1 << chance.randrange(8)
        elif kind == 1 and data:
            data[place] = chance.randrange(256)
        elif kind == 2:
            del data[place:]
        elif kind == 3:
            del data[place : place + size]
        elif kind == 4:
            data[place:place] = data[place : place + size]
        elif kind == 5:
            data[place:place] = chance.randbytes(size)
        elif kind == 6:
            data[place : place + size] = bytes(len(data[place : place + size]))
        elif kind == 7:
            data[:8] = chance.choice([2**63, 2**64 - 1, 0, 1, len(data), len(content), 2**24]).to_bytes(8, "little")
        else:
            data = with_another_number(data, chance)
    return bytes(data)


def with_another_number(data: bytearray, chance: random.Random) -> bytearray:
    """Replace one run of digits by a hostile value, and set the length of the header right."""
    digits = [place for place in range(8, min(len(data), 900)) if data[place : place + 1].isdigit()]
    if not digits:
        return data
    start = end = chance.choice(digits)
    while data[end : end + 1].isdigit():
        end += 1
    value = chance.choice(NUMBERS)
    length = int.from_bytes(data[:8], "little") + len(value) - (end - start)
    changed = data[:start] + value + data[end:]
    if len(data) > 8 and 0 < length < 2**20:
        changed[:8] = length.to_bytes(8, "little")
    return changed


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


def try_weights(folder: Path, chance: random.Random) -> str:
    """One changed safetensors file: what we accept the library must accept too, with equal values."""
    module = network()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    path, whole = folder / "w.safetensors", folder / "whole"
    if not whole.exists():
        save_tensors(whole, {name: tensor + 1 for name, tensor in before.items()}, {"format": "pt"})
    original = whole.read_bytes()
    data = mutated(original, chance)
    path.write_bytes(data)
    if data != original:
        with pytest.raises(CheckpointError):
            load_tensors(path, hashlib.sha256(original).hexdigest())
    try:
        tensors = load_tensors(path)
    except CheckpointError as error:
        return "refused" if str(path) in str(error) else "refused without a name"
    assert equal(tensors, safetensors.torch.load(data)), "we read it otherwise than the library"
    try:
        assign(module, tensors)
    except CheckpointError:
        assert equal(module.state_dict(), before), "half loaded"
        return "read, does not fit"
    assert equal(module.state_dict(), tensors), "half loaded"
    return "read"


class Bomb:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch '{self.canary}'",)


def try_pickle(folder: Path, chance: random.Random) -> str:
    """One changed pickle or torch.save file, some with code in it: always refused."""
    content = {"w": torch.ones(3), "bomb": Bomb(folder / "canary")}
    buffer = io.BytesIO()
    form = chance.randrange(3)
    if form == 2:
        pickle.dump(content, buffer, protocol=chance.randrange(6))
    else:
        torch.save(content, buffer, _use_new_zipfile_serialization=form == 0)
    path = folder / chance.choice(["m.pt", "m.ckpt", "m.bin", "m.pth", "m.safetensors"])
    data = buffer.getvalue()
    path.write_bytes(mutated(data, chance) if chance.random() < 0.9 else data)
    with pytest.raises(CheckpointError):
        load_tensors(path)
    path.unlink()
    return "refused"


def try_folders(folder: Path, chance: random.Random) -> str:
    """One changed file of a checkpoint or a model: refused, or what is loaded is what was saved."""
    if not (folder / "good").exists():
        tensors = {"w": torch.ones(3), "n": torch.tensor(2)}
        save_checkpoint(folder / "good", 7, {"model": tensors, "ema": tensors}, {"losses": [1.5]})
        parts = [RequiredPart("network", "unet-1d", "noiseform", "0.1.0")]
        write_model_folder(folder / "good" / "model", {"steps": 20}, {"base": tensors}, parts, {"seed": 1})
    good = folder / "good" / chance.choice(["checkpoints/step-00000007", "model"])
    work = folder / good.name
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(good, work)
    path = chance.choice(sorted(work.iterdir()))
    if chance.random() < 0.5:
        path = chance.choice([file for file in sorted(work.iterdir()) if file.suffix != ".safetensors"])
    path.write_bytes(mutated(path.read_bytes(), chance))
    try:
        if work.name == "model":
            model, weights = load_model_folder(work)
            assert (model.pipeline, weights["base"]["w"].tolist()) == ({"steps": 20}, [1, 1, 1])
        else:
            found = load_checkpoint(work)
            assert (found.step, found.state) == (7, {"losses": [1.5]})
            assert all(members["w"].tolist() == [1, 1, 1] for members in found.tensors.values())
            assert found.tensors.keys() == {"model", "ema"}
    except CheckpointError:
        return "refused"
    return "read"


TRIALS = {"weights": try_weights, "pickles": try_pickle, "folders": try_folders}


def run_batch(kind: str, seeds: range, folder: Path, writing: int) -> None:
    """In a child: try each seed, and tell the counts and failures as JSON."""
    counts: Counter[str] = Counter()
    failures: list[str] = []
    done: list[str] = []

    def watch(event: str, _: object) -> None:
        if event in FORBIDDEN:
            done.append(event)

    sys.addaudithook(watch)
    for seed in seeds:
        signal.alarm(10)
        try:
            counts[TRIALS[kind](folder, random.Random(seed))] += 1
        except BaseException:
            failures.append(f"{kind} {seed}: {traceback.format_exc(limit=-3)}")
    signal.alarm(0)
    with open(writing, "w", encoding="utf-8") as pipe:
        json.dump({"counts": counts, "failures": failures[:5], "events": done[:5]}, pipe)


def in_child(work: Callable[[int], None]) -> dict[str, object]:
    """Run ``work`` in a copy of this process, so that a death is seen and hooks go with it."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # no thread of ours holds a lock here
        child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            work(writing)
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        told = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "a process died"
    answer: dict[str, object] = json.loads(told)
    return answer


def try_many(kind: str, number: int, folder: Path) -> None:
    counts: Counter[str] = Counter()
    for start in range(0, number, BATCH):
        seeds = range(start, min(start + BATCH, number))
        answer = in_child(lambda writing, seeds=seeds: run_batch(kind, seeds, folder, writing))  # type: ignore[misc]
        assert answer["failures"] == []
        assert answer["events"] == []
        counts.update(answer["counts"])  # type: ignore[arg-type]
    assert not (folder / "canary").exists()
    assert counts["refused"] > number / 3
    assert "refused without a name" not in counts
    assert sum(counts.values()) == number
    print(f"G3 mutated {kind}: {number} tried, 0 failed; {dict(counts)}")


@pytest.mark.parametrize(("kind", "number"), [("weights", 1000), ("pickles", 500), ("folders", 500)])
def test_mutants(kind: str, number: int, tmp_path: Path) -> None:
    try_many(kind, number, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize(("kind", "number"), [("weights", 10_000), ("pickles", 10_000), ("folders", 2_000)])
def test_mutants_soak(kind: str, number: int, tmp_path: Path) -> None:
    try_many(kind, number, tmp_path)
