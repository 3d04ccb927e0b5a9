"""Items made window by window: the windows, what each is told, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from noiseform.core.diffusion.noise import Draws, Key
from noiseform.core.errors import ConfigError
from noiseform.core.media import MediaSpec
from noiseform.core.pipeline.context import CONTEXT
from noiseform.core.pipeline.extension import extended, longer, plan, windows
from noiseform.core.pipeline.running import Running
from noiseform.core.pipeline.stage import Stage, build_stage
from noiseform.core.registration.config import ExtendConfig, StageConfig, checked
from noiseform.core.verbs.interpolation import between, interpolated
from torch import Tensor

FILM = MediaSpec((1, 8, 2, 2), (4.0, None, None), -1.0, 1.0)
SOUND = MediaSpec((1, 64), (64.0,), -1.0, 1.0)
KEYS = (Key(5), Key(5, item=1))


def stage(media: MediaSpec = FILM, **changes: object) -> Stage:
    network = "unet-3d" if len(media.shape) == 4 else "unet-1d"
    table = {
        "process": {"use": "flow"},
        "objective": {"use": "velocity"},
        "network": {"use": network, "channels": [8, 8], "blocks": 1, "head_width": 8, "embedding": 16},
        "conditioners": [{"use": "mask"}],
        **changes,
    }
    return build_stage(checked(StageConfig, table, what="stage"), media)


class Counting(Running):
    """Makes windows in which each position is one more than the one before, from what is known on."""

    def __init__(self, built: Stage, keys: tuple[Key, ...] = KEYS) -> None:
        super().__init__("test", built, keys)
        self.told: list[list[object]] = []
        self.made: list[tuple[Key, ...]] = []

    def window(self, conditions, keys, **_: object) -> Tensor:
        self.told.append([condition.get(CONTEXT) for condition in conditions])
        self.made.append(keys)
        rows = []
        for key, context in zip(keys, self.told[-1], strict=True):
            first = 100.0 * key.item if context is None else context.latent[0, 0, 0, 0].item()
            rows.append((first + torch.arange(8.0)).reshape(1, 8, 1, 1).expand(1, 8, 2, 2))
        return torch.stack(rows)


@pytest.mark.parametrize(("whole", "window", "context"), [(8, 8, 4), (9, 8, 4), (20, 8, 4), (21, 8, 1), (100, 7, 6)])
def test_windows_cover_everything_once_and_know_what_they_have_learnt_to(whole, window, context):
    covered = 0
    for number, one in enumerate(windows(whole, window, context)):
        assert covered < whole
        assert one.number == number
        assert one.start + one.known == covered
        assert one.known == (context if number else 0)
        covered = one.start + window
    assert covered >= whole


@pytest.mark.parametrize("seconds", [0.0, 0.3, 2.0, 5.25])
def test_each_window_goes_on_from_the_end_of_the_one_before(seconds):
    made, extend = Counting(stage()), ExtendConfig(seconds=seconds, context=0.75, noise=0.25)
    spec = longer(FILM, seconds, where="test")
    latent = extended(made, spec, extend, [{"labels": ()}] * 2)
    length = spec.shape[1]
    assert length == 8 + round(4 * seconds)
    expected = torch.stack([100.0 * item + torch.arange(float(length)) for item in range(2)])
    assert torch.equal(latent[:, 0, :, 0, 0], expected)
    assert made.told[0] == [None, None]
    assert [key.window for keys in made.made for key in keys] == [n for n in range(len(made.made)) for _ in range(2)]
    for contexts in made.told[1:]:
        for context in contexts:
            known = int(context.known.sum().item()) // 4
            assert known == 3
            assert torch.equal(context.known[:, 0, 0], (torch.arange(8) < known).float())
            assert context.noise == 0.25
    noises = [context.eps for contexts in made.told[1:] for context in contexts]
    assert len({tuple(eps.flatten().tolist()) for eps in noises}) == len(noises)


def test_window_is_part_of_a_key_and_the_first_one_is_as_it_was():
    draw = Draws().normal
    plain, first, second = (draw([key], (4,), purpose="x") for key in (Key(1), Key(1, window=0), Key(1, window=1)))
    assert torch.equal(plain, first)
    assert not torch.equal(plain, second)
    torch.testing.assert_close(plain, torch.tensor([[-0.558205, -0.647755, 1.605033, -1.588233]]), atol=1e-4, rtol=0)


def test_sound_goes_on_along_its_own_axis():
    spec = longer(SOUND, 1.5, where="test")
    axis, planned = plan(stage(SOUND), spec, ExtendConfig(context=0.25), where="test")
    assert (axis, [window.start for window in planned]) == (2, [0, 48, 96])


class Squeezing:
    """A codec whose latents of longer items differ in more than their length."""

    def shape(self, media_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (media_shape[1], *media_shape[1:])


@pytest.mark.parametrize(
    ("build", "spec", "extend", "complaint"),
    [
        (stage, FILM, {"context": 2.0}, "learnt to go on from 1 s of 2 at most"),
        (lambda: stage(conditioners=[{"use": "mask", "axis": 2}]), FILM, {}, "another axis"),
        (lambda: stage(conditioners=[{"use": "mask", "first": 0.0}]), FILM, {}, "no beginnings in training"),
        (lambda: stage(conditioners=[]), FILM, {}, "training without the conditioner mask"),
        (lambda: replace(stage(), codec=Squeezing()), FILM, {}, "do not go on from each other"),
    ],
)
def test_what_cannot_go_on_is_refused(build, spec, extend, complaint):
    with pytest.raises(ConfigError, match=complaint):
        plan(build(), longer(spec, 1.0, where="test"), ExtendConfig(**extend), where="test")


def test_pictures_do_not_go_on():
    with pytest.raises(ConfigError, match="do not go on in time"):
        longer(MediaSpec((3, 8, 8), (None, None), 0.0, 1.0), 1.0, where="test")


@pytest.mark.parametrize("count", [4, 5, 7, 12])
@pytest.mark.parametrize("factor", [2, 4])
def test_key_frames_stay_and_what_lies_between_is_made(count, factor):
    inside = 7 // factor
    if count < inside + 1:
        pytest.skip("too short for a window")
    film = (factor * torch.arange(float(count))).reshape(1, 1, count, 1, 1).expand(1, 1, count, 2, 2)
    made = Counting(stage(), (Key(3),))
    latent = interpolated(made, film, factor, 0.1, {})
    assert torch.equal(latent[0, 0, :, 0, 0], torch.arange(float((count - 1) * factor + 1)))
    for (context,) in made.told:
        assert torch.equal(context.known[:, 0, 0], (torch.arange(8) % factor == 0).float())
        assert torch.equal(context.latent[0, ::factor, 0, 0].diff(), torch.full((inside,), float(factor)))
    assert [keys[0].window for keys in made.made] == list(range(len(made.made)))
    assert between(FILM, factor) == MediaSpec((1, 7 * factor + 1, 2, 2), (4.0 * factor, None, None), -1.0, 1.0)


@pytest.mark.parametrize(
    ("built", "factor", "count", "complaint"),
    [
        ({}, 3, 8, "learnt 2, 4, got 3"),
        ({"conditioners": [{"use": "mask", "keys": 0.0}]}, 2, 8, "learnt none"),
        ({"conditioners": []}, 2, 8, "learnt none"),
        ({"conditioners": [{"use": "mask", "axis": 2}]}, 2, 8, "learnt none"),
        ({}, 2, 3, "3 key frames; give at least 4"),
    ],
)
def test_what_cannot_be_interpolated_is_refused(built, factor, count, complaint):
    with pytest.raises(ConfigError, match=complaint):
        interpolated(Counting(stage(**built), (Key(0),)), torch.zeros(1, 1, count, 2, 2), factor, 0.0, {})
