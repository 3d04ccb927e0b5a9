"""Pictures that are broken, hostile or strange: each is refused with a named error, quickly and in little memory."""

from __future__ import annotations

import io
import os
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from noiseform.core.errors import ConfigError, MediaError, NumericError, ResourceError
from noiseform.modalities.image.picture import Image
from noiseform.modalities.image.reading import PIXEL_LIMIT, decode, read, read_record
from noiseform.modalities.image.writing import write
from PIL import ImageFile, PngImagePlugin

sys.path.insert(0, str(Path(__file__).parent))
import audio_edges
import image_edges as edges  # the scripts beside this file are run by themselves too
from media_faults import check_full_disk, check_harmless, check_mutants, check_refused, run_script, small_disk


@pytest.mark.parametrize(("row", "name", "make"), edges.REFUSED, ids=[name for _, name, _ in edges.REFUSED])
def test_bad_file_is_refused(row: int, name: str, make: Callable[[], bytes], tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(make())
    check_refused(read, path)


def test_edge_files_take_little_memory(tmp_path: Path) -> None:
    answer = run_script("edge_memory.py", "image", tmp_path)
    print(f"edge pictures: tried {answer['tried']} / failed {answer['failed']}, worst {answer['worst']}")
    assert answer["failed"] == 0, answer


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("options", [{}, {"progressive": True, "interlace": True, "lossless": True}])
def test_a_file_cut_anywhere_is_refused(kind: str, options: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as other libraries have it
    whole = edges.coded(kind, **options)
    decode(io.BytesIO(whole), "whole")
    tried = range(0, len(whole), max(1, len(whole) // 400))
    for length in (*tried, *range(len(whole) - 20, len(whole))):
        with pytest.raises(MediaError):
            decode(io.BytesIO(whole[:length]), "cut")
    print(f"cut {kind} files: tried {len(tried) + 20} / failed 0")


def test_any_flipped_bit_of_a_png_is_found_or_harmless() -> None:
    whole = edges.png(edges.header(8, 8), edges.PIXELS, edges.END)
    for bit in range(8 * len(whole)):
        body = bytearray(whole)
        body[bit // 8] ^= 1 << bit % 8
        try:
            image, _ = decode(io.BytesIO(bytes(body)), "flipped")
        except MediaError:
            continue
        assert image.size == (8, 8)
        assert image.getextrema() == (0, 0)


def test_the_limit_of_pixels_is_ours() -> None:
    sides = (8192, PIXEL_LIMIT // 8192)
    image, _ = decode(io.BytesIO(edges.bomb(8192)), "large")
    assert image.size == sides
    with pytest.raises(MediaError, match="40 x 30 pixels, expected 1 to 1199"):
        decode(io.BytesIO(edges.coded("PNG")), "small", max_pixels=1199)


HARMLESS = {
    "texts of 100 MB": lambda: edges.chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**8), 9)),
    "a profile of 100 MB": lambda: edges.chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(10**8), 9)),
    "a broken profile": lambda: edges.chunk(b"iCCP", b"x\0\0nothing packed"),
    "an unknown chunk": lambda: edges.chunk(b"abCd", bytes(1000)),
    "a wrong sum of an unknown chunk": lambda: edges.chunk(b"abCd", bytes(1000), 1),
    "frames that are not there": lambda: edges.chunk(b"acTL", b"\xff\xff\xff\xff\0\0\0\0"),
    "a text that is no text": lambda: edges.chunk(b"iTXt", b"Comment\0\0\0\0\0\xff\xfe"),
    "nonsense as EXIF": lambda: edges.chunk(b"eXIf", bytes(range(256))),
    "a foreign comment": lambda: edges.chunk(b"tEXt", b"Comment\0noiseform [1]"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_stands_beside_the_pixels_does_no_harm(name: str) -> None:
    data = edges.png(edges.header(8, 8), HARMLESS[name](), edges.PIXELS, edges.END) + b"and more behind the end"
    started = time.process_time()
    image, comment = decode(io.BytesIO(data), "x")
    assert time.process_time() - started < 1
    assert image.size == (8, 8)
    assert "noiseform {" not in comment


def test_strange_things_are_refused(tmp_path: Path) -> None:
    for path in audio_edges.place_strange_things(tmp_path, "png"):
        started = time.process_time()
        with pytest.raises(MediaError):
            read(path)
        with pytest.raises(MediaError):
            read_record(path)
        assert time.process_time() - started < 2


def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(edges.coded("PNG"))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(MediaError, match="permission"):
        read(path)


@pytest.mark.parametrize("name", [b"line\nbreak.png", b"\xff\xfe.png", b"\x1b[31mred.png", "\u202egnp.exe".encode()])
def test_strange_names_are_escaped_in_messages(name: bytes, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
    path.write_bytes(edges.coded("PNG"))
    assert read(path).pixels.shape == (3, 30, 40)
    path.write_bytes(b"no picture at all")
    with pytest.raises(MediaError) as caught:
        read(path)
    assert str(caught.value).isprintable()


def test_content_decides_not_the_ending(tmp_path: Path) -> None:
    path = tmp_path / "webp-inside.jpg"
    path.write_bytes(edges.coded("WEBP"))
    assert read(path).pixels.shape == (3, 30, 40)


@pytest.mark.parametrize(
    "failure",
    [
        UnicodeDecodeError("utf-8", b"x", 0, 1, "no"),
        SyntaxError("no"),
        EOFError(),
        AssertionError(),
        KeyError(),
        OSError(),
    ],
)
def test_any_exception_of_the_decoder_is_a_media_error(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(MediaError, match=r"some\.png"):
        decode(io.BytesIO(edges.coded("PNG")), "some.png")


def test_too_little_memory_is_a_resource_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(ResourceError):
        decode(io.BytesIO(edges.coded("PNG")), "some.png")


def test_mutated_files_never_do_harm() -> None:
    check_harmless("image_mutants.py", 2000)


@pytest.mark.soak
def test_many_mutated_files_never_do_harm() -> None:
    check_mutants("image_mutants.py", 20_000, 10_000, timeout=1200)


def noise(channels: int = 3, height: int = 60, width: int = 80) -> Image:
    return Image(torch.rand(channels, height, width, generator=torch.Generator().manual_seed(0)), {"seed": 7})


FORMATS = ["png", "jpg", "webp"]


@pytest.mark.parametrize("ending", FORMATS)
def test_full_disk_leaves_nothing_and_keeps_the_old(ending: str, tmp_path: Path) -> None:
    def write_to(path: Path, overwrite: bool) -> None:
        write(noise(), path, record={"seed": 7}, overwrite=overwrite)

    check_full_disk(write_to, tmp_path / f"whole.{ending}")


def test_no_space_left_is_a_resource_error(tmp_path: Path) -> None:
    with small_disk(tmp_path):
        write(noise(3, 200, 200), tmp_path / "x.png")


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_never_written(ending: str, value: float, tmp_path: Path) -> None:
    picture = noise()
    picture.pixels[0, 17, 3] = value
    with pytest.raises(NumericError, match="1 of 14400 values"):
        picture.save(tmp_path / f"x.{ending}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "pixels",
    [
        torch.zeros(3, 0, 4),
        torch.zeros(8, 8),
        torch.zeros(3, 8, 8, dtype=torch.uint8),
        torch.zeros(5, 8, 8),
        torch.zeros(0),
    ],
)
def test_what_is_no_picture_is_refused(pixels: torch.Tensor, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        Image(pixels).save(tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("record", [{"x": object()}, {"x": float("nan")}, {"x": "y" * 2**21}])
def test_a_record_that_cannot_be_kept_is_refused(ending: str, record: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        write(noise(), tmp_path / f"x.{ending}", record=record)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["jpg", "webp"])  # a PNG file has sums, and is damaged as a whole
def test_damaged_record_is_no_record(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    noise().save(path)
    path.write_bytes(path.read_bytes().replace(b'{"seed":7}', b'{"seed":7]'))
    assert read(path).record is None
    assert read_record(path) is None


def test_races_for_one_name_end_with_one_whole_file(tmp_path: Path) -> None:
    answer = run_script("writer_races.py", "image", tmp_path)
    print(f"8 processes, one picture: tried {answer['tried']} / failed {answer['failed']}")
    assert answer["failed"] == 0, answer


def test_killed_writers_leave_no_torn_file(tmp_path: Path) -> None:
    answer = run_script("writer_kills.py", "image", tmp_path, 20)
    print(f"killed writers of pictures: tried {answer['tried']} / failed {answer['failed']}")
    assert answer["failed"] == 0, answer
