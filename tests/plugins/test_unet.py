"""The U-Net: shapes, conditioning, and a start that changes nothing."""

from __future__ import annotations

import pytest
import torch
from noiseform import build
from noiseform.core.errors import ConfigError
from noiseform.core.networks.layers import Attention, Convolution, Norm, Pointwise

SIZES = {
    "unet-1d": [(32,), (33,), (1,), (7,)],
    "unet-2d": [(16, 16), (15, 9), (1, 5)],
    "unet-3d": [(16, 16, 16), (5, 15, 9), (2, 1, 5), (1, 8, 8)],
}
CASES = [(name, size) for name, sizes in SIZES.items() for size in sizes]
CONDITIONING = {"vector_width": 12, "sequence_width": 6, "extra_channels": 2}


def unet(name: str, **host: int) -> torch.nn.Module:
    """Return a small U-Net whose last layers do not stand at zero, so that its output depends on what goes in."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build("network", name, channels=[16, 32], blocks=1, attention=[1], patch=2, channels_in=3, **host)
        for parameter in network.parameters():
            if not bool(parameter.any()):
                torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


def inputs(size: tuple[int, ...], rows: int = 2) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    draw = torch.Generator().manual_seed(1)
    cond = {
        "vector": torch.randn(rows, 12, generator=draw),
        "sequence": torch.randn(rows, 5, 6, generator=draw),
        "sequence_mask": torch.tensor([[True] * 3 + [False] * 2] * rows),
        "channels": torch.randn(rows, 2, *size, generator=draw),
    }
    return torch.randn(rows, 3, *size, generator=draw), torch.rand(rows, generator=draw), cond


@pytest.mark.parametrize(("name", "size"), CASES)
def test_any_size_goes_in_and_comes_out(name: str, size: tuple[int, ...]) -> None:
    x, time, cond = inputs(size)
    output = unet(name, **CONDITIONING)(x, time, cond)
    assert output.shape == x.shape
    assert output.dtype == x.dtype
    assert bool(torch.isfinite(output).all())


@pytest.mark.parametrize("name", SIZES)
def test_it_starts_by_saying_nothing(name: str) -> None:
    network = build("network", name, channels=[16, 32], blocks=1, channels_in=3)
    x, time, _ = inputs((16,) * network.item_ndim)
    assert not bool(network(x, time, {}).any())


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("changed", ["time", "vector", "sequence", "channels"])
def test_every_condition_is_heard(name: str, changed: str) -> None:
    network = unet(name, **CONDITIONING)
    x, time, cond = inputs((16,) * network.item_ndim)
    before = network(x, time, cond)
    if changed == "time":
        after = network(x, time + 0.3, cond)
    else:
        after = network(x, time, {**cond, changed: cond[changed] + 1})
    assert (after - before).abs().max() > 1e-4


@pytest.mark.parametrize("name", SIZES)
def test_masked_places_of_a_sequence_are_not_heard(name: str) -> None:
    network = unet(name, **CONDITIONING)
    x, time, cond = inputs((16,) * network.item_ndim)
    other = cond["sequence"].clone()
    other[:, 3:] += 5
    same = network(x, time, {**cond, "sequence": other})
    torch.testing.assert_close(same, network(x, time, cond))


@pytest.mark.parametrize("name", SIZES)
def test_items_do_not_leak_into_each_other(name: str) -> None:
    network = unet(name, **CONDITIONING)
    x, time, cond = inputs((16,) * network.item_ndim)
    other = x.clone()
    other[1] += 1
    torch.testing.assert_close(network(other, time, cond)[0], network(x, time, cond)[0])


@pytest.mark.parametrize("name", SIZES)
def test_bytes_do_not_depend_on_the_number_of_threads(name: str) -> None:
    network = unet(name, **CONDITIONING)
    x, time, cond = inputs((48,) * network.item_ndim, rows=2)
    before = torch.get_num_threads()
    try:
        outputs = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with torch.no_grad():
                outputs.append(network(x, time, cond))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*outputs)


def channels_first(layer: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return what one of our layers, whose channels come last, gives for x (batch, channels, \\*space)."""
    return layer(x.movedim(1, -1)).movedim(-1, 1)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("width", "stride"), [(3, 1), (3, 2), (4, 2), (1, 1)])
def test_a_convolution_is_torchs_own_with_channels_last(rank: int, width: int, stride: int) -> None:
    convolution = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d, 3: torch.nn.Conv3d}[rank]
    theirs = convolution(6, 10, width, stride=stride, padding=width // 2).double()
    ours = (Pointwise(rank, 6, 10) if width == 1 else Convolution(rank, 6, 10, width, stride=stride)).double()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(
        2, 6, *(9,) * rank, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    ).requires_grad_()
    found = []
    for layer, y in ((ours, channels_first(ours, x)), (theirs, theirs(x))):
        found.append((y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_norm_is_torchs_own_with_channels_last(rank: int) -> None:
    ours = Norm(48)
    torch.nn.init.normal_(ours.weight)
    theirs = torch.nn.GroupNorm(6, 48)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 48, *(5,) * rank, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(channels_first(ours, x), theirs(x))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_norm_learns_where_what_comes_before_it_is_frozen(rank: int) -> None:
    norm, x = Norm(16), torch.randn(2, *(5,) * rank, 16, generator=torch.Generator().manual_seed(0))
    found = []
    for start in (x, x.clone().requires_grad_()):
        norm(start).pow(4).sum().backward()
        found.append([parameter.grad for parameter in norm.parameters()])
        norm.zero_grad()
    torch.testing.assert_close(*found)
    assert not x.requires_grad


def test_attention_refuses_channels_that_do_not_split_into_heads() -> None:
    with pytest.raises(ValueError, match="multiple of head_width"):
        Attention(48, head_width=32)
    with pytest.raises(ConfigError, match="multiple of head_width"):
        build("network", "unet-1d", channels=[48], attention=[0], channels_in=1)


def test_attention_at_a_level_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="levels 0 to 1, got 2"):
        build("network", "unet-2d", channels=[32, 32], attention=[2], channels_in=1)


@pytest.mark.parametrize("name", ["unet-1d", "unet-2d"])
def test_positions_tell_one_end_from_the_other(name):
    """A network that is told where it is gives something else for an item turned round, even a constant one."""
    rank = int(name[-2])
    for positions, differs in ((0, False), (3, True)):
        torch.manual_seed(0)
        net = build("network", name, channels=[32, 32], positions=positions, channels_in=1, channels_out=1).eval()
        for parameter in net.head.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        size = (400,) if rank == 1 else (33, 70)
        with torch.no_grad():
            y = net(torch.ones(1, 1, *size), torch.full((1,), 0.3), {})
        assert y.shape == (1, 1, *size)
        middle = y[..., size[-1] // 4 : 3 * size[-1] // 4]  # away from the ends, which padding tells apart
        spread = (middle.amax(-1) - middle.amin(-1)).max() / y.abs().mean()
        assert bool(spread > 0.05) is differs, (positions, spread)
