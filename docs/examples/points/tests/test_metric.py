"""The Chamfer distance by hand, and what its three figures say of sets that are known."""

from __future__ import annotations

import pytest
import torch
from noiseform_points import Cloud
from noiseform_points.metric import Chamfer, chamfer_distances


def ball(middle: float, seed: int) -> Cloud:
    points = 0.1 * torch.randn(3, 30, generator=torch.Generator().manual_seed(seed))
    return Cloud(points + middle)


def test_distance_by_hand():
    one, other = torch.tensor([[0.0, 1], [0, 0], [0, 0]]), torch.tensor([[0.0, 1, 1], [0, 0, 2], [0, 0, 0]])
    # From each point of one there is a point of the other at 0; the other's third point is 4 (2 squared) away.
    assert chamfer_distances([one], [other]).tolist() == [[pytest.approx(4 / 3)]]
    assert chamfer_distances([one, other], [one, other]).diag().tolist() == pytest.approx([0, 0])


def test_the_same_sets():
    clouds = [ball(middle, seed) for seed, middle in enumerate((-0.5, 0.0, 0.5))]
    told = Chamfer().compare(clouds, clouds)
    assert told["minimum matching distance"] == pytest.approx(0, abs=1e-12)
    assert told["coverage"] == 1
    assert told["1-nn accuracy"] == 0  # the nearest other cloud is always the twin of the other set


def test_one_cloud_again_and_again_covers_little():
    real = [ball(middle, seed) for seed, middle in enumerate((-0.5, 0.0, 0.5, 0.9))]
    told = Chamfer().compare([real[1]] * 4, real)
    assert told["coverage"] == 0.25


def test_far_sets_are_told_apart():
    made, real = ([Cloud(torch.full((3, 1), place)) for place in places] for places in ((-0.5, -0.4), (0.5, 0.6)))
    told = Chamfer().compare(made, real)
    assert told["1-nn accuracy"] == 1
    assert told["coverage"] == 0.5
    # To both the nearest made one is at -0.4, each way the square of the distance, over three axes.
    assert told["minimum matching distance"] == pytest.approx(2 * 3 * (0.9**2 + 1.0**2) / 2)
