"""Data sets of sounds: shapes, windows, labels, and files that are bad or go bad."""

from __future__ import annotations

import io
import tarfile
import warnings
from pathlib import Path

import pytest
import torch
from noiseform.core.data.dataset import DataConfig
from noiseform.core.errors import ConfigError, MediaError
from noiseform.core.media import MediaSpec
from noiseform.modalities.audio.clip import Audio
from noiseform.modalities.audio.dataset import AudioDataset
from noiseform.modalities.audio.reading import read

SPEC = MediaSpec((1, 1000), (8000.0,), -1.0, 1.0)
DIGITS = DataConfig(
    labels="pattern", pattern="{digit}_{speaker}_{take}", fields=("digit", "speaker"), rename={"0": "zero"}
)


def fill(folder: Path, count: int = 6, frames: int = 1500) -> Path:
    folder.mkdir(exist_ok=True)
    for index in range(count):
        ramp = torch.linspace(-0.5, 0.5, frames) + index / 100
        Audio(ramp[None], 8000).save(folder / f"{index % 2}_{'ab'[index % 3 == 0]}_{index}.wav")
    return folder


def pack(folder: Path, path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, arcname="recordings")
    return path


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("cache_limit", [2**30, 20_000, 0])
def test_items_have_the_shape_and_the_labels_of_their_files(archived: bool, cache_limit: int, tmp_path: Path) -> None:
    folder = fill(tmp_path / "data")
    place = pack(folder, tmp_path / "x.tar.gz") if archived else folder
    data = AudioDataset(place, SPEC, DIGITS, cache_limit=cache_limit)
    assert len(data) == 6
    assert data.fields == ("digit", "speaker")
    assert data.vocabulary == (("1", "zero"), ("a", "b"))
    assert data.skipped == []
    for index in range(6):
        item = data.item(index, start=0.3)
        name = data.name(index).rsplit("/", 1)[-1]
        assert item.shape == (1, 1000)
        assert item.dtype == torch.float32
        assert torch.equal(item, read(folder / name).samples[:, 150:1150])
        assert data.conditions(index) == {"labels": ("zero" if name[0] == "0" else "1", name[2])}
    assert torch.equal(data.item(-1, start=0), data.item(5, start=0))
    with pytest.raises(IndexError):
        data.item(6, start=0)


def test_window_runs_from_the_first_to_the_last_place(tmp_path: Path) -> None:
    fill(tmp_path, 1, 1003)
    whole = read(tmp_path / "0_b_0.wav").samples
    data = AudioDataset(tmp_path, SPEC, DIGITS)
    starts = [torch.equal(data.item(0, start=s), whole[:, k : k + 1000]) for k, s in enumerate([0, 0.25, 0.5, 0.75])]
    assert all(starts)
    assert torch.equal(data.item(0, start=0.9999999999), whole[:, 3:])
    steady = AudioDataset(tmp_path, SPEC, DIGITS.model_copy(update={"window": "start"}))
    assert torch.equal(steady.item(0, start=0.9), whole[:, :1000])


def test_short_sound_is_followed_by_silence(tmp_path: Path) -> None:
    fill(tmp_path, 1, 400)
    item = AudioDataset(tmp_path, SPEC, DIGITS).item(0, start=0.7)
    assert torch.equal(item[:, :400], read(tmp_path / "0_b_0.wav").samples)
    assert not item[:, 400:].any()


def test_items_may_be_changed_without_harm(tmp_path: Path) -> None:
    for frames in (400, 1000, 1500):
        fill(tmp_path / str(frames), 1, frames)
        data = AudioDataset(tmp_path / str(frames), SPEC, DIGITS)
        first = data.item(0, start=0)
        first += 1
        assert not torch.equal(data.item(0, start=0), first)


def test_rate_and_channels_are_converted(tmp_path: Path) -> None:
    Audio(torch.zeros(2, 3200), 16000).save(tmp_path / "x.flac")
    data = AudioDataset(tmp_path, MediaSpec((1, 1600), (8000.0,), -1.0, 1.0), DataConfig(labels="none"))
    assert data.item(0, start=0).shape == (1, 1600)
    assert data.conditions(0) == {"labels": ()}


def test_bad_files_are_skipped_up_to_the_share_allowed(tmp_path: Path) -> None:
    fill(tmp_path, 9)
    (tmp_path / "0_a_bad.wav").write_bytes(b"RIFF but no more")
    config = DIGITS.model_copy(update={"max_bad": 0.1})
    data = AudioDataset(tmp_path, SPEC, config)
    assert len(data) == 9
    ((name, reason),) = data.skipped
    assert name == "0_a_bad.wav"
    assert "0_a_bad.wav" in reason
    with pytest.raises(MediaError, match="1 of 10 files"):
        AudioDataset(tmp_path, SPEC, DIGITS)
    for path in tmp_path.glob("*_[0-9].wav"):
        path.write_bytes(b"")
    with pytest.raises(MediaError, match="10 of 10 files"):
        AudioDataset(tmp_path, SPEC, config.model_copy(update={"max_bad": 1.0}))


def test_files_that_vanish_are_skipped_and_counted(tmp_path: Path) -> None:
    fill(tmp_path, 6)
    data = AudioDataset(tmp_path, SPEC, DIGITS.model_copy(update={"max_bad": 0.5}), cache_limit=0)
    names = [data.name(index) for index in range(6)]
    (tmp_path / names[1]).unlink()
    (tmp_path / names[2]).write_bytes(b"changed")
    expected = read(tmp_path / names[3]).samples[:, :1000]
    assert torch.equal(data.item(1, start=0), expected)
    assert data.conditions(1) == data.conditions(3)
    assert data.name(1) == names[3]
    assert [name for name, _ in data.skipped] == [names[1], names[2]]
    assert torch.equal(data.item(1, start=0), expected)  # and they are not tried again
    assert len(data.skipped) == 2
    for name in names:
        (tmp_path / name).unlink(missing_ok=True)
    with pytest.raises(MediaError, match="of 6 files"):
        data.item(0, start=0)


def test_when_all_vanish_there_is_an_end(tmp_path: Path) -> None:
    fill(tmp_path, 6)
    data = AudioDataset(tmp_path, SPEC, DIGITS.model_copy(update={"max_bad": 1.0}), cache_limit=0)
    for path in tmp_path.iterdir():
        path.unlink()
    for index in (3, 0, 3):
        with pytest.raises(MediaError):
            data.item(index, start=0)


def test_kept_sounds_need_their_files_no_more(tmp_path: Path) -> None:
    data = AudioDataset(fill(tmp_path / "data"), SPEC, DIGITS)
    for path in (tmp_path / "data").iterdir():
        path.unlink()
    assert data.item(0, start=0).shape == (1, 1000)


def test_fingerprint_tells_data_apart(tmp_path: Path) -> None:
    fill(tmp_path / "a")
    fill(tmp_path / "b")
    first, second = (AudioDataset(tmp_path / name, SPEC, DIGITS).fingerprint for name in "ab")
    assert first == second
    (tmp_path / "b" / "0_b_0.wav").unlink()
    assert AudioDataset(tmp_path / "b", SPEC, DIGITS).fingerprint != first


@pytest.mark.parametrize(
    ("shape", "rates"), [((1, 2, 3), (8000.0,)), ((1, 1000), (None,)), ((1, 1000), (8000.5,)), ((0, 10), (8000.0,))]
)
def test_other_media_are_refused(shape: tuple[int, ...], rates: tuple[float | None, ...], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="wrong media"):
        AudioDataset(fill(tmp_path), MediaSpec(shape, rates, -1.0, 1.0), DIGITS)


def test_channels_that_cannot_be_converted_are_bad_files(tmp_path: Path) -> None:
    Audio(torch.zeros(3, 100), 8000).save(tmp_path / "x.wav")
    with pytest.raises(MediaError, match="3 channels given, 1 wanted"):
        AudioDataset(tmp_path, SPEC, DataConfig(labels="none"))


def test_hostile_archive_with_one_good_sound(tmp_path: Path) -> None:
    good = io.BytesIO()
    from noiseform.modalities.audio.writing import encode

    encode(Audio(torch.zeros(1, 500), 8000), "wav", good)
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in (("../../up.wav", good.getvalue()), ("nested.tar.wav", b"ustar"), ("e.wav", b"")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = AudioDataset(path, SPEC, DataConfig(labels="none", max_bad=0.7))
    assert [data.name(index) for index in range(len(data))] == ["../../up.wav"]
    assert [name for name, _ in data.skipped] == ["e.wav", "nested.tar.wav"]
