"""Pictures of sounds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy
import pytest
import torch
from noiseform.core.errors import ConfigError
from noiseform.modalities.audio.clip import Audio
from noiseform.modalities.audio.spectrogram import picture, sheet
from PIL import Image


def tone(hertz: float, rate: int = 8000, frames: int = 8000) -> Audio:
    return Audio(0.5 * torch.sin(torch.arange(frames) * 2 * torch.pi * hertz / rate)[None], rate)


@pytest.mark.parametrize("hertz", [300, 1000, 3000])
def test_a_tone_is_a_bright_line_at_its_pitch(hertz: float) -> None:
    light = numpy.asarray(picture(tone(hertz), 100, 200).convert("L"), dtype=float)
    row = int(light.mean(axis=1).argmax())
    expected = 199 * (1 - math.log10(1 + hertz / 700) / math.log10(1 + 4000 / 700))
    assert abs(row - expected) < 4


def test_silence_is_dark() -> None:
    assert numpy.asarray(picture(Audio(torch.zeros(1, 800), 8000), 50, 50).convert("L")).max() < 20


@pytest.mark.parametrize(("frames", "rate"), [(1, 8000), (3, 384_000), (10, 1000), (200_000, 8000)])
def test_any_length_and_rate_can_be_shown(frames: int, rate: int) -> None:
    assert picture(tone(100, rate, frames), 60, 40).size == (60, 40)


def test_lightness_rises_evenly_from_quiet_to_loud() -> None:
    from noiseform.modalities.audio.spectrogram import _colours

    linear = (_colours().double() / 255) ** 2.2
    light = (linear @ torch.tensor([0.2126, 0.7152, 0.0722], dtype=torch.float64)) ** (1 / 3)
    assert bool((light.diff() > -0.004).all())
    assert light[0] < 0.2
    assert light[-1] > 0.9


def test_sheet_is_written_the_same_each_time(tmp_path: Path) -> None:
    clips = [tone(200 * (i + 1), frames=2000 * (i + 1)) for i in range(5)]
    for name in ("a.png", "b.png"):
        sheet(clips, [f"clip {i}" for i in range(5)], tmp_path / name, columns=3, title="Five tones")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert image.width > 3 * 200
        assert image.height > 2 * 120
    with pytest.raises(ConfigError, match="exists"):
        sheet(clips[:1], ["one"], tmp_path / "a.png")
    with pytest.raises(ConfigError, match="2 captions"):
        sheet(clips[:1], ["one", "two"])


def test_a_caption_too_long_is_cut() -> None:
    assert sheet([tone(400)], ["x" * 500]).width < 400
