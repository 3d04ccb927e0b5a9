"""Data sets of pictures: shapes, fits, windows, labels, captions, and files that are bad or go bad."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from noiseform.core.data.dataset import DataConfig
from noiseform.core.errors import ConfigError, MediaError
from noiseform.core.media import MediaSpec
from noiseform.modalities.image.dataset import ImageDataset
from noiseform.modalities.image.geometry import PIXEL_LIMIT, Geometry
from noiseform.modalities.image.picture import Image
from noiseform.modalities.image.reading import read
from PIL import Image as PillowImage

NONE = DataConfig(labels="none")


def spec(channels: int = 3, height: int = 8, width: int = 8) -> MediaSpec:
    return MediaSpec((channels, height, width), (None, None), 0.0, 1.0)


def fill(folder: Path, count: int = 6, height: int = 8, width: int = 12) -> Path:
    """Write pictures, each of one colour that rises from left to right, in two folders."""
    for index in range(count):
        place = folder / ("even", "odd")[index % 2]
        place.mkdir(parents=True, exist_ok=True)
        ramp = torch.linspace(0, 200, width).round() + index
        Image((ramp / 255).expand(3, height, width)).save(place / f"{index}.{('png', 'webp')[index % 3 == 0]}")
    return folder


def pack(folder: Path, path: Path) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        archive.add(folder, arcname=".")
    return path


@pytest.mark.parametrize("archived", ["", ".tar", ".tar.gz"])
@pytest.mark.parametrize("cache_limit", [2**30, 600, 0])
def test_items_have_the_shape_and_the_labels_of_their_files(archived: str, cache_limit: int, tmp_path: Path) -> None:
    folder = fill(tmp_path / "data")
    place = pack(folder, tmp_path / f"x{archived}") if archived else folder
    data = ImageDataset(place, spec(), cache_limit=cache_limit)
    assert len(data) == 6
    assert data.fields == ("label",)
    assert data.vocabulary == (("even", "odd"),)
    assert data.skipped == []
    for index in range(6):
        item = data.item(index, start=0.5)
        assert item.dtype == torch.float32
        assert torch.equal(item, read(folder / data.name(index)).pixels[:, :, 2:10])
        assert data.conditions(index) == {"labels": (data.name(index).split("/")[0],)}
    assert torch.equal(data.item(-1, start=0), data.item(5, start=0))
    with pytest.raises(IndexError):
        data.item(6, start=0)


@pytest.mark.parametrize(("height", "width"), [(8, 12), (12, 8)])
def test_window_runs_from_the_first_to_the_last_place(height: int, width: int) -> None:
    pixels = torch.arange(height * width, dtype=torch.uint8).reshape(1, height, width)
    geometry = Geometry(1, 8, 8)
    starts = [geometry.item(pixels, start)[0, 0, 0] * 255 for start in (0, 0.2, 0.4, 0.6, 0.8, 0.9999999)]
    step = 1 if width > height else width
    assert [round(float(start)) for start in starts] == [step * place for place in (0, 1, 2, 3, 4, 4)]
    for window, place in (("start", 0), ("centre", 2)):
        corner = Geometry(1, 8, 8, window=window).item(pixels, 0.99)[0, 0, 0]
        assert round(float(corner * 255)) == step * place


def test_window_and_mirroring_are_drawn_evenly_and_independently() -> None:
    pixels = torch.arange(100, dtype=torch.uint8).reshape(1, 10, 10)
    geometry = Geometry(1, 8, 8, flip=True)
    seen = [geometry.item(pixels, (number + 0.5) / 18) * 255 for number in range(18)]
    corners = sorted((int(item[0, 0, 0].round()), int(item[0, 0, 7].round())) for item in seen)
    plain = [(row * 10 + column, row * 10 + column + 7) for row in range(3) for column in range(3)]
    assert corners == sorted([*plain, *((right, left) for left, right in plain)])


@pytest.mark.parametrize(
    ("fit", "size", "given", "kept"),
    [
        ("crop", (8, 8), (16, 32), (8, 16)),
        ("crop", (8, 8), (32, 16), (16, 8)),
        ("crop", (8, 6), (4, 2), (12, 6)),
        ("crop", (5, 7), (1000, 3), (2333, 7)),
        ("crop", (8, 8), (8, 8), (8, 8)),
        ("pad", (8, 8), (16, 32), (8, 8)),
        ("pad", (8, 8), (1, 30000), (8, 8)),
        ("pad", (8, 8), (3, 2), (8, 8)),
        ("stretch", (8, 6), (100, 3), (8, 6)),
    ],
)
def test_each_fit_gives_its_size(
    fit: str, size: tuple[int, int], given: tuple[int, int], kept: tuple[int, int]
) -> None:
    geometry = Geometry(3, *size, fit=fit)  # type: ignore[arg-type]
    pixels = geometry.fitted(PillowImage.new("RGB", given[::-1], (9, 99, 199)))
    assert tuple(pixels.shape[1:]) == kept
    for start in (0.0, 0.5, 0.999):
        assert geometry.item(pixels, start).shape == (3, *size)


@pytest.mark.parametrize(
    ("channels", "background", "edge"),
    [(3, "white", (255, 255, 255)), (3, "black", (0, 0, 0)), (1, "white", (255,)), (4, "white", (255, 255, 255, 0))],
)
def test_pad_lays_the_picture_in_the_middle(channels: int, background: str, edge: tuple[int, ...]) -> None:
    geometry = Geometry(channels, 8, 8, fit="pad", background=background)  # type: ignore[arg-type]
    pixels = geometry.fitted(PillowImage.new("RGB", (8, 4), (50, 50, 50)))
    middle = (50, 50, 50, 255)[:channels]
    rows = [tuple(pixels[:, row, 3].tolist()) for row in range(8)]
    assert rows == [edge] * 2 + [middle] * 4 + [edge] * 2


def test_resizing_is_antialiased_and_alpha_is_multiplied_in() -> None:
    board = np.indices((64, 64)).sum(0) % 2 * 255
    pixels = Geometry(1, 8, 8).fitted(PillowImage.fromarray(board.astype(np.uint8)))
    assert (pixels.float() - 127.5).abs().max() < 2
    image = PillowImage.new("RGBA", (16, 16), (0, 255, 0, 0))  # what is transparent is green, but does not show
    image.paste((255, 0, 0, 255), (0, 0, 7, 16))
    shrunk = Geometry(4, 4, 4).fitted(image)
    seen = shrunk[3] > 0
    assert shrunk[1][seen].max() <= 1
    assert shrunk[0][seen].min() >= 254


def test_picture_too_long_and_narrow_is_refused() -> None:
    assert PIXEL_LIMIT < 64 * 64 * 300_000
    strip = PillowImage.new("L", (300_000, 1))
    with pytest.raises(MediaError, match=r"300000 x 1 pixels cover 64 x 64 only as 19200000 x 64; cut it, or set fit"):
        Geometry(1, 64, 64).fitted(strip)
    assert Geometry(1, 64, 64, fit="pad").fitted(strip).shape == (1, 64, 64)


def test_items_may_be_changed_without_harm(tmp_path: Path) -> None:
    data = ImageDataset(fill(tmp_path, 1, 8, 8), spec())
    first = data.item(0, start=0)
    first += 1
    assert not torch.equal(data.item(0, start=0), first)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_are_converted(channels: int, tmp_path: Path) -> None:
    Image(torch.rand(4, 9, 9)).save(tmp_path / "a.png")
    Image(torch.rand(1, 9, 9)).save(tmp_path / "b.jpg")
    data = ImageDataset(tmp_path, spec(channels, 9, 9), NONE)
    for index, name in enumerate(("a.png", "b.jpg")):
        assert torch.equal(data.item(index, start=0), read(tmp_path / name, channels=channels).pixels)  # type: ignore[arg-type]


def test_captions_are_given_with_the_labels(tmp_path: Path) -> None:
    fill(tmp_path / "data")
    rows = [f"{('even', 'odd')[i % 2]}/{i}.{('png', 'webp')[i % 3 == 0]},a {i}" for i in range(6)]
    (tmp_path / "captions.csv").write_text("file,caption\n" + "\n".join(rows))
    data = ImageDataset(pack(tmp_path / "data", tmp_path / "x.tar"), spec(), DataConfig(captions="table"))
    assert data.conditions(0) == {"labels": (), "text": "a 0"}
    with_labels = ImageDataset(tmp_path / "x.tar", spec(), DataConfig(captions="table", labels="folder"))
    assert with_labels.conditions(5) == {"labels": ("odd",), "text": "a 5"}
    assert len({data.fingerprint, with_labels.fingerprint, ImageDataset(tmp_path / "x.tar", spec()).fingerprint}) == 3


def test_bad_files_are_skipped_up_to_the_share_allowed(tmp_path: Path) -> None:
    fill(tmp_path, 9)
    (tmp_path / "even" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    data = ImageDataset(tmp_path, spec(), DataConfig(max_bad=0.1))
    assert len(data) == 9
    ((name, reason),) = data.skipped
    assert name == "even/bad.png"
    assert "bad.png: cut short" in reason
    with pytest.raises(MediaError, match="1 of 10 files"):
        ImageDataset(tmp_path, spec())


def test_files_that_vanish_are_skipped_and_counted(tmp_path: Path) -> None:
    data = ImageDataset(fill(tmp_path, 6), spec(), DataConfig(max_bad=0.5), cache_limit=0)
    names = [data.name(index) for index in range(6)]
    (tmp_path / names[1]).unlink()
    (tmp_path / names[2]).write_bytes(b"changed")
    expected = read(tmp_path / names[3]).pixels[:, :, :8]
    for _ in range(2):
        assert torch.equal(data.item(1, start=0), expected)
        assert data.conditions(1) == data.conditions(3)
        assert [name for name, _ in data.skipped] == [names[1], names[2]]
    for name in names:
        (tmp_path / name).unlink(missing_ok=True)
    with pytest.raises(MediaError, match="of 6 files"):
        data.item(0, start=0)


@pytest.mark.parametrize("shape", [(3, 8), (2, 8, 8), (3, 0, 8), (3, 4, 8, 8)])
def test_other_media_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pictures have"):
        ImageDataset(fill(tmp_path), MediaSpec(shape, (None,) * (len(shape) - 1), 0.0, 1.0), NONE)


def test_hostile_archive_with_one_good_picture(tmp_path: Path) -> None:
    good = io.BytesIO()
    PillowImage.new("RGB", (8, 8)).save(good, "PNG")
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in (("../../up.png", good.getvalue()), ("nested.tar.png", b"ustar"), ("e.png", b"")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    data = ImageDataset(path, spec(), DataConfig(labels="none", max_bad=0.7))
    assert [data.name(index) for index in range(len(data))] == ["../../up.png"]
    assert [(name, "empty file" in why) for name, why in data.skipped] == [("e.png", True), ("nested.tar.png", False)]
