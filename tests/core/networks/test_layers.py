"""Layers in sampling and in training: different ways of reckoning, the same numbers."""

from __future__ import annotations

import pytest
import torch
from noiseform.core.networks.convolution import Convolution
from noiseform.core.networks.layers import ResidualBlock
from noiseform.core.networks.norm import Norm
from torch.nn import functional
from torch.testing import assert_close

TORCH = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("width", [1, 3, 5])
@pytest.mark.parametrize("space", [(60,), (61,), (9, 7), (8, 8), (4, 3, 5)])
def test_a_convolution_is_torchs_own(space, width, stride):
    layer = Convolution(len(space), 5, 6, width, stride=stride).double()
    x = torch.randn(1, *space, 5, dtype=torch.float64)
    expected = TORCH[len(space)](x.movedim(-1, 1), layer.weight, layer.bias, stride, width // 2).movedim(1, -1)
    with torch.no_grad():
        assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)
    assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)  # with gradients on


@pytest.mark.parametrize("learnt", [True, False])
def test_small_convolutions_of_one_item_keep_their_bytes(learnt):
    layer, x = Convolution(2, 128, 96).requires_grad_(learnt), torch.randn(1, 8, 8, 128)
    before, made = torch.get_num_threads(), []
    try:
        with torch.no_grad():
            for threads in (1, 2, 4):
                torch.set_num_threads(threads)
                made.append(layer(x))
    finally:
        torch.set_num_threads(before)
    assert (layer._packed.kept is None) is learnt, "packed weights are not used: oneDNN's operator has changed"
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], made[2])
    assert_close(made[0], layer(x).detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [None, 1, 2, 4])
@pytest.mark.parametrize("space", [(12,), (4, 6), (2, 3, 4)])
def test_a_norm_is_modulated_and_activated_in_sampling_as_in_training(space, rows):
    torch.manual_seed(0)
    layer, x = Norm(24).double(), torch.randn(4, *space, 24, dtype=torch.float64)
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    expected = functional.group_norm(x.movedim(-1, 1), layer.num_groups, layer.weight, layer.bias).movedim(1, -1)
    modulation = None
    if rows is not None:
        modulation = torch.randn(rows, 2, 24, dtype=torch.float64)
        for index in range(4):
            scale, shift = modulation[index * rows // 4]
            expected[index] = expected[index] * (1 + scale) + shift
    given = x.clone()
    for silu in (False, True):
        wanted = functional.silu(expected) if silu else expected
        assert_close(layer(x, modulation, silu=silu), wanted, rtol=1e-12, atol=1e-12)
        with torch.no_grad():
            assert_close(layer(x, modulation, silu=silu), wanted, rtol=1e-12, atol=1e-12)
        assert torch.equal(x, given)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("how", ["hooked", "wrapped", "patched"])
@pytest.mark.parametrize("which", ["norm_in", "conv_in", "norm_out", "conv_out"])
def test_whoever_watches_or_wraps_a_layer_of_a_block_sees_channels_last(which, how, rank):
    block = ResidualBlock(rank, 8, 16, 12).requires_grad_(False)
    torch.nn.init.normal_(block.conv_out.weight)
    x, embedding = torch.randn(2, *(6, 5, 4)[:rank], 8), torch.randn(2, 12)
    layer, seen = getattr(block, which), []

    class Wrapped(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x, *others, **options):
            seen.append((x, self.layer(x, *others, **options)))
            return seen[-1][1]

    with torch.no_grad():
        plain = block(x, embedding)
        if how == "hooked":
            layer.register_forward_hook(lambda layer, given, made: seen.append((given[0], made)))
        elif how == "wrapped":
            setattr(block, which, Wrapped())
        else:
            own = layer.forward
            layer.forward = lambda x, *others, **options: seen.append((x, own(x, *others, **options))) or seen[-1][1]
        assert torch.equal(block(x, embedding), plain)
    ((given, made),) = seen
    assert given.shape[1:-1] == made.shape[1:-1] == x.shape[1:-1]


LAID = {
    "plain": lambda space: torch.randn(4, *space, 24),
    "channels first": lambda space: torch.randn(4, 24, *space).movedim(1, -1),
    "axes changed": lambda space: torch.randn(4, *space[::-1], 24).transpose(1, len(space)),
    "with gaps": lambda space: torch.randn(8, *space, 48)[::2, ..., ::2],
    "one for all": lambda space: torch.randn(1, *space, 24).expand(4, *space, 24),
}


@pytest.mark.parametrize("laid", LAID)
@pytest.mark.parametrize("space", [(12,), (4, 6), (2, 3, 4)])
def test_a_norm_learns_in_bfloat16_as_in_float32(space, laid):
    """Under autocast, where x alone is of half precision: what comes out and the gradients are as near as it allows."""
    torch.manual_seed(0)
    layer, x = Norm(24), LAID[laid](space).to(torch.bfloat16)
    weights = torch.randn(x.shape)
    found = []
    for given in (x.detach().float().contiguous().requires_grad_(), x.detach().requires_grad_()):
        made = layer(given)
        assert made.dtype == given.dtype
        found.append([made, *torch.autograd.grad((made.float() * weights).sum(), (given, layer.weight, layer.bias))])
    for exact, half in zip(*found, strict=True):
        assert (half.float() - exact).norm() < 0.005 * exact.norm()
    assert found[1][2].dtype == torch.float32
    with torch.no_grad():
        assert (layer(x).float() - found[0][0]).norm() < 0.005 * found[0][0].norm()
