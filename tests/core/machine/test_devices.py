"""Devices: which can be used, what memory they have, and generators that begin at a seed and are put back."""

from __future__ import annotations

import pytest
import torch
from noiseform.core.errors import ConfigError
from noiseform.core.machine.devices import checked_device, checked_dtype, seeded
from noiseform.core.machine.memory import available_bytes, refuse_too_much


@pytest.mark.parametrize("name", ["nonsense", "meta", "", "cuda:999"])
def test_a_device_that_computes_nothing_is_refused(name):
    with pytest.raises(ConfigError, match=r"^device: .* cannot be used here \(.*\); use cpu$"):
        checked_device(name)


def test_names_of_dtypes():
    assert checked_dtype("bfloat16") is checked_dtype("bf16") is torch.bfloat16
    assert (checked_dtype("fp32"), checked_dtype("fp16")) == (torch.float32, torch.float16)
    with pytest.raises(ConfigError, match="unknown dtype 'float8'"):
        checked_dtype("float8")


def test_generators_begin_at_a_seed_and_are_put_back():
    before = torch.get_rng_state()
    drawn = []
    for _ in range(2):
        with seeded(3):
            drawn.append(torch.rand(4))
    assert torch.equal(*drawn)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(KeyError), seeded(3):
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before)


def test_of_a_gpu_counts_what_torch_keeps_for_the_next_tensor(monkeypatch):
    """What its allocator holds and nobody uses is as good as free."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * 2**30, 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 70 * 2**30)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 10 * 2**30)
    assert available_bytes("cuda:0") == 62 * 2**30
    refuse_too_much((1, 2**27), (1, 2**27), 8, "training", "cuda:0")  # 32 GiB


def test_of_other_devices_nothing_is_known():
    assert available_bytes("mps") is None
    refuse_too_much((1, 2**40), (1, 2**40), 8, "training", "mps")
