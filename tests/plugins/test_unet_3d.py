"""The U-Net for films: at the start the U-Net for pictures frame by frame, then with layers of time that learn."""

from __future__ import annotations

import pytest
import torch
from noiseform import build
from noiseform.core.errors import ConfigError
from noiseform.core.networks.temporal import Mix
from torch import Tensor, nn

SHAPE = {"channels": [16, 32], "blocks": 1, "attention": [1], "head_width": 16, "patch": 2, "positions": 2}
HOST = {"channels_in": 3, "vector_width": 12, "sequence_width": 6, "extra_channels": 2}


def of_pictures() -> nn.Module:
    """Return a U-Net for pictures as if trained: no weight of it stands at zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build("network", "unet-2d", **SHAPE, **HOST)
        for parameter in network.parameters():
            if not bool(parameter.any()):
                nn.init.normal_(parameter, std=0.1)
    return network.eval()


def times_own(network: nn.Module) -> frozenset[str]:
    """Return the names of the weights of the layers of time."""
    return network.additions[-1]


def of_films(**settings: object) -> nn.Module:
    """Return one for films with the same layers of space, and untrained layers of time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = build("network", "unet-3d", **{**SHAPE, **settings}, **HOST)
    lacking = network.load_state_dict(of_pictures().state_dict(), strict=False)
    assert set(lacking.missing_keys) == times_own(network)
    assert not lacking.unexpected_keys
    return network.eval()


def opened(network: nn.Module) -> nn.Module:
    """Return it as if its layers of time were trained."""
    for module in network.modules():
        if isinstance(module, Mix):
            nn.init.normal_(module.weight, std=0.5, generator=torch.Generator().manual_seed(3))
    return network


def inputs(frames: int, height: int = 12, width: int = 12) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    draw = torch.Generator().manual_seed(2)
    cond = {
        "vector": torch.randn(2, 12, generator=draw),
        "sequence": torch.randn(2, 5, 6, generator=draw),
        "sequence_mask": torch.tensor([[True] * 5, [True] * 3 + [False] * 2]),
        "channels": torch.randn(2, 2, frames, height, width, generator=draw),
    }
    return torch.randn(2, 3, frames, height, width, generator=draw), torch.rand(2, generator=draw), cond


def frame_by_frame(x: Tensor, time: Tensor, cond: dict[str, Tensor]) -> Tensor:
    network = of_pictures()
    frames = [
        network(x[:, :, frame], time, {**cond, "channels": cond["channels"][:, :, frame]})
        for frame in range(x.shape[2])
    ]
    return torch.stack(frames, 2)


@pytest.mark.parametrize("size", [(5, 12, 12), (3, 11, 7), (2, 1, 5), (1, 12, 12), (40, 4, 4)])
def test_untrained_it_is_the_network_of_pictures_frame_by_frame(size):
    x, time, cond = inputs(*size)
    with torch.no_grad():
        expected = frame_by_frame(x, time, cond)
        difference = of_films()(x, time, cond) - expected
    assert difference.abs().max() <= 1e-6 * expected.abs().max()


def test_with_one_seed_both_start_from_the_same_layers_of_space():
    starts = []
    for name in ("unet-2d", "unet-3d"):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(4)
            starts.append(build("network", name, **SHAPE, **HOST).state_dict())
    assert all(torch.equal(starts[1][name], tensor) for name, tensor in starts[0].items())


def test_trained_layers_of_time_let_frames_hear_each_other_but_not_items():
    network = opened(of_films())
    x, time, cond = inputs(6)
    other = x.clone()
    other[1, :, 5] += 1
    with torch.no_grad():
        difference = (network(other, time, cond) - network(x, time, cond)).abs().amax((1, 3, 4))
    assert bool((difference[1] > 1e-4).all())
    assert bool((difference[0] < 1e-6).all())


def test_a_still_is_the_picture_however_the_layers_of_time_were_trained():
    network = opened(of_films())
    x, time, cond = inputs(3)
    still = {**cond, "channels": cond["channels"][:, :, :1]}
    with torch.no_grad():
        expected = frame_by_frame(x, time, cond)
        torch.testing.assert_close(network(x[:, :, :1], time, still), expected[:, :, :1], rtol=0, atol=1e-6)
        assert (network(x, time, cond) - expected).abs().max() > 1e-2


@pytest.mark.parametrize("frames", [2, 3, 17, 64])
def test_any_number_of_frames(frames):
    x, time, cond = inputs(frames, 4, 4)
    with torch.no_grad():
        output = opened(of_films())(x, time, cond)
    assert output.shape == x.shape
    assert bool(torch.isfinite(output).all())


def test_channels_beside_the_item_may_be_the_same_for_all_frames():
    network = opened(of_films())
    x, time, cond = inputs(4)
    one = cond["channels"][:, :, 0]
    with torch.no_grad():
        same = network(x, time, {**cond, "channels": one})
        each = network(x, time, {**cond, "channels": one.unsqueeze(2).expand(-1, -1, 4, -1, -1)})
    assert torch.equal(same, each)


def test_training_moves_the_mixing_weights_first_and_then_every_layer_of_time():
    network = of_films().train()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in times_own(network))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-3, fused=True)
    x, time, cond = inputs(4)
    target = x.flip(2)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = (network(x, time, cond) - target).square().mean()
        loss.backward()
        losses.append(loss.item())
        if len(losses) == 1:
            mixes = [module.weight for module in network.modules() if isinstance(module, Mix)]
            assert all(bool(weight.grad.any()) for weight in mixes)
            learnt = {id(weight) for weight in mixes}
            assert not any(bool(one.grad.any()) for one in learning if id(one) not in learnt)
        optimizer.step()
    assert all(bool(parameter.grad.any()) for parameter in learning)
    assert losses[-1] < losses[0]
    after = network.state_dict()
    assert {name for name in after if not torch.equal(after[name], before[name])} == times_own(network)


def test_temporal_attention_is_where_it_is_asked_for():
    def levels(**settings: object) -> list[int]:
        stages = of_films(**settings).down
        return [number for number, stage in enumerate(stages) if getattr(stage.temporal, "attention", None)]

    assert levels() == [2]  # a block, the change of size, a block with attention
    assert levels(temporal_attention=[]) == []
    assert levels(temporal_attention=[0, 1]) == [0, 2]


def test_wrong_levels_and_widths_are_refused():
    with pytest.raises(ConfigError, match="temporal_attention: there are levels 0 to 1, got 2"):
        of_films(temporal_attention=[2])
    with pytest.raises(ConfigError, match="multiple of head_width"):
        build("network", "unet-3d", channels=[24, 32], temporal_attention=[0], head_width=32, channels_in=3)
    with pytest.raises(ConfigError, match="temporal_atention"):
        of_films(temporal_atention=[0])
