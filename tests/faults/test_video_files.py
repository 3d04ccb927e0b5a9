"""Films that are broken, hostile or strange: each is refused with a named error, quickly and in little memory."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch
from noiseform.core.errors import ConfigError, MediaError, NumericError, ResourceError
from noiseform.modalities.audio.clip import Audio
from noiseform.modalities.video import decoding
from noiseform.modalities.video.film import Video
from noiseform.modalities.video.gif import insert_comment
from noiseform.modalities.video.reading import read, read_record
from noiseform.modalities.video.writing import write

sys.path.insert(0, str(Path(__file__).parent))
import audio_edges
import video_edges as edges  # the scripts beside this file are run by themselves too
from media_faults import check_full_disk, check_harmless, check_mutants, check_refused, run_script, small_disk


@pytest.mark.parametrize(("row", "name", "make"), edges.REFUSED, ids=[name for _, name, _ in edges.REFUSED])
def test_bad_file_is_refused(row: int, name: str, make: Callable[[], bytes], tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(make())
    check_refused(read, path)


def test_edge_files_take_little_memory(tmp_path: Path) -> None:
    answer = run_script("edge_memory.py", "video", tmp_path)
    print(f"edge films: tried {answer['tried']} / failed {answer['failed']}, worst {answer['worst']}")
    assert answer["failed"] == 0, answer


@pytest.mark.parametrize("name", ["mp4", "early", "webm", "gif"])
def test_a_file_cut_anywhere_is_refused(name: str, tmp_path: Path) -> None:
    whole = getattr(edges, name)()
    path = tmp_path / "x"
    tried = [*range(1, len(whole), max(1, len(whole) // 40)), *range(len(whole) - 5, len(whole))]
    for length in tried:
        path.write_bytes(whole[:length])
        with pytest.raises(MediaError):
            read(path)
    path.write_bytes(whole)
    assert len(read(path).frames) > 5
    print(f"cut {name} files: tried {len(tried)} / failed 0")


def test_no_file_leads_to_another(tmp_path: Path) -> None:
    trap = tmp_path / "trap.mp4"
    os.mkfifo(trap)  # who opens it waits for ever
    address = os.fsencode(f"file://{trap}")
    for data in (edges.elsewhere(address), edges.elsewhere(b"trap.mp4"), edges.elsewhere(b"http://127.0.0.1:9/x.mp4")):
        (tmp_path / "x.mp4").write_bytes(data)
        assert len(read(tmp_path / "x.mp4").frames) == 8  # the pictures are in the file after all
    for data in (edges.PLAYLIST.replace(b"file:///etc/passwd", address), b"ffconcat version 1.0\nfile trap.mp4\n"):
        (tmp_path / "x.mp4").write_bytes(data)
        with pytest.raises(MediaError, match="a playlist is not read"):
            read(tmp_path / "x.mp4")
    with pytest.raises(MediaError, match="wants to read file:///x, another file; make the film whole"):
        decoding._refuse("file:///x", 0, {})


@pytest.mark.parametrize("ending", ["mp4", "webm", "gif"])
def test_limits_hold_while_frames_are_decoded(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    path.write_bytes(getattr(edges, ending)())
    assert len(read(path).frames) >= 6
    for limit, why in (
        ({"max_pixels": 24 * 32 - 1}, "expected 1 to 767 pixels"),
        ({"max_seconds": 0.3}, "s are read|more than 0.3 s"),
        ({"max_values": 3 * 24 * 32 * 5}, "more than 11520 values"),
    ):
        with pytest.raises(MediaError, match=why):
            read(path, **limit)


def test_strange_things_are_refused(tmp_path: Path) -> None:
    for path in audio_edges.place_strange_things(tmp_path, "mp4"):
        started = time.process_time()
        with pytest.raises(MediaError):
            read(path)
        with pytest.raises(MediaError):
            read_record(path)
        assert time.process_time() - started < 2


@pytest.mark.parametrize("name", [b"line\nbreak.mp4", b"\xff\xfe.mp4", b"\x1b[31mred.mp4", "\u202e4pm.exe".encode()])
def test_strange_names_are_escaped_in_messages(name: bytes, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
    path.write_bytes(edges.mp4())
    assert len(read(path).frames) == 8
    path.write_bytes(b"no film at all")
    with pytest.raises(MediaError) as caught:
        read(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", [b"line\nbreak.mp4", b"\xff\xfe.webm", b"a:b.gif", "\u202eé.mp4".encode()])
def test_films_are_written_under_strange_names(name: bytes, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
    Video(noise().frames, 8.0).save(path)
    assert len(read(path).frames) == 4


def test_content_decides_not_the_ending(tmp_path: Path) -> None:
    path = tmp_path / "webm-inside.mp4"
    path.write_bytes(edges.webm())
    assert len(read(path).frames) == 8


@pytest.mark.parametrize(
    "failure",
    [UnicodeDecodeError("utf-8", b"x", 0, 1, "no"), SyntaxError("no"), EOFError(), IndexError(), KeyError(), OSError()],
)
def test_any_exception_of_the_decoder_is_a_media_error(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    (tmp_path / "some.mp4").write_bytes(edges.mp4())
    monkeypatch.setattr(decoding, "rgb", fail)
    with pytest.raises(MediaError, match=r"some\.mp4"):
        read(tmp_path / "some.mp4")


def test_too_little_memory_is_a_resource_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    (tmp_path / "some.mp4").write_bytes(edges.mp4())
    monkeypatch.setattr(decoding, "rgb", fail)
    with pytest.raises(ResourceError):
        read(tmp_path / "some.mp4")


def test_high_dynamic_range_is_refused(tmp_path: Path) -> None:
    frame = av.VideoFrame(16, 16, "yuv420p10le")
    frame.color_trc = 16
    with pytest.raises(MediaError, match=r"PQ \(high dynamic range\) given; convert it"):
        decoding.rgb(frame, decoding.VideoReformatter())


def test_folders_of_bad_frames_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.frames"
    write(Video(noise().frames, 8.0), path)
    first = (path / "frame-00000.png").read_bytes()
    for name, data, why in (
        ("frame-00002.png", b"", "empty file"),
        ("frame-00002.png", first[:-30], "cut short"),
        ("frame-00002.png", b"GIF89a", "no PNG file"),
        ("frame-00000.png", first.replace(b"Frame rate\x008", b"Frame rate\x000"), "damaged|frames per second"),
    ):
        (path / name).write_bytes(data)
        with pytest.raises(MediaError, match=why):
            read(path)
        write(Video(noise().frames, 8.0), path, overwrite=True)
    write(Video(torch.zeros(1, 3, 8, 8), 8.0), tmp_path / "small.frames")
    (path / "frame-00001.png").write_bytes((tmp_path / "small.frames" / "frame-00000.png").read_bytes())
    with pytest.raises(MediaError, match=r"8 x 8 pixels, the first frame 32 x 24; make them one size"):
        read(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match="holds no PNG files"):
        read(tmp_path / "empty")


def test_mutated_files_never_do_harm() -> None:
    check_harmless("video_mutants.py", 400)


@pytest.mark.soak
def test_many_mutated_files_never_do_harm() -> None:
    check_mutants("video_mutants.py", 20_000, 10_000, timeout=1200)


def noise(count: int = 4, height: int = 24, width: int = 32) -> Video:
    frames = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))
    return Video(frames, 8.0, Audio(torch.zeros(1, 4000), 8000), {"seed": 7})


FORMATS = ["mp4", "webm", "gif", "frames"]


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.filterwarnings("ignore:.*holds no sound")
def test_full_disk_leaves_nothing_and_keeps_the_old(ending: str, tmp_path: Path) -> None:
    def write_to(path: Path, overwrite: bool) -> None:
        write(noise(), path, record={"seed": 7}, overwrite=overwrite)

    check_full_disk(write_to, tmp_path / f"whole.{ending}", shares=10)


def test_no_space_left_is_a_resource_error(tmp_path: Path) -> None:
    with small_disk(tmp_path):
        noise(8, 200, 200).save(tmp_path / "x.mp4")


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_never_written(ending: str, value: float, tmp_path: Path) -> None:
    film = noise()
    film.frames[1, 0, 17, 3] = value
    with pytest.raises(NumericError, match="1 of 9216 values"):
        film.save(tmp_path / f"x.{ending}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "film",
    [
        Video(torch.zeros(0, 3, 8, 8), 8.0),
        Video(torch.zeros(3, 8, 8), 8.0),
        Video(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), 8.0),
        Video(torch.zeros(2, 4, 8, 8), 8.0),
        Video(torch.zeros(2, 3, 8, 7), 8.0),
        Video(torch.zeros(2, 3, 8, 8), 0.0),
        Video(torch.zeros(2, 3, 8, 8), float("nan")),
        Video(torch.zeros(2, 3, 8, 8), 1e9),
        Video(torch.zeros(2, 3, 8, 8), 8.0, Audio(torch.zeros(0), 8000)),
        Video(torch.zeros(2, 3, 8, 8), 8.0, Audio(torch.zeros(6, 100), 8000)),
        Video(torch.zeros(2, 3, 8, 8), 8.0, Audio(torch.zeros(1, 100), 0)),
        Video(torch.zeros(2, 3, 8, 8), 8.0, Audio(torch.full((1, 100), float("nan")), 8000)),
    ],
)
def test_what_is_no_film_is_refused(film: Video, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, NumericError)):
        film.save(tmp_path / "x.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("record", [{"x": object()}, {"x": float("nan")}, {"x": "y" * 2**21}])
def test_a_record_that_cannot_be_kept_is_refused(ending: str, record: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        write(noise(), tmp_path / f"x.{ending}", record=record)
    assert list(tmp_path.iterdir()) == []


def test_foreign_and_damaged_records_are_no_records(tmp_path: Path) -> None:
    data = io.BytesIO(edges.gif())
    insert_comment(data, "noiseform [1]")
    (tmp_path / "x.gif").write_bytes(data.getvalue())
    assert read(tmp_path / "x.gif").record is None
    noise().save(tmp_path / "x.mp4")
    assert read_record(tmp_path / "x.mp4") == {"seed": 7}
    (tmp_path / "x.mp4").write_bytes((tmp_path / "x.mp4").read_bytes().replace(b'{"seed":7}', b'{"seed":\xff]'))
    assert read_record(tmp_path / "x.mp4") is None


def test_rates_near_the_bounds(tmp_path: Path) -> None:
    for fps in (0.1, 240.0, 1.5):
        Video(noise().frames, fps).save(tmp_path / "x.mp4", overwrite=True)
        assert Fraction(read(tmp_path / "x.mp4").fps).limit_denominator(1001) == Fraction(fps).limit_denominator(1001)


def test_killed_writers_leave_no_torn_file(tmp_path: Path) -> None:
    answer = run_script("writer_kills.py", "video", tmp_path, 8)
    print(f"killed writers of films: tried {answer['tried']} / failed {answer['failed']}")
    assert answer["failed"] == 0, answer


@pytest.mark.soak
def test_races_for_one_name_end_with_one_whole_file(tmp_path: Path) -> None:
    answer = run_script("writer_races.py", "video", tmp_path, timeout=1200)
    print(f"8 processes, one film: tried {answer['tried']} / failed {answer['failed']}")
    assert answer["failed"] == 0, answer
