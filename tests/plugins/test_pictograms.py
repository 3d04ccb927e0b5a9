"""The embedded model of pictures by text: it draws in the colours that it is asked for."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from noiseform import image


@pytest.fixture(scope="module")
def loaded():
    return image.load("pictograms")


def test_it_draws_in_the_colour_asked_for(loaded):
    colours = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0)}
    seen = []
    for seed, name in enumerate(colours):
        (made,) = image.generate(loaded, prompt=f"{name} circle", seed=seed)
        assert made.record["nfe"] <= 50
        assert made.pixels.shape == (3, 64, 64)
        middle = made.pixels[:, 24:40, 24:40].mean((1, 2))
        offset = torch.tensor(list(colours.values())) - middle
        seen.append(list(colours)[int(offset.square().sum(1).argmin())])
    assert seen == list(colours)


def test_text_decides_and_not_the_seed_alone(loaded):
    asked = [image.generate(loaded, prompt=prompt, seed=3)[0].pixels for prompt in ("red heart", "penguin", "")]
    assert all(float((one - other).abs().mean()) > 0.02 for one, other in pairwise(asked))


def test_the_cascade_makes_them_twice_as_large():
    (made,) = image.generate("pictograms-large", prompt="red heart", steps=2)
    assert made.pixels.shape == (3, 128, 128)
    assert made.record["nfe"] == 2 * 2 + 4
