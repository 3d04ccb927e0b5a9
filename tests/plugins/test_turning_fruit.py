"""The embedded model of films: it films the fruit that it is asked for, which turns, and goes on turning."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from noiseform import video
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


@pytest.fixture
def judging(monkeypatch):
    """Give the module of docs/evaluation."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "docs" / "evaluation"))
    import fruit

    yield fruit
    for name in ("fruit", "distance"):
        sys.modules.pop(name, None)


def test_frames_are_seen_as_the_fruit_asked_for(loaded, films, judging):
    names = list(loaded.stages[0].model.conditioners[0].names)
    viewer = judging.load_viewer(judging.WEIGHTS, len(names))
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


def test_frames_between_frames_belong_to_their_film(films):
    """Hold what a model that did not heed the key frames would fail: to be of this lemon, and not just of any."""
    keys = films["lemon"][::2]
    made = video.interpolate(video.Video(keys, 4.0), "turning-fruit", factor=2, label="lemon", guidance=1.0).frames
    assert made.shape[0] == 15
    (other,) = video.generate("turning-fruit", label="lemon", seed=7)
    apart = (keys[1:] - keys[:-1]).abs().mean()
    for offset in (0, 1):  # from a new frame to the key frames before and after it
        neighbours = keys[offset : len(keys) - 1 + offset]
        near = (made[1::2] - neighbours).abs().mean()
        assert near < 1.2 * apart
        assert near < 0.5 * (other.frames[1:-1:2] - neighbours).abs().mean()
