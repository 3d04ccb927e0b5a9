"""Convolutions in bfloat16: their gradients are those of float32, where items are smaller than the kernel, too."""

from __future__ import annotations

import pytest
import torch
from noiseform.core.networks.convolution import Convolution

SIZES = [(1,), (3,), (9,), (1, 1), (8, 1), (2, 8), (9, 9), (1, 1, 1), (2, 5, 5), (3, 9, 9), (8, 1, 1), (5, 6, 7)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("width", "stride"), [(3, 1), (4, 2)])
def test_gradients_of_halves(size, width, stride):
    """By torch's own they are NaN or worse, from 2 of 5 frames with a kernel of 3 on."""
    torch.manual_seed(0)
    layer = Convolution(len(size), 8, 16, width, stride=stride)
    x = torch.randn(2, *size, 8)
    found = []
    for halves in (False, True):
        given = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=halves):
            made = layer(given)
        assert made.dtype == (torch.bfloat16 if halves else torch.float32)
        (made.float() * torch.arange(made.numel()).sin().view_as(made)).sum().backward()
        found.append((made.float(), given.grad, layer.weight.grad, layer.bias.grad))
        layer.zero_grad()
    for wide, half in zip(*found, strict=True):
        assert (half - wide).norm() <= 0.05 * wide.norm() + 1e-6
