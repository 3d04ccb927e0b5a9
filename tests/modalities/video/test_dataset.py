"""Data sets of films: listed and described like pictures, brought to the model's rate, length and size."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from noiseform.core.data.dataset import DataConfig
from noiseform.core.errors import ConfigError, MediaError
from noiseform.core.media import MediaSpec
from noiseform.modalities.audio.dataset import AudioDataset
from noiseform.modalities.image.dataset import ImageDataset
from noiseform.modalities.video.dataset import VideoDataset
from noiseform.modalities.video.film import Video
from noiseform.modalities.video.framing import Framing

NONE = DataConfig(labels="none")


def spec(frames: int = 4, height: int = 8, width: int = 8, fps: float = 8.0, channels: int = 3) -> MediaSpec:
    return MediaSpec((channels, frames, height, width), (fps, None, None), 0.0, 1.0)


def counting(count: int = 10, height: int = 8, width: int = 8) -> torch.Tensor:
    """Return a film whose frames are as bright as their number says, 20 steps of 255 apart."""
    return (torch.arange(count) * 20 / 255)[:, None, None, None].expand(-1, 3, height, width).contiguous()


def fill(folder: Path, count: int = 10, height: int = 8, width: int = 8, fps: float = 8.0) -> Path:
    """Write a film of each format into folders for two labels."""
    for index, ending in enumerate(("mp4", "webm", "gif", "frames")):
        place = folder / ("even", "odd")[index % 2]
        place.mkdir(parents=True, exist_ok=True)
        Video(counting(count, height, width), fps).save(place / f"{index}.{ending}")
    return folder


def numbers(item: torch.Tensor) -> list[int]:
    """Return the numbers of the frames of an item."""
    return [round(float(value)) for value in item.mean(dim=(0, 2, 3)) * 255 / 20]


def test_films_and_folders_of_frames_with_their_labels(tmp_path: Path) -> None:
    data = VideoDataset(fill(tmp_path), spec())
    assert [data.name(index) for index in range(4)] == ["even/0.mp4", "even/2.gif", "odd/1.webm", "odd/3.frames"]
    assert [data.conditions(index) for index in (0, 3)] == [{"labels": ("even",)}, {"labels": ("odd",)}]
    for index in range(4):
        item = data.item(index, start=0.0)
        assert item.shape == (3, 4, 8, 8)
        assert numbers(item) == [0, 1, 2, 3]
        assert numbers(data.item(index, start=0.999)) == [6, 7, 8, 9]


def test_an_archive_holds_the_same(tmp_path: Path) -> None:
    fill(tmp_path / "data")
    for name, mode in (("x.tar", "w"), ("x.tar.gz", "w:gz")):
        with tarfile.open(tmp_path / name, mode) as archive:
            archive.add(tmp_path / "data", ".")
        data = VideoDataset(tmp_path / name, spec())
        folder = VideoDataset(tmp_path / "data", spec())
        assert data.vocabulary == folder.vocabulary == (("even", "odd"),)
        for index in range(4):
            assert torch.equal(data.item(index, start=0.5), folder.item(index, start=0.5))


def test_captions_name_films_and_folders(tmp_path: Path) -> None:
    fill(tmp_path)
    rows = ["even/0.mp4,a 0", "even/2.gif,a 2", "odd/1.webm,a 1", "odd/3.frames,a 3"]
    (tmp_path / "captions.csv").write_text("\n".join(["file,caption", *rows]))
    data = VideoDataset(tmp_path, spec(), DataConfig(captions="table"))
    assert data.conditions(3) == {"labels": (), "text": "a 3"}
    only = VideoDataset(tmp_path, spec(), DataConfig(labels="none", include=("*.gif",)))
    assert [only.name(index) for index in range(len(only))] == ["even/2.gif"]


def test_films_come_at_the_rate_of_the_model_or_by_a_stride(tmp_path: Path) -> None:
    data = VideoDataset(fill(tmp_path, fps=16.0), spec(), NONE)
    for index in range(3):
        assert numbers(data.item(index, start=0.0)) == [0, 2, 4, 6]
    assert numbers(data.item(3, start=0.0)) == [0, 1, 2, 3]  # frames in a folder are taken as they are
    strided = VideoDataset(tmp_path, spec(), DataConfig(labels="none", stride=3))
    for index in range(4):
        assert numbers(strided.item(index, start=0.9)) == [0, 3, 6, 9]
    dense = VideoDataset(tmp_path, spec(), DataConfig(labels="none", stride=1, window="centre"))
    assert numbers(dense.item(0, start=0.0)) == [3, 4, 5, 6]


def test_films_too_short_are_counted_before_training(tmp_path: Path) -> None:
    fill(tmp_path, count=5)
    Video(counting(3), 8.0).save(tmp_path / "odd" / "short.mp4")
    data = VideoDataset(tmp_path, spec(), DataConfig(max_bad=0.3))
    ((name, why),) = data.skipped
    assert name == "odd/short.mp4"
    assert "3 frames, too short for 4" in why
    with pytest.raises(MediaError, match=r"5 of 5 files cannot be used: even/0\.mp4 \(5 frames, too short for 7"):
        VideoDataset(tmp_path, spec(7))


def test_bad_films_are_skipped(tmp_path: Path) -> None:
    fill(tmp_path)
    good = (tmp_path / "even" / "0.mp4").read_bytes()
    (tmp_path / "even" / "cut.mp4").write_bytes(good[:-200])
    (tmp_path / "odd" / "3.frames" / "frame-00004.png").write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    data = VideoDataset(tmp_path, spec(), DataConfig(max_bad=0.5))
    assert len(data) == 3
    reasons = dict(data.skipped)
    assert "cut short" in reasons["even/cut.mp4"]
    assert "frame-00004.png: cut short" in reasons["odd/3.frames"]


def test_what_does_not_stay_in_memory_is_decoded_again(tmp_path: Path) -> None:
    config = DataConfig(labels="none", max_bad=0.5)
    data, kept = (VideoDataset(fill(tmp_path / str(n)), spec(), config, cache_limit=n) for n in (0, 2**20))
    for index in range(4):
        assert torch.equal(data.item(index, start=0.3), kept.item(index, start=0.3))
    (tmp_path / "0" / data.name(0)).unlink()
    assert data.item(0, start=0.0).shape == (3, 4, 8, 8)
    assert data.skipped[0][0] == "even/0.mp4"


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_films_get_the_size_of_the_model(fit: str, channels: int, tmp_path: Path) -> None:
    fill(tmp_path, height=12, width=20)
    data = VideoDataset(tmp_path, spec(channels=channels), DataConfig(labels="none", fit=fit, background="black"))  # type: ignore[arg-type]
    for index in range(4):
        assert data.item(index, start=0.4).shape == (channels, 4, 8, 8)


def test_one_number_draws_time_place_and_mirroring() -> None:
    framing = Framing(3, 4, 4, frames=2, fps=8.0, stride=2, flip=True)
    film = torch.arange(5 * 6 * 7).reshape(5, 1, 6, 7).expand(-1, 3, -1, -1).to(torch.uint8)
    seen = set()
    for draw in range(480):
        item = framing.item(film, (draw + 0.5) / 480)
        assert item.shape == (3, 2, 4, 4)
        seen.add(tuple((item[0, 0, 0, :2] * 255).round().int().tolist()))
    assert len(seen) == 3 * 3 * 4 * 2


def test_flip_mirrors_whole_clips() -> None:
    film = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 3, 4, 4), np.uint8))
    framing = Framing(3, 4, 4, frames=3, fps=8.0, flip=True)
    assert torch.equal(framing.item(film, 0.0), framing.item(film, 0.9).flip(-1))


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 4, 8, 8), (3, 0, 8, 8)])
def test_other_media_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="films have"):
        VideoDataset(fill(tmp_path), MediaSpec(shape, (8.0, None, None), 0.0, 1.0), NONE)
    with pytest.raises(ConfigError, match="films have"):
        VideoDataset(tmp_path, MediaSpec((3, 4, 8, 8), (None, None, None), 0.0, 1.0), NONE)


def test_stride_is_for_films_only(tmp_path: Path) -> None:
    config = DataConfig(labels="none", stride=2)
    with pytest.raises(ConfigError, match="stride: pictures takes none"):
        ImageDataset(tmp_path, MediaSpec((3, 8, 8), (None, None), 0.0, 1.0), config)
    with pytest.raises(ConfigError, match="stride: sound takes none"):
        AudioDataset(tmp_path, MediaSpec((1, 800), (8000.0,), -1.0, 1.0), config)
