"""IDX files: pictures and labels in two files, checked before anything is believed."""

from __future__ import annotations

import gzip
import struct
import time
from pathlib import Path

import pytest
import torch
from noiseform.core.data.dataset import DataConfig
from noiseform.core.errors import ConfigError, MediaError
from noiseform.core.media import MediaSpec
from noiseform.modalities.image.idx import IdxDataset, holds_idx
from noiseform.modalities.image.modality import ImageModality

SPEC = MediaSpec((1, 4, 5), (None, None), 0.0, 1.0)
COUNT = 30
PIXELS = (torch.arange(COUNT * 20) % 251).to(torch.uint8).reshape(COUNT, 4, 5)


def idx(values: torch.Tensor | bytes, *shape: int, kind: int = 8) -> bytes:
    """Return an IDX file of unsigned bytes."""
    body = values if isinstance(values, bytes) else bytes(values.flatten().tolist())
    sizes = shape or tuple(values.shape)  # type: ignore[union-attr]
    return bytes((0, 0, kind, len(sizes))) + struct.pack(f">{len(sizes)}I", *sizes) + body


IMAGES, LABELS = idx(PIXELS), idx(torch.arange(COUNT) % 3)


def fill(
    folder: Path, packed: bool = False, images: bytes = IMAGES, labels: bytes = LABELS, part: str = "train"
) -> Path:
    folder.mkdir(exist_ok=True)
    for name, data in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
        (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(data) if packed else data)
    return folder


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("named", ["folder", "file"])
def test_pictures_and_labels_are_those_of_the_files(packed: bool, named: str, tmp_path: Path) -> None:
    place = fill(tmp_path / "x", packed)
    place = place if named == "folder" else next(place.glob("*images*"))
    data = ImageModality().dataset(place, SPEC, DataConfig(rename={"0": "zero"}))
    assert isinstance(data, IdxDataset)
    assert len(data) == COUNT
    assert data.vocabulary == (("1", "2", "zero"),)
    for index in (0, 7, COUNT - 1):
        assert torch.equal((data.item(index, start=0.9) * 255).round().to(torch.uint8)[0], PIXELS[index])
        assert data.conditions(index) == {"labels": (("zero", "1", "2")[index % 3],)}
        assert data.name(index) == f"train-images-idx3-ubyte{'.gz' * packed}/{index:05d}"
    assert data.skipped == []


def test_labels_can_be_left_out(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    data = IdxDataset(tmp_path, SPEC, DataConfig(labels="none"))
    assert data.conditions(0) == {"labels": ()}
    assert data.vocabulary == ()
    with pytest.raises(MediaError, match="train-labels-idx1-ubyte: no labels; put them there or set labels = 'none'"):
        IdxDataset(tmp_path, SPEC)


def test_names_choose_among_files_and_leave_out_pictures(tmp_path: Path) -> None:
    fill(tmp_path)
    fill(tmp_path, packed=True)  # the same again, packed
    fill(tmp_path, part="t10k", images=idx(PIXELS[:4]), labels=idx(torch.arange(4)))
    with pytest.raises(MediaError, match="found t10k-images-idx3-ubyte, train-images-idx3-ubyte; set include"):
        IdxDataset(tmp_path, SPEC)
    assert len(IdxDataset(tmp_path, SPEC, DataConfig(include=("t10k*",)))) == 4
    data = IdxDataset(tmp_path, SPEC, DataConfig(include=("train*",), exclude=("*/0001?",)))
    assert len(data) == COUNT - 10
    assert data.name(10) == "train-images-idx3-ubyte/00020"
    assert data.conditions(10) == {"labels": ("2",)}
    assert torch.equal((data.item(10, start=0) * 255).round().to(torch.uint8)[0], PIXELS[20])
    with pytest.raises(MediaError, match="leaves out all 30 pictures"):
        IdxDataset(tmp_path, SPEC, DataConfig(include=("train*",), exclude=("*",)))


def test_another_shape_is_fitted(tmp_path: Path) -> None:
    data = IdxDataset(fill(tmp_path), MediaSpec((4, 8, 8), (None, None), 0.0, 1.0), DataConfig(fit="pad"))
    item = data.item(3, start=0)
    assert item.shape == (4, 8, 8)
    assert item[3].min() == 0  # beside the picture all is transparent


def test_fingerprint_tells_data_apart(tmp_path: Path) -> None:
    places = [fill(tmp_path / "a"), fill(tmp_path / "b", packed=True), fill(tmp_path / "c", images=idx(PIXELS.flip(0)))]
    first, same, other = (IdxDataset(place, SPEC).fingerprint for place in places)
    assert first == same != other
    assert IdxDataset(places[0], SPEC, DataConfig(labels="none")).fingerprint != first


BAD_IMAGES = {
    "empty": (b"", "empty file"),
    "cut": (IMAGES[:-1], "holds 599 of 600 values"),
    "cut in the header": (IMAGES[:9], "cut short within its header"),
    "cut in the magic": (IMAGES[:3], "no IDX file"),
    "too long": (IMAGES + b"x", "holds more than 600 values"),
    "labels in its place": (LABELS, "IDX of unsigned bytes with 1 axes, expected unsigned bytes with 3"),
    "floats": (idx(bytes(8), 1, 1, 2, kind=13), "IDX of float with 3 axes"),
    "something else": (b"\x89PNG\r\n\x1a\n" + bytes(40), "no IDX file"),
    "no pictures": (idx(b"", 0, 4, 5), "holds nothing"),
    "no pixels": (idx(b"", 30, 0, 5), "holds nothing"),
    "claims 2^96": (idx(b"x", 2**32 - 1, 2**32 - 1, 2**32 - 1), "more than 2147483648 values"),
    "claims 8 TB": (idx(b"x", 10**9, 80, 100), "more than 2147483648 values"),
    "claims 2 GB": (idx(b"x", 2**11, 2**10, 2**10), "holds 1 of 2147483648 values"),
    "wide": (idx(bytes(9000), 1, 1, 9000), "8192 a side"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_files_are_refused_in_one_line(name: str, packed: bool, tmp_path: Path) -> None:
    data, why = BAD_IMAGES[name]
    fill(tmp_path, packed, images=data)
    if packed and name == "empty":
        why = "no IDX file"
    started = time.process_time()
    with pytest.raises(MediaError) as caught:
        IdxDataset(tmp_path, SPEC)
    assert time.process_time() - started < 2
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ";" in str(caught.value)


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:40] + b"\xff\xff\xff" + data[43:]])
def test_damage_of_gzip_is_told(damage, tmp_path: Path) -> None:
    path = fill(tmp_path, packed=True) / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(MediaError, match=r"train-images-idx3-ubyte\.gz: damaged"):
        IdxDataset(tmp_path, SPEC)


def test_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    fill(tmp_path, packed=True, images=idx(bytes(20 * 2**20), 30, 4, 5))
    started = time.process_time()
    with pytest.raises(MediaError, match="more than 600 values"):
        IdxDataset(tmp_path, SPEC)
    assert time.process_time() - started < 1


def test_labels_must_belong_to_the_pictures(tmp_path: Path) -> None:
    fill(tmp_path, labels=idx(torch.arange(COUNT - 1)))
    with pytest.raises(MediaError, match="29 labels for 30 pictures"):
        IdxDataset(tmp_path, SPEC)
    (tmp_path / "train-images-idx3-ubyte").rename(tmp_path / "pictures")
    with pytest.raises(MediaError, match="its name has no 'images'"):
        IdxDataset(tmp_path / "pictures", SPEC)


def test_rules_for_other_files_are_refused(tmp_path: Path) -> None:
    fill(tmp_path)
    for config, why in (
        (DataConfig(labels="pattern", pattern="{a}_{b}"), "labels = 'pattern': IDX pictures have labels of their own"),
        (DataConfig(captions="table", labels="folder"), "captions: IDX data takes none"),
    ):
        with pytest.raises(ConfigError, match=why):
            IdxDataset(tmp_path, SPEC, config)


def test_only_idx_files_are_taken_for_such(tmp_path: Path) -> None:
    assert holds_idx(fill(tmp_path / "x"))
    assert holds_idx(tmp_path / "x" / "train-images-idx3-ubyte")
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "images-idx3-ubyte.txt").write_text("no")
    (tmp_path / "zeros.tar").write_bytes(bytes(10240))
    (tmp_path / "damaged.gz").write_bytes(b"\x1f\x8b\x08\x00" + bytes(20))
    for name in ("y", "zeros.tar", "damaged.gz", "missing"):
        assert not holds_idx(tmp_path / name)


def test_sixty_thousand_pictures_are_no_burden(tmp_path: Path) -> None:
    count = 60_000
    fill(tmp_path, images=idx(bytes(count * 20), count, 4, 5), labels=idx(bytes(range(10)) * (count // 10), count))
    data = IdxDataset(tmp_path, SPEC)
    started = time.process_time()
    for index in range(count):
        data.conditions(index)
        data.name(index)
    assert time.process_time() - started < 2  # measured: 0.04 s
    started = time.process_time()
    for index in range(0, count, 60):
        data.item(index, start=0.5)
    assert time.process_time() - started < 1  # measured: 0.01 s
