"""Stages that go on from what is there: what they are shown of it, in tiles whose seams nobody finds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from noiseform import build
from noiseform.core.diffusion.noise import Key
from noiseform.core.errors import ConfigError
from noiseform.core.media import MediaSpec
from noiseform.core.pipeline.enlarging import enlarged, made_from, source_of, tiles_of
from noiseform.core.pipeline.running import Result, Running
from noiseform.core.pipeline.source import SOURCE
from noiseform.core.pipeline.stage import Stage, build_stage
from noiseform.core.raster.resampling import resampled
from noiseform.core.registration.config import StageConfig, checked
from torch import Tensor

PICTURE = MediaSpec((3, 16, 16), (None, None), 0.0, 1.0)
SOUND = MediaSpec((1, 512), (1000.0,), -1.0, 1.0)
FILM = MediaSpec((3, 4, 8, 8), (8.0, None, None), 0.0, 1.0)
KEYS = (Key(5), Key(5, item=1))
SMALL = {"channels": [8, 8], "blocks": 1, "head_width": 8, "embedding": 16}


def stage(media: MediaSpec = PICTURE, **conditioner: object) -> Stage:
    table = {
        "name": "large",
        "process": {"use": "flow"},
        "objective": {"use": "velocity"},
        "network": {"use": f"unet-{len(media.shape) - 1}d", **SMALL},
        "conditioners": [{"use": "low-res", **conditioner}],
        "steps": 3,
    }
    return build_stage(checked(StageConfig, table, what="stage"), media)


class Showing(Running):
    """Makes of each tile what it is shown, and remembers what it was told."""

    def __init__(self, built: Stage, modality: str) -> None:
        resample = build("modality", modality).resampled
        super().__init__("test", built, KEYS, resample=resample)
        self.told: list[list[object]] = []
        self.noises: list[Tensor | None] = []

    def window(self, conditions, keys, *, noise=None, **_: object) -> Tensor:
        self.told.append([dict(one) for one in conditions])
        self.noises.append(noise)
        shown = torch.stack([one[SOURCE].media() for one in conditions])
        return self.stage.codec.encode(shown)


CASES = [
    ("image", PICTURE, {}, (3, 23, 37)),
    ("image", PICTURE, {}, (3, 8, 8)),
    ("image", PICTURE, {}, (3, 5, 60)),
    ("image", PICTURE, {"factor": 4}, (3, 9, 17)),
    ("audio", SOUND, {}, (1, 2000)),
    ("audio", SOUND, {}, (1, 100)),
    ("video", FILM, {"factor": [2, 1, 1]}, (3, 7, 8, 8)),
    ("video", FILM, {"factor": [1, 2, 2]}, (3, 5, 9, 6)),
    ("video", FILM, {"factor": [2, 2, 2]}, (3, 3, 7, 4)),
]


@pytest.mark.parametrize(("modality", "media", "settings", "shape"), CASES)
def test_tiles_show_what_the_whole_item_would(modality, media, settings, shape):
    """A network that gives back what it is shown makes of all tiles what resampling makes of the whole."""
    built = stage(media, consistent=False, **settings)
    taken = source_of(built)
    low = replace(taken.spec, shape=shape)
    given = 0.5 * (torch.rand(2, *shape) * (media.high - media.low) + media.low)  # no overshoot, which would be cut
    running = Showing(built, modality)
    made = enlarged(running, Result(low, lambda: given), [{"labels": ()}] * 2)
    sizes = tuple(size * factor for size, factor in zip(shape[1:], taken.factors, strict=True))
    assert made.spec == replace(media, shape=(shape[0], *sizes)) == made_from(built, low, where="test")
    expected = running.resample(given, low, made.spec).clamp(media.low, media.high)
    inside = expected
    got = made.media
    if any(size < window for size, window in zip(sizes, media.shape[1:], strict=True)):
        # What is smaller than a window is continued with its last values, which resampling sees at its end only.
        reach = [slice(0, max(1, size - 14 * factor)) for size, factor in zip(sizes, taken.factors, strict=True)]
        inside, got = expected[(..., *reach)], got[(..., *reach)]
    torch.testing.assert_close(got, inside, atol=2e-5, rtol=0)
    assert len(running.told) == len(tiles_of(built, made.spec))


def test_tiles_share_their_noise_and_have_keys_of_their_own():
    built = stage()
    running = Showing(built, "image")
    low = replace(source_of(built).spec, shape=(3, 20, 8))
    enlarged(running, Result(low, lambda: torch.rand(2, 3, 20, 8)), [{}] * 2)
    starts = [start for start, _ in tiles_of(built, made_from(built, low, where="test"))]
    assert len(starts) > 2
    for (one, first), (other, second) in zip(
        zip(starts, running.noises, strict=True), list(zip(starts, running.noises, strict=True))[1:], strict=False
    ):
        shared = one + 16 - other
        assert torch.equal(first[:, :, 16 - shared :], second[:, :, :shared])


def test_what_is_made_is_its_source_again_once_made_smaller():
    large = replace(PICTURE, shape=(3, 64, 64))
    low = replace(PICTURE, shape=(3, 40, 48))
    given = resampled(torch.rand(2, 3, 10, 12), 40, 48).clamp(0, 1)

    class Wrong(Showing):
        def window(self, conditions, keys, **settings: object) -> Tensor:
            return super().window(conditions, keys, **settings) * 0.8 + 0.1 * torch.rand(2, 3, 64, 64)

    for consistent, least, most in ((True, 40, 200), (False, 0, 28)):
        wrong = Wrong(stage(large, consistent=consistent), "image")
        made = enlarged(wrong, Result(low, lambda: given), [{}] * 2)
        again = wrong.resample(made.media, made.spec, low)
        assert least < -10 * torch.log10((again - given).square().mean()) < most


def test_wishes_that_the_stage_does_not_know_are_for_the_stage_before():
    built = stage()
    running = Showing(built, "image")
    low = source_of(built).spec
    asked = {"labels": ("cat",), "text": "a cat", "negative_text": "a dog"}
    enlarged(running, Result(low, lambda: torch.rand(2, *low.shape)), [asked] * 2)
    assert [sorted(one) for one in running.told[0]] == [["labels", SOURCE]] * 2
    assert running.told[0][0]["labels"] == ()


def test_another_rate_is_resampled_first():
    built = stage(SOUND)
    given = replace(SOUND, shape=(1, 1600), rates=(2000.0,))
    wave = torch.sin(torch.arange(1600) * 2 * torch.pi * 50 / 2000)[None, None].expand(2, 1, -1)
    running = Showing(built, "audio")
    made = enlarged(running, Result(given, lambda: wave), [{}] * 2)
    assert made.spec == replace(SOUND, shape=(1, 800))
    expected = torch.sin(torch.arange(800) * 2 * torch.pi * 50 / 1000)
    torch.testing.assert_close(made.media[0, 0, 50:-50], expected[50:-50], atol=0.02, rtol=0)


def test_a_film_whose_frames_become_larger_keeps_their_rate():
    low = replace(FILM, shape=(3, 9, 6, 7), rates=(25.0, None, None))
    given = torch.rand(2, *low.shape)
    larger = stage(FILM, factor=[1, 2, 2], consistent=False)
    assert made_from(larger, low, where="test") == replace(FILM, shape=(3, 9, 12, 14), rates=(25.0, None, None))
    running = Showing(larger, "video")
    made = enlarged(running, Result(low, lambda: given), [{}] * 2)
    assert made.spec.rates[0] == 25
    expected = torch.stack([resampled(one.transpose(0, 1), 12, 14).transpose(0, 1) for one in given]).clamp(0, 1)
    torch.testing.assert_close(made.media, expected, atol=2e-5, rtol=0)
    quicker = stage(FILM, factor=[2, 1, 1])
    assert made_from(quicker, low, where="test").rates[0] == FILM.rates[0]  # it has learnt what lies between at that


@pytest.mark.parametrize("layout", ["channels", "axis"])
def test_a_vocoder_is_handed_the_latent_and_nothing_is_decoded(layout):
    mel = {"use": "mel", "bins": 8, "hop": 16, "window": 64, "layout": layout}
    table = {
        "name": "vocoder",
        "process": {"use": "flow"},
        "objective": {"use": "velocity"},
        "network": {"use": "unet-1d", **SMALL},
        "conditioners": [{"use": "media", "codec": mel, "width": 2, "hidden": 8}],
        "steps": 2,
    }
    built = build_stage(checked(StageConfig, table, what="stage"), SOUND)
    codec = build("codec", "mel", **{key: value for key, value in mel.items() if key != "use"}, media=SOUND)
    long = replace(SOUND, shape=(1, 1000))
    latent = codec.encode(torch.rand(2, 1, 1000) - 0.5)
    same = checked(StageConfig, {**table, "codec": mel}, what="stage").codec

    def decode() -> Tensor:
        raise AssertionError("decoded")

    class Handed(Running):
        def window(self, conditions, keys, **_: object) -> Tensor:
            for row, condition in enumerate(conditions):
                seen.append(built.model.conditioners[0].encode([condition])["latent"][0, :-1])
                assert row < 2
            return torch.zeros(2, 1, 512)

    seen: list[Tensor] = []
    running = Handed("test", built, KEYS)
    made = enlarged(running, Result(long, decode, latent, same), [{}] * 2)
    assert made.media.shape == (2, 1, 1000)
    starts = [start // 16 for (start,) in tiles_of(built, long)]
    bins = latent.flatten(1, -2)
    padded = torch.cat([bins, bins[..., -1:].expand(-1, -1, 40)], -1)
    for number, start in enumerate(starts):
        for row in range(2):
            torch.testing.assert_close(seen[2 * number + row], padded[row, :, start : start + 32])


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"factor": 3}, "16 positions are no multiple of 3"),
        ({"factor": [2, 2, 2]}, "items have 2 axes of space, got"),
        ({"factor": 0}, "factor"),
        ({"noise": 1.0}, "noise"),
    ],
)
def test_wrong_settings(settings, complaint):
    with pytest.raises(ConfigError, match=complaint):
        stage(**settings)


def test_other_channels_are_refused():
    with pytest.raises(ConfigError, match="goes on from items of 3 channels and 2 axes, got"):
        made_from(stage(), MediaSpec((1, 8, 8), (None, None), 0.0, 1.0), where="test")


def test_a_modality_that_cannot_resample():
    built = stage()
    low = source_of(built).spec
    with pytest.raises(ConfigError, match="cannot resample"):
        enlarged(Running("test", built, (Key(0),)), Result(low, lambda: torch.rand(1, *low.shape)), [{}])
