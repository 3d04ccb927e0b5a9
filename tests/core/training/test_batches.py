"""Batches: each belongs to its step alone, whoever reads it, and where the model lies elsewhere it is read ahead."""

from __future__ import annotations

import threading
import time

import pytest
import torch
from noiseform.core.training.batches import Batches


class Numbers:
    """Ten items that say which they are, and remember which thread asked for them."""

    vocabulary: tuple[tuple[str, ...], ...] = ()

    def __init__(self, *, broken: int | None = None, seconds: float = 0.0) -> None:
        self.broken, self.seconds = broken, seconds
        self.asked: list[str] = []

    def __len__(self) -> int:
        return 10

    def name(self, index: int) -> str:
        return str(index)

    def conditions(self, index: int) -> dict[str, object]:
        return {}

    def item(self, index: int, *, start: float) -> torch.Tensor:
        self.asked.append(threading.current_thread().name)
        time.sleep(self.seconds)
        if index == self.broken:
            raise OSError("the disk is gone")
        return torch.full((1, 2), float(index))


def batches_of(data: Numbers, device: str) -> Batches:
    return Batches(data, size=3, seed=4, dropout=0.1, conditioners=1, device=device)


def readers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "noiseform-reading"]


def test_read_ahead_they_are_the_same():
    here, there = batches_of(Numbers(), "cpu"), batches_of(ahead := Numbers(), "cuda")
    here.read_ahead(6)
    there.read_ahead(6)
    for step in (0, 1, 2, 4, 5):  # one is left out, as nobody does
        one, other = here.batch(step), there.batch(step)
        assert one.names == other.names
        for name in ("media", "u", "chances", "drop"):
            assert torch.equal(getattr(one, name), getattr(other, name))
        assert here.torch_seed(step) == there.torch_seed(step)
    assert "noiseform-reading" in ahead.asked
    assert not readers()  # none is begun for a step after the last


def test_only_where_the_model_lies_elsewhere():
    batches = batches_of(data := Numbers(), "cpu")
    batches.read_ahead(6)
    batches.batch(0)
    assert set(data.asked) == {threading.current_thread().name}
    assert len(data.asked) == 3


def test_what_reading_raises_is_raised_at_its_step():
    third = batches_of(Numbers(), "cuda").batch(2).names  # an epoch has ten items: none of them was seen before
    batches = batches_of(Numbers(broken=int(third[0])), "cuda")
    batches.read_ahead(6)
    batches.batch(0)
    batches.batch(1)
    with pytest.raises(OSError, match="the disk is gone"):
        batches.batch(2)


def test_others_may_wait_until_nobody_reads():
    batches = batches_of(data := Numbers(seconds=0.05), "cuda")
    batches.read_ahead(6)
    batches.batch(0)
    assert len(data.asked) < 6
    batches.wait()
    assert len(data.asked) == 6
    assert not readers()
