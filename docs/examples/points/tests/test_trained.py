"""The model that is shipped, by the verbs that every modality has."""

from __future__ import annotations

import pytest
import torch
from noiseform import points
from noiseform_points import Cloud
from noiseform_points.metric import chamfer_distances
from noiseform_points.shapes import SHAPES, shape


@pytest.fixture(scope="module")
def shapes():
    return points.load("shapes", steps=12)


def test_what_is_made_is_most_like_what_was_asked_for(shapes):
    known = {name: [shape(name, 512, seed) for seed in range(90_000, 90_006)] for name in SHAPES}
    for name in ("torus", "table", "sphere"):
        (made,) = points.generate(shapes, label=name, seed=1)
        nearest = {other: chamfer_distances([made.points], clouds).min().item() for other, clouds in known.items()}
        assert min(nearest, key=nearest.get) == name
        assert made.record["conditions"]["labels"] == [name]


def test_points_outside_of_the_mask_stay(shapes):
    given = Cloud(shape("torus", 512, 90_000))
    new = given.points[0] >= 0
    (made,) = points.edit(given, shapes, mask="x=0:", label="torus")
    assert torch.equal(made.points[:, ~new], given.points[:, ~new])
    assert not torch.equal(made.points[:, new], given.points[:, new])
    (same,) = points.edit(given, shapes, mask=new, label="torus")
    assert torch.equal(same.points, made.points)


def test_a_variation_is_near_and_any_number_of_points_is_made():
    given = Cloud(shape("cone", 300, 90_001))
    fewer = points.load("shapes", steps=12, settings=["media.points=300"])
    (near,) = points.edit(given, fewer, strength=0.2, label="cone")
    (far,) = points.generate(fewer, label="torus")
    assert near.points.shape == far.points.shape == (3, 300)
    distances = chamfer_distances([near.points, far.points], [given.points]).flatten().tolist()
    assert distances[0] < 0.01 < distances[1]
