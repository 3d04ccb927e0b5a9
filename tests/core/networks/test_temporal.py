"""Layers along time: a convolution that is torch's own, places for any number of frames, a start without effect."""

from __future__ import annotations

import pytest
import torch
from noiseform.core.networks.temporal import (
    Mix,
    TemporalAttention,
    TemporalConvolution,
    TemporalLayer,
    frame_places,
)
from torch import Tensor, nn


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def opened(layer: nn.Module) -> nn.Module:
    """Return a layer whose mixing weights have left zero."""
    for mix in layer.modules():
        if isinstance(mix, Mix):
            nn.init.normal_(mix.weight, generator=torch.Generator().manual_seed(1))
    return layer


@pytest.mark.parametrize("width", [1, 3, 5])
@pytest.mark.parametrize("frames", [1, 2, 7])
def test_a_convolution_along_time_is_torchs_own(width, frames):
    theirs = nn.Conv3d(6, 10, (width, 1, 1), padding=(width // 2, 0, 0)).double()
    ours = TemporalConvolution(6, 10, width).double()
    ours.load_state_dict({"weight": theirs.weight.detach()[..., 0, 0], "bias": theirs.bias.detach()})
    x = drawn(2, frames, 4, 3, 6).double()
    expected = theirs(x.movedim(-1, 1)).movedim(1, -1)
    torch.testing.assert_close(ours(x.flatten(2, 3)), expected.flatten(2, 3))


def test_places_of_a_longer_film_begin_with_those_of_a_shorter_one():
    long, short = frame_places(300, torch.zeros(1)), frame_places(16, torch.zeros(1))
    assert torch.equal(long[:16], short)
    assert torch.pdist(long).min() > 1e-2
    assert frame_places(4, torch.zeros(1, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("frames", [1, 2, 9])
def test_a_layer_starts_without_effect_and_learns(frames):
    layer = TemporalLayer(16, 12, attention=True, head_width=8)
    x, embedding, places = drawn(2 * frames, 3, 5, 16), drawn(2, 12), frame_places(frames, torch.zeros(1))
    assert torch.equal(layer(x, embedding, places), x)
    target = drawn(*x.shape).flip(0)
    (layer(x, embedding, places) - target).square().mean().backward()
    mixes = [module for module in layer.modules() if isinstance(module, Mix)]
    assert len(mixes) == 2
    assert all(bool(mix.weight.grad.abs().min() > 0) for mix in mixes)


def test_attention_tells_one_frame_from_another_and_positions_do_not_meet():
    attention = opened(TemporalAttention(16, head_width=8))
    clip, places = drawn(1, 1, 5, 16).expand(1, 6, 5, 16), frame_places(6, torch.zeros(1))
    moved = [attention(clip, told).std(1).max() for told in (places, torch.zeros_like(places))]
    assert moved[0] > 3e-5 > 3e-6 > moved[1]  # in a clip that stands still frames differ by their places alone
    clip = drawn(1, 6, 5, 16)
    other = clip.clone()
    other[:, :, 0] = other[:, :, 0].flip(1)
    attention.norm = nn.Identity()  # the norm is over the whole clip
    torch.testing.assert_close(attention(other, places)[:, :, 1:], attention(clip, places)[:, :, 1:])


def test_attention_refuses_channels_that_do_not_split_into_heads():
    with pytest.raises(ValueError, match="multiple of head_width"):
        TemporalAttention(48, head_width=32)
