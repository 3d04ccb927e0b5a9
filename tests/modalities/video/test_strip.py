"""Films as strips of frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from noiseform.core.errors import ConfigError
from noiseform.modalities.video.film import Video
from noiseform.modalities.video.strip import sheet


def film(frames: int, height: int = 16, width: int = 16, channels: int = 3) -> Video:
    return Video(torch.linspace(0, 1, frames)[:, None, None, None].expand(-1, channels, height, width), 8.0)


def test_a_row_for_each_film_with_its_frames_in_order(tmp_path: Path) -> None:
    drawn = sheet([film(4), film(100, channels=1)], ["a\nb", "x" * 500], tmp_path / "x.png", title="two")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    array = np.asarray(drawn.convert("L"))
    first = 12 + 28 + 18
    assert [int(array[first + 5, 12 + 66 * number + 5]) for number in range(4)] == [0, 85, 170, 255]
    second = first + 64 + 8 + 18
    shades = [int(array[second + 5, 12 + 66 * number + 5]) for number in range(16)]
    assert shades == sorted(shades)
    assert (shades[0], shades[-1]) == (0, 255)
    assert drawn.width == 2 * 12 + 16 * 66 - 2


def test_large_films_are_reduced() -> None:
    drawn = sheet([film(16, 480, 1280)], [""])
    assert drawn.width <= 8192 + 200


def test_a_caption_for_each_film() -> None:
    with pytest.raises(ConfigError, match="give one caption for each"):
        sheet([film(2)], [])
    with pytest.raises(ConfigError):
        sheet([], [])
