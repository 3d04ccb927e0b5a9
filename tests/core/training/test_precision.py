"""The precision of a training: what ``auto`` means where, and in a run that goes on."""

from __future__ import annotations

import pytest
import torch
from noiseform.core.training import precision
from noiseform.core.training.precision import autocast, chosen


@pytest.mark.parametrize(("halves", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_asks_the_processor(monkeypatch, halves, expected):
    monkeypatch.setattr(precision, "multiplies_halves", lambda: halves)
    with autocast("auto", "cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == (torch.bfloat16 if halves else torch.float32)
    assert chosen("auto", "cpu") == expected
    assert chosen("auto", "mps") == "fp32"
    assert chosen("fp32", "cpu") == "fp32"
    assert chosen("bf16", "cpu") == "bf16"


def test_a_run_goes_on_as_it_began(monkeypatch):
    monkeypatch.setattr(precision, "multiplies_halves", lambda: True)
    assert chosen("auto", "cpu", {"training": {"precision": "fp32"}}) == "fp32"
    assert chosen("bf16", "cpu", {"training": {"precision": "fp32"}}) == "bf16"  # which is then refused, or overridden
    for unreadable in (None, "text", {}, {"training": 3}, {"training": {"precision": "fp8"}}):
        assert chosen("auto", "cpu", unreadable) == "bf16"


def test_products_alone_are_halves():
    x = torch.ones(2, 2)
    with autocast("bf16", "cpu"):
        assert (x @ x).dtype == torch.bfloat16
    with autocast("fp32", "cpu"):
        assert (x @ x).dtype == torch.float32
