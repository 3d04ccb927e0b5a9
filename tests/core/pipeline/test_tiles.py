"""Tiles: they cover everything, their shares make one, and what they share has the same noise."""

from __future__ import annotations

import pytest
import torch
from noiseform.core.diffusion.noise import Key
from noiseform.core.media import box
from noiseform.core.pipeline.tiles import Tiles

CASES = [
    ((64,), (64,), (1,)),
    ((65,), (64,), (1,)),
    ((200,), (64,), (4,)),
    ((64, 100), (32, 32), (2, 2)),
    ((40, 33), (32, 32), (1, 1)),
    ((9, 40, 50), (4, 16, 16), (2, 4, 4)),
    ((300,), (8,), (8,)),
]


def place(start: tuple[int, ...], tiles: Tiles) -> tuple[slice, ...]:
    return tuple(slice(begin, begin + size) for begin, size in zip(start, tiles.window, strict=True))


@pytest.mark.parametrize(("whole", "window", "unit"), CASES)
def test_shares_make_one_everywhere(whole, window, unit):
    whole = tuple(-(-size // part) * part for size, part in zip(whole, unit, strict=True))
    tiles = Tiles(whole, window, unit)
    total = torch.zeros(whole)
    starts = list(tiles)
    assert len(starts) == len(set(starts)) == len(tiles)
    for start in starts:
        assert all(begin % part == 0 for begin, part in zip(start, unit, strict=True))
        shares = tiles.weights(start)
        assert bool((shares >= 0).all())
        total[place(start, tiles)] += shares
    torch.testing.assert_close(total, torch.ones(whole))


@pytest.mark.parametrize(("whole", "window", "unit"), CASES[1:])
@pytest.mark.parametrize("ratio", [1, 2])
def test_the_same_place_has_the_same_noise(whole, window, unit, ratio):
    unit = tuple(part * ratio for part in unit)
    window = tuple(-(-size // part) * part for size, part in zip(window, unit, strict=True))
    whole = tuple(max(-(-size // part) * part, least) for size, part, least in zip(whole, unit, window, strict=True))
    tiles, keys, ratios = Tiles(whole, window, unit), (Key(3), Key(3, item=1)), (ratio,) * len(whole)
    seen = torch.full((2, 3, *(size // ratio for size in whole)), torch.nan)
    for start in tiles:
        noise = tiles.noise(keys, 3, start, ratios)
        at = box(slice(one.start // ratio, one.stop // ratio) for one in place(start, tiles))
        there = seen[at]
        assert bool((there.isnan() | (there == noise)).all())
        seen[at] = noise
    assert not seen.isnan().any()
    flat = seen.flatten(2)
    assert len(flat.unique()) > 0.99 * flat.numel()  # no number twice, in no other place, channel or item
    if flat.shape[2] > 500:
        assert flat.mean().abs() < 0.1
        assert (flat.std() - 1).abs() < 0.1


def test_two_neighbours_fade_into_each_other():
    tiles = Tiles((28,), (16,), (1,))
    assert tiles.starts == ((0, 12),)
    first = tiles.weights((0,))
    assert torch.equal(first[:10], torch.ones(10))
    assert bool((first.diff() <= 0).all())
