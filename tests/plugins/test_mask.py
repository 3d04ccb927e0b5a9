"""The conditioner of what is known: what it shows in training, what it is given in use, and that models heed it."""

from __future__ import annotations

import pytest
import torch
from noiseform import ConfigError, build
from noiseform.core.media import MediaSpec
from noiseform.core.pipeline.context import CONTEXT, Context
from noiseform.core.pipeline.source import Items
from torch import Tensor

SHAPE = (2, 8, 3, 3)


def mask(**settings: object):
    return build("conditioner", "mask", **settings, latent_shape=SHAPE)


def items(x0: Tensor, u: Tensor, eps: Tensor) -> Items:
    spec = MediaSpec(tuple(x0.shape[1:]), (8.0, None, None), -1.0, 1.0)
    return Items(x0, x0, u, lambda shape: eps, spec)


def chances(kind: float, amount: float = 0.0, noise: float = 0.0) -> Tensor:
    return torch.tensor([[kind, amount, noise, 0.0]])


def shown(conditioner, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return an item, what is shown of it, and how far it is to be trusted, both frame by frame."""
    x0, eps = torch.randn(2, 1, *SHAPE)
    told = conditioner.shown(items(x0, u, eps))["channels"]
    assert told.shape == (1, 3, 8, 3, 3)
    return x0[0], told[0, :2], told[0, 2]


@pytest.mark.parametrize(
    ("u", "known"),
    [
        (chances(0.0, 0.0), [0]),
        (chances(0.39, 0.99), [0, 1, 2, 3]),
        (chances(0.41, 0.0), [0, 2, 4, 6]),
        (chances(0.59, 0.99), [0, 4]),
        (chances(0.61, 0.5), []),
    ],
)
def test_training_shows_beginnings_key_frames_or_nothing(u, known):
    x0, told, trust = shown(mask(), u)
    frames = torch.zeros(8)
    frames[known] = 1
    assert torch.equal(trust, frames.reshape(8, 1, 1).expand(8, 3, 3))
    torch.testing.assert_close(told, x0 * frames.reshape(8, 1, 1))


def test_noise_keeps_the_size_and_is_told():
    conditioner, latent, eps = mask(noise=0.6), torch.randn(1, *SHAPE), torch.randn(1, *SHAPE)
    told = conditioner.shown(items(latent, chances(0.0, 0.99, 0.5), eps))["channels"]
    expected = (1 - 0.3**2) ** 0.5 * latent + 0.3 * eps
    torch.testing.assert_close(told[:, :2, :4], expected[:, :, :4])
    assert bool((told[:, :, 4:] == 0).all())
    torch.testing.assert_close(told[:, 2, :4], torch.full((1, 4, 3, 3), 0.7))


def test_what_is_given_is_shown_as_in_training():
    conditioner, latent, eps = mask(noise=0.6), torch.randn(1, *SHAPE), torch.randn(1, *SHAPE)
    trained = conditioner.shown(items(latent, chances(0.0, 0.99, 0.5), eps))["channels"]
    known = torch.zeros(8, 3, 3)
    known[:4] = 1
    given = conditioner.encode([{CONTEXT: Context(latent[0], known, eps[0], 0.3)}, {"labels": ()}])["channels"]
    torch.testing.assert_close(given[:1], trained)
    assert not given[1].any()


def test_null_knows_nothing_unless_guidance_is_to_keep_it():
    raw = {"channels": torch.randn(1, 3, *SHAPE[1:])}
    assert not mask().null(raw)["channels"].any()
    assert torch.equal(mask(guided=False).null(raw)["channels"], raw["channels"])


def test_another_axis_is_that_of_spectrograms():
    x0 = torch.randn(1, *SHAPE)
    told = mask(axis=2, most=0.9, every=[2]).shown(items(x0, chances(0.0, 0.5), torch.zeros_like(x0)))["channels"]
    assert torch.equal(told[0, 2, 0, 0], torch.tensor([1.0, 1.0, 0.0]))


@pytest.mark.parametrize("place", [0.0, 0.37, 0.999])
@pytest.mark.parametrize("amount", [0.0, 0.61, 0.999])
def test_a_hole_is_a_box_and_all_else_is_known(amount, place):
    conditioner = mask(first=0.0, keys=0.0, holes=0.5)
    u = torch.tensor([[0.2, amount, 0.0, place]])
    trust = shown(conditioner, u)[2]
    hole = trust == 0
    assert hole.any()
    ends = [hole.any([other for other in range(3) if other != axis]).nonzero().flatten() for axis in range(3)]
    box = tuple(slice(int(one[0]), int(one[-1]) + 1) for one in ends)
    assert bool(hole[box].all())
    assert int(hole.sum()) == hole[box].numel()
    assert not shown(conditioner, torch.tensor([[0.6, amount, 0.0, place]]))[2].any()


@pytest.mark.parametrize(
    ("settings", "known", "learnt"),
    [
        ({}, [0, 1, 2, 3], True),
        ({}, [0, 1, 2, 3, 4], False),
        ({}, [1, 2], False),
        ({}, [], False),
        ({"first": 0.0}, [0], False),
        ({"holes": 0.1}, [0, 1, 2, 3, 5, 7], True),
    ],
)
def test_only_what_training_has_shown_is_told(settings, known, learnt):
    frames = torch.zeros(8, 3, 3, dtype=torch.bool)
    frames[known] = True
    assert mask(**settings).learnt(frames) is learnt
    frames[0, 0, 0] = not bool(frames[0, 0, 0])  # a part of a frame
    assert mask(**settings).learnt(frames) is ("holes" in settings)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [({"first": 0.7, "keys": 0.4}, "make 1.1"), ({"axis": 2, "every": []}, "every"), ({"every": [1]}, "every")],
)
def test_wrong_settings(settings, complaint):
    with pytest.raises(ConfigError, match=complaint):
        mask(**settings)


def test_key_frames_farther_apart_than_an_item_is_long_are_refused_in_training():
    x0 = torch.zeros(1, *SHAPE)
    with pytest.raises(ConfigError, match="key frames 8 apart in items of 8; take less, or keys = 0"):
        mask(every=[2, 8]).shown(items(x0, chances(0.0), x0))


def test_a_beginning_is_never_the_whole_item():
    conditioner = mask(most=0.99)
    assert conditioner.longest == 7
    assert shown(conditioner, chances(0.0, 0.999))[2].sum() == 7 * 9


def test_an_axis_that_items_do_not_have():
    with pytest.raises(ConfigError, match="items have 1 axes of space, got 1"):
        build("conditioner", "mask", axis=1, latent_shape=(4, 16))
