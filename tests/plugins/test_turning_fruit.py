"""The embedded model of films: it films the fruit that it is asked for, which turns, and goes on turning."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from noiseform import video
from noiseform.core.registration.registry import current
from torch import Tensor

FRUITS = ("apple granny smith", "lemon", "strawberry", "kiwi")


@pytest.fixture(scope="module")
def loaded():
    return video.load("turning-fruit")


@pytest.fixture(scope="module")
def films(loaded) -> dict[str, Tensor]:
    return {name: video.generate(loaded, label=name, seed=seed)[0].frames for seed, name in enumerate(FRUITS)}


def steps(frames: Tensor) -> Tensor:
    """Return the mean absolute difference from each frame to the next."""
    return frames.diff(dim=0).abs().mean((1, 2, 3))


def test_frames_are_seen_as_the_fruit_asked_for(loaded, films, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docs" / "evaluation"))
    monkeypatch.delitem(sys.modules, "fruit", raising=False)
    import fruit

    names = list(loaded.stages[0].model.conditioners[0].names)
    viewer = fruit.load_viewer(fruit.WEIGHTS, len(names))
    right = [(viewer.see(frames)[0] == names.index(name)).float().mean() for name, frames in films.items()]
    assert torch.stack(right).mean() > 0.8


def test_a_film_is_on_white_and_turns_without_flicker(films):
    near, far = [], []
    for name, frames in films.items():
        assert frames.shape == (16, 3, 64, 64)
        assert frames[:, :, :3, :3].mean() > 0.9, name
        near.append(steps(frames).mean())
        far.append((frames[-1] - frames[0]).abs().mean())
        assert 0.003 < near[-1] < 0.05, name
    # What turns is farther from where it began than from where it just was; what flickers is not.
    assert torch.stack(far).mean() > 1.5 * torch.stack(near).mean()


def test_it_goes_on_without_a_jump(loaded):
    (film,) = video.generate(video.load("turning-fruit", extend=2.0), label="lemon", seed=1)
    moved = steps(film.frames)
    assert len(film.frames) == 32
    joints = moved[[15, 23]]
    assert joints.max() < 2.5 * moved.median()


def test_frames_between_frames_lie_between_them(loaded, films):
    keys = films["lemon"][::2]
    made = video.interpolate(video.Video(keys, 4.0), loaded, factor=2, label="lemon").frames
    assert made.shape[0] == 15
    apart = (keys[1:] - keys[:-1]).abs().mean((1, 2, 3))
    for offset in (0, 1):  # from a new frame to the key frames before and after it
        near = (made[1::2] - keys[offset : len(apart) + offset]).abs().mean((1, 2, 3))
        assert near.mean() < 1.2 * apart.mean()


def test_the_weights_are_small_and_the_card_says_which():
    folder = current().model_folder("turning-fruit")
    files = sorted(folder.glob("*.safetensors"))
    assert len(files) == 2
    assert all(one.stat().st_size <= 8_000_000 for one in files)
    card = (folder.parent / "CARD.md").read_text("utf-8")
    assert all(one.name in card for one in files)
