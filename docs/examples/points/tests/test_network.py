"""The network knows no order of the points, and hears time and condition."""

from __future__ import annotations

import pytest
import torch
from noiseform import build
from noiseform_points.network import PointTransformer
from torch.testing import assert_close


@pytest.fixture
def network():
    """Give a network with weights that are nowhere zero, as after training."""
    torch.manual_seed(0)
    made = PointTransformer(16, 2, 2, 4, channels_in=3, channels_out=3, vector_width=5).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def test_it_is_equivariant_to_permutations(network):
    x, time, vector = torch.randn(2, 3, 40).double(), torch.tensor([0.2, 0.7]).double(), torch.randn(2, 5).double()
    order = torch.randperm(40)
    assert_close(network(x[..., order], time, {"vector": vector}), network(x, time, {"vector": vector})[..., order])


def test_every_point_depends_on_every_other(network):
    x = torch.randn(1, 3, 12).double().requires_grad_()
    network(x, torch.tensor([0.5]).double(), {"vector": torch.zeros(1, 5).double()})[0, :, 0].sum().backward()
    assert (x.grad[0].abs().sum(0) > 0).all()


def test_time_condition_and_nothing_of_other_items_are_heard(network):
    x, vector = torch.randn(1, 3, 20).double().expand(3, -1, -1), torch.zeros(3, 5).double()
    vector[2] = 1
    made = network(x, torch.tensor([0.2, 0.8, 0.8]).double(), {"vector": vector})
    assert (made[0] - made[1]).abs().min() > 0
    assert (made[1] - made[2]).abs().min() > 0
    alone = network(x[:1], torch.tensor([0.2]).double(), {"vector": vector[:1]})
    assert_close(alone[0], made[0])


def test_it_starts_at_zero_and_takes_any_number_of_points():
    network = build("network", "point-transformer", width=16, heads=2, depth=1, channels_in=3, channels_out=6)
    for count in (1, 7, 100):
        assert torch.equal(network(torch.randn(2, 3, count), torch.rand(2), {}), torch.zeros(2, 6, count))
    with pytest.raises(ValueError, match="does not split into 3 heads"):
        PointTransformer(16, heads=3, channels_in=3)
