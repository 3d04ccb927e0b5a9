"""Sound files that are broken, hostile or strange: each is refused with a named error, quickly and in little memory."""

from __future__ import annotations

import io
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
import torch
from noiseform.core.errors import ConfigError, MediaError, NumericError, ResourceError
from noiseform.modalities.audio.clip import Audio
from noiseform.modalities.audio.reading import decode, read, read_record
from noiseform.modalities.audio.writing import write

sys.path.insert(0, str(Path(__file__).parent))
import audio_edges as edges  # the scripts beside this file are run by themselves too
from media_faults import check_full_disk, check_harmless, check_mutants, check_refused, run_script, small_disk


@pytest.mark.parametrize(("row", "name", "make"), edges.REFUSED, ids=[name for _, name, _ in edges.REFUSED])
def test_bad_file_is_refused(row: int, name: str, make: Callable[[], bytes], tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(make())
    check_refused(read, path)


def test_edge_files_take_little_memory(tmp_path: Path) -> None:
    answer = run_script("edge_memory.py", "audio", tmp_path)
    print(f"edge files: tried {answer['tried']} / failed {answer['failed']}, worst {answer['worst']}")
    assert answer["failed"] == 0, answer


def test_strange_things_are_refused(tmp_path: Path) -> None:
    for path in edges.place_strange_things(tmp_path):
        started = time.perf_counter()
        with pytest.raises(MediaError):
            read(path)
        assert time.perf_counter() - started < 2


def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.wav"
    edges.write_wav(path)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(MediaError, match="permission"):
        read(path)


@pytest.mark.parametrize("name", [b"line\nbreak.wav", b"\xff\xfe.wav", b"\x1b[31mred.wav", "\u202egnp.wav".encode()])
def test_strange_names_are_escaped_in_messages(name: bytes, tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), name)
    edges.write_wav(path)
    assert read(os.fsdecode(path)).samples.shape == (1, 800)
    Path(os.fsdecode(path)).write_bytes(b"no sound at all")
    with pytest.raises(MediaError) as caught:
        read(os.fsdecode(path))
    assert str(caught.value).isprintable()


def test_content_decides_not_the_ending(tmp_path: Path) -> None:
    path = tmp_path / "flac-inside.mp3"
    path.write_bytes(edges.coded("FLAC", "PCM_16"))
    assert read(path).samples.shape == (1, 4000)


@pytest.mark.parametrize(
    ("name", "make", "frames"),
    [
        ("cut.wav", lambda: edges.coded("WAV", "PCM_16")[: 44 + 2000], 1000),
        ("cut.flac", lambda: edges.coded("FLAC", "PCM_16", edges.tone(40_000))[:-3000], 20_000),
        ("cut.ogg", lambda: edges.coded("OGG", "VORBIS", edges.tone(200_000))[:-500], 100_000),
        ("cut.mp3", lambda: edges.coded("MP3", "MPEG_LAYER_III", edges.tone(100_000))[:-3000], 10_000),
        ("claims.wav", lambda: edges.wav_claiming(0xFFFFFFF0), 500),
    ],
)
def test_cut_file_gives_what_is_left_when_asked(
    name: str, make: Callable[[], bytes], frames: int, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(make())
    with pytest.warns(UserWarning, match="cut short"):
        audio = read(path, strict=False)
    assert audio.samples.shape[1] >= frames


def test_wav_from_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "piped.wav"
    path.write_bytes(edges.wav_claiming(0xFFFFFFFF))
    assert read(path).samples.shape == (1, 500)


@pytest.mark.parametrize("frames", [3000, 5000, 2**40, 2**60])
def test_claim_of_an_ogg_is_not_believed(frames: int, tmp_path: Path) -> None:
    path = tmp_path / "claims.ogg"
    path.write_bytes(edges.ogg_claiming(frames))
    assert 3000 <= read(path).samples.shape[1] < 4500  # what is there, up to the end of the last block


def test_change_in_midstream_gives_the_first_format_or_an_error(tmp_path: Path) -> None:
    parts = [edges.coded("OGG", "VORBIS", edges.tone(20_000, 1), 16000), edges.coded("OGG", "VORBIS", None, 8000, 2)]
    path = tmp_path / "chained.ogg"
    path.write_bytes(b"".join(parts))
    try:
        audio = read(path)
    except MediaError:
        return
    assert audio.samples.shape[0] == 1
    assert torch.isfinite(audio.samples).all()


@pytest.mark.parametrize(
    "failure",
    [UnicodeDecodeError("utf-8", b"x", 0, 1, "no"), SyntaxError("no"), EOFError(), AssertionError(), KeyError()],
)
def test_any_exception_of_the_decoder_is_a_media_error(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(soundfile.SoundFile, "read", fail)
    with pytest.raises(MediaError, match=r"some\.wav"):
        decode(io.BytesIO(edges.coded("WAV", "PCM_16")), "some.wav")


def test_too_little_memory_is_a_resource_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(soundfile.SoundFile, "read", fail)
    with pytest.raises(ResourceError):
        decode(io.BytesIO(edges.coded("WAV", "PCM_16")), "some.wav")


@pytest.mark.parametrize(("given", "wanted"), [(2, 3), (3, 2), (3, 1), (6, 5), (64, 2), (1, 6)])
def test_channels_without_a_rule_are_refused_with_both_numbers(given: int, wanted: int, tmp_path: Path) -> None:
    path = tmp_path / "many.wav"
    path.write_bytes(edges.coded("WAV", "PCM_16", channels=given))
    with pytest.raises(MediaError, match=f"{given} channels given, {wanted} wanted"):
        read(path, channels=wanted)


def test_absurd_resampling_is_refused_with_both_rates(tmp_path: Path) -> None:
    path = tmp_path / "odd.wav"
    path.write_bytes(edges.coded("WAV", "PCM_16", rate=44101))
    with pytest.raises(MediaError, match="44101 Hz given, 47999 Hz wanted"):
        read(path, sample_rate=47999)


def test_mutated_files_never_do_harm() -> None:
    check_harmless("audio_mutants.py", 2000)


@pytest.mark.soak
def test_many_mutated_files_never_do_harm() -> None:
    check_mutants("audio_mutants.py", 20_000, 10_000, timeout=1200)


def quiet(frames: int = 30_000, rate: int = 16000) -> Audio:
    return Audio(torch.from_numpy(edges.tone(frames).T.copy()), rate, {"seed": 7})


FORMATS = ["wav", "flac", "ogg", "mp3"]


@pytest.mark.parametrize("ending", FORMATS)
def test_full_disk_leaves_nothing_and_keeps_the_old(ending: str, tmp_path: Path) -> None:
    def write_to(path: Path, overwrite: bool) -> None:
        write(quiet(), path, record={"seed": 7}, overwrite=overwrite)

    check_full_disk(write_to, tmp_path / f"whole.{ending}")


def test_no_space_left_is_a_resource_error(tmp_path: Path) -> None:
    with small_disk(tmp_path):
        write(quiet(200_000), tmp_path / "x.wav")


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_samples_that_are_not_finite_are_never_written(ending: str, value: float, tmp_path: Path) -> None:
    audio = quiet()
    audio.samples[0, 17] = value
    with pytest.raises(NumericError, match="1 of 30000 samples"):
        audio.save(tmp_path / f"x.{ending}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "audio"),
    [
        ("x.txt", quiet()),
        ("x", quiet()),
        ("x.mp3", quiet(rate=9000)),
        ("x.mp3", Audio(torch.zeros(3, 10), 16000)),
        ("x.flac", Audio(torch.zeros(9, 10), 16000)),
        ("x.wav", Audio(torch.zeros(1, 0), 16000)),
        ("x.wav", Audio(torch.zeros(10), 16000)),
        ("x.wav", Audio(torch.zeros(1, 10, dtype=torch.int16), 16000)),
        ("x.wav", Audio(torch.zeros(1, 10), 0)),
        ("x.ogg", Audio(torch.zeros(1, 10), 200_001)),
        ("x.flac", Audio(torch.zeros(1, 10), 65_536)),
    ],
)
def test_what_a_format_cannot_hold_is_refused(name: str, audio: Audio, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        audio.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("record", [{"x": object()}, {"x": float("nan")}, {"x": "y" * 2**21}])
def test_a_record_that_cannot_be_kept_is_refused(record: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        write(quiet(), tmp_path / "x.wav", record=record)
    assert list(tmp_path.iterdir()) == []


def test_damaged_record_is_no_record(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    quiet().save(path)
    path.write_bytes(path.read_bytes().replace(b'{"seed":7}', b'{"seed":7]'))
    assert read(path).record is None
    assert read_record(path) is None


def test_races_for_one_name_end_with_one_whole_file(tmp_path: Path) -> None:
    answer = run_script("writer_races.py", "audio", tmp_path)
    print(f"8 processes, one output: tried {answer['tried']} / failed {answer['failed']}")
    assert answer["failed"] == 0, answer


def test_killed_writers_leave_no_torn_file(tmp_path: Path) -> None:
    answer = run_script("writer_kills.py", "audio", tmp_path, 20)
    print(f"killed writers: tried {answer['tried']} / failed {answer['failed']}")
    assert answer["failed"] == 0, answer


@pytest.mark.soak
def test_an_hour_of_stereo_ogg(tmp_path: Path) -> None:
    hour = Audio(torch.from_numpy(edges.tone(16000 * 60, 2).T.copy()).repeat(1, 60), 16000)
    hour.save(tmp_path / "hour.ogg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(tmp_path / "hour.ogg", max_seconds=3601).samples.shape == hour.samples.shape
