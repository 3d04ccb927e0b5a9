"""Decoding in a process of its own: whatever happens there costs one file."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from noiseform.core.data import decoding_process
from noiseform.core.data.dataset import DataConfig
from noiseform.core.data.decoding_process import DecodingProcess
from noiseform.core.data.file_dataset import FileDataset
from noiseform.core.errors import MediaError, PluginError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="files are decoded in a fork on Linux alone")


def misbehave(name: str) -> None:
    """Do what bad decoders do."""
    if name == "crash":
        ctypes.string_at(0)
    elif name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif name == "leaves":
        os._exit(3)
    elif name == "hang":
        time.sleep(1000)
    elif name == "deaf":  # to all that Python could do about it
        signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
        time.sleep(1000)
    elif name == "memory":
        np.ones(2**33, dtype=np.uint8)
    elif name == "torch's memory":
        torch.ones(2**33, dtype=torch.uint8)
    elif name == "bad":
        raise MediaError("it is bad; mend it")


class Numbers(FileDataset):
    """Files that hold a number each, or the name of a mischief."""

    def __init__(self, place: Path, **options: object) -> None:
        super().__init__(place, DataConfig(labels="none", **options), ("*.txt",), 2**20)

    def decode(self, file, name):
        text = file.read().decode()
        misbehave(text)
        return torch.full((1, 2), float(text))

    def item(self, index, *, start):
        return self.kept(index)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch, capfd):
    monkeypatch.setattr(decoding_process, "TIME_LIMIT", 1.0)
    monkeypatch.setattr(decoding_process, "MEMORY_LIMIT", 2**30)


REASONS = {
    "crash": r"its decoder crashed \(SIGSEGV\); repair the file, or exclude it",
    "killed": r"its decoder crashed \(SIGKILL\)",
    "leaves": r"its decoder crashed \(exit code 3\)",
    "hang": r"its decoder took more than 1 s",
    "deaf": r"its decoder took more than 1 s",
    "torch's memory": r"takes more than 1073741824 bytes",
    "memory": r"takes more than 1073741824 bytes",
    "bad": r"^it is bad; mend it$",
}


@pytest.mark.parametrize("mischief", REASONS)
def test_one_file_is_skipped_and_the_others_are_there(tmp_path, mischief):
    for number in range(30):
        (tmp_path / f"{number:02}.txt").write_text(mischief if number == 7 else str(number))
    data = Numbers(tmp_path)
    assert len(data) == 29
    assert [int(data.item(index, start=0.0)[0, 0]) for index in range(29)] == [n for n in range(30) if n != 7]
    ((name, reason),) = data.skipped
    assert name == "07.txt"
    assert re.search(REASONS[mischief], reason), reason


def test_too_many_of_them_are_refused(tmp_path):
    for number, text in enumerate(["1", "crash", "killed"]):
        (tmp_path / f"{number}.txt").write_text(text)
    with pytest.raises(MediaError, match=r"2 of 3 files cannot be used: 1\.txt \(its decoder crashed .*\), 2\.txt \("):
        Numbers(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.float64, torch.int16])
def test_tensors_come_as_they_are(dtype):
    def decode(number):
        return (torch.arange(24).reshape(2, 3, 4) * number).to(dtype).transpose(0, 2)

    with DecodingProcess(decode) as decoded:
        for number in (1, 7, 2):
            assert torch.equal(decoded(number), decode(number))
            assert decoded(number).dtype == dtype
        decoded(1).add_(1)  # it may be written to


def test_other_errors_are_raised_here_and_warnings_are_passed_on():
    def decode(number):
        if number:
            raise PluginError("of a plugin")
        warnings.warn("a note", stacklevel=1)
        return torch.zeros(1)

    with DecodingProcess(decode) as decoded:
        with pytest.warns(UserWarning, match="a note"):
            decoded(0)
        with pytest.raises(PluginError, match="of a plugin"):
            decoded(1)


def _in_a_pool(number):
    with DecodingProcess(lambda number: torch.tensor([number])) as decoded:
        return int(decoded(number))


def test_the_worker_of_a_pool_decodes_by_itself():
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(_in_a_pool, (3,)) == 3


def test_nothing_of_it_is_left():
    started = []

    def decode(number):
        return torch.tensor([os.getpid()])

    with DecodingProcess(decode) as decoded:
        started.append(int(decoded(0)))
    assert started != [os.getpid()]
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


def test_it_ends_with_its_parent():
    program = """
import os, time, torch
from noiseform.core.data.decoding_process import DecodingProcess
with DecodingProcess(lambda number: torch.tensor([os.getpid()])) as decoded:
    print(int(decoded(0)), flush=True)
    os.kill(os.getpid(), 9)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    child = int(told.stdout)
    for _ in range(100):
        try:
            with open(f"/proc/{child}/stat") as file:
                if file.read().split()[2] == "Z":
                    return
        except OSError:
            return
        time.sleep(0.05)
    pytest.fail("the child goes on without its parent")
