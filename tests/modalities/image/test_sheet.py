"""Many pictures on one sheet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from noiseform.core.errors import ConfigError
from noiseform.modalities.image.picture import Image
from noiseform.modalities.image.sheet import sheet
from PIL import Image as PillowImage


def pictures(count: int, channels: int = 1, size: int = 28) -> list[Image]:
    return [Image(torch.full((channels, size, size), (number + 1) / (count + 1))) for number in range(count)]


@pytest.mark.parametrize(("size", "factor"), [(8, 12), (28, 3), (32, 3), (64, 2), (96, 1), (200, 1)])
def test_small_pictures_are_enlarged_by_whole_factors(size: int, factor: int) -> None:
    pixels = torch.rand(3, size, size)
    drawn = np.asarray(sheet([Image(pixels)], ["one"]))
    edge = size * factor
    left = (drawn.shape[1] - edge) // 2
    shown = drawn[12 : 12 + edge, left : left + edge]
    expected = (pixels * 255).round().to(torch.uint8).permute(1, 2, 0).numpy().repeat(factor, 0).repeat(factor, 1)
    assert (shown == expected).all()


def test_sheet_is_about_square_and_bounded() -> None:
    assert sheet(pictures(64), [""] * 64).width == pytest.approx(sheet(pictures(64), [""] * 64).height, rel=0.3)
    large = sheet(pictures(9, 1, 1500), ["x"] * 9)
    assert 2000 < max(large.size) < 4400
    assert sheet(pictures(6), ["x"] * 6, columns=6).width > 3 * sheet(pictures(6), ["x"] * 6, columns=6).height


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_number_of_channels_is_drawn(channels: int) -> None:
    drawn = sheet(pictures(2, channels), ["a", "b"])
    assert drawn.mode == "RGB"


def test_transparent_pictures_lie_on_a_board() -> None:
    drawn = np.asarray(sheet([Image(torch.zeros(4, 96, 96))], ["nothing"]))
    board = drawn[12:108, 12:108].reshape(-1, 3)
    assert len(np.unique(board, axis=0)) == 2


def test_sheet_is_written_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        sheet(pictures(5), [f"number {i}" for i in range(5)], tmp_path / name, columns=3, title="Five")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with PillowImage.open(tmp_path / "a.png") as image:
        assert image.width > 3 * 84
        assert image.height > 2 * 84
    with pytest.raises(ConfigError, match="exists"):
        sheet(pictures(1), ["one"], tmp_path / "a.png")
    with pytest.raises(ConfigError, match="2 captions"):
        sheet(pictures(1), ["one", "two"])
    with pytest.raises(ConfigError, match="0 pictures"):
        sheet([], [])


def test_captions_have_at_most_two_lines() -> None:
    one, two, more = (
        sheet(pictures(1), [text]) for text in ("short", "a caption of two lines", "a caption that goes on " * 50)
    )
    assert one.size == (84 + 24, one.height)
    assert two.size == more.size
    assert 10 <= two.height - one.height <= 20
    for text in ("x" * 500, "a\nb\x1b[31m", ""):
        assert sheet(pictures(1), [text]).size == one.size
