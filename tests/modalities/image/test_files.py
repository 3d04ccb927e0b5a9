"""Round trips through the formats of pictures: the pixels, the record, and the same bytes each time."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from noiseform.core.errors import ConfigError
from noiseform.modalities.image.picture import Image
from noiseform.modalities.image.reading import read, read_record
from noiseform.modalities.image.writing import check_format, write
from PIL import Image as PillowImage
from PIL import PngImagePlugin

FORMATS = ["png", "jpg", "jpeg", "webp"]
LOSSLESS = ["png", "webp"]
HOLDS = [("png", 1), ("png", 3), ("png", 4), ("webp", 3), ("webp", 4)]

RECORD = {
    "prompt": "Grüße, \"quoted\", 'single', back\\slash, tab\t, line\nbreak, \u2028, 音, 🎵, <b>&amp;</b>, \x1b[31m",
    "numbers": [0, -1, 2**53, 1e-300, 0.1, True, None],
    "nested": {"": {"a": []}},
    "long": "".join(chr(33 + (i * i) % 94) for i in range(200_000)),
}


def drawn(channels: int = 3, height: int = 21, width: int = 34) -> Image:
    """Return a smooth picture."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    planes = [y, x, (x + y) / 2, 1 - x * y]
    return Image(torch.stack(planes[:channels]), {"seed": 7})


@pytest.mark.parametrize(("ending", "channels"), HOLDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (64, 48)])
def test_lossless_formats_keep_values_to_half_a_step(
    ending: str, channels: int, size: tuple[int, int], tmp_path: Path
) -> None:
    picture = drawn(channels, *size)
    path = tmp_path / f"x.{ending}"
    picture.save(path)
    back = read(path, channels=channels)  # WebP keeps no alpha where all is opaque
    assert back.pixels.dtype == torch.float32
    torch.testing.assert_close(back.pixels, picture.pixels, atol=0.5 / 255 + 1e-6, rtol=0)


@pytest.mark.parametrize(("ending", "channels"), HOLDS)
def test_eight_bit_values_survive_any_number_of_round_trips(ending: str, channels: int, tmp_path: Path) -> None:
    values = torch.arange(256 * channels).remainder(256).reshape(channels, 16, 16)
    Image(values.float() / 255).save(tmp_path / f"a.{ending}")
    first = read(tmp_path / f"a.{ending}")
    assert torch.equal((first.pixels * 255).round().long(), values)  # under alpha 0 too
    first.save(tmp_path / f"b.{ending}")
    assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


def test_values_are_rounded_and_held_to_the_range(tmp_path: Path) -> None:
    Image(torch.tensor([-3.0, 0.0, 0.5 / 255, 1.5 / 255, 2.5 / 255, 0.9999, 1.7]).reshape(1, 1, 7)).save(
        tmp_path / "x.png"
    )
    assert (read(tmp_path / "x.png").pixels * 255).round().int().flatten().tolist() == [0, 0, 0, 2, 2, 255, 255]


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_near(channels: int, tmp_path: Path) -> None:
    picture = drawn(channels)
    picture.save(tmp_path / "x.jpg")
    torch.testing.assert_close(read(tmp_path / "x.jpg").pixels, picture.pixels, atol=0.03, rtol=0)


def test_grey_in_webp_comes_back_as_rgb(tmp_path: Path) -> None:
    drawn(1).save(tmp_path / "x.webp")
    assert read(tmp_path / "x.webp").channels == 3
    torch.testing.assert_close(
        read(tmp_path / "x.webp", channels=1).pixels, drawn(1).pixels, atol=0.5 / 255 + 1e-6, rtol=0
    )


@pytest.mark.parametrize("ending", FORMATS)
def test_record_comes_back_as_it_was(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    write(drawn(), path, record=RECORD)
    assert read(path).record == RECORD
    assert read_record(path) == RECORD
    with PillowImage.open(path) as image:  # which others can read too
        image.load()
        assert image.size == (34, 21)


@pytest.mark.parametrize("ending", FORMATS)
def test_record_can_be_left_out(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    drawn().save(path, record=False)
    assert read(path).record is None
    assert read_record(path) is None
    assert b"noiseform" not in path.read_bytes()


@pytest.mark.parametrize("ending", FORMATS)
def test_comment_of_others_is_no_record(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "made elsewhere")
    exif = PillowImage.Exif()
    exif[0x010E] = "made elsewhere"
    PillowImage.new("RGB", (8, 8)).save(path, pnginfo=text, comment=b"made elsewhere", exif=exif)
    assert read_record(path) is None
    assert read(path).record is None


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_same_picture_gives_the_same_bytes_each_time(ending: str, tmp_path: Path) -> None:
    digests = set()
    for number in range(20):
        path = tmp_path / f"{number}.{ending}"
        write(drawn(), path, record=RECORD)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    print(f"repeated writing, {ending}: tried 20 / failed {len(digests) - 1}")
    assert len(digests) == 1


SCRIPT = """
import sys, torch
from noiseform.modalities.image.picture import Image
for ending in ("png", "jpg", "webp"):
    Image((torch.arange(3000) % 200 / 200).reshape(3, 20, 50), {"a": 1}).save(f"{sys.argv[1]}.{ending}")
"""


def test_another_process_gives_the_same_bytes(tmp_path: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path / "there")], check=True, env=environment)
    for ending in ("png", "jpg", "webp"):
        here = tmp_path / f"here.{ending}"
        Image((torch.arange(3000) % 200 / 200).reshape(3, 20, 50), {"a": 1}).save(here)
        assert here.read_bytes() == (tmp_path / f"there.{ending}").read_bytes()


def test_existing_file_is_kept_unless_overwriting_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    drawn(height=5).save(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="exists"):
        drawn(height=9).save(path)
    assert path.read_bytes() == before
    drawn(height=9).save(path, overwrite=True)
    assert read(path).height == 9


@pytest.mark.parametrize(
    ("name", "shape", "why"),
    [
        ("x.gif", (3, 8, 8), "end the name in .png, .jpg, .jpeg or .webp"),
        ("x", (3, 8, 8), "end the name in"),
        ("x.jpg", (4, 8, 8), "4 channels, jpeg holds no alpha; choose png or webp"),
        ("x.png", (2, 8, 8), "2 channels; pictures have 1 (grey), 3 (RGB) or 4 (RGBA)"),
        ("x.jpg", (1, 65_501, 1), "1 x 65501 pixels, jpeg holds 65500 a side; choose png"),
        ("x.webp", (3, 1, 16_384), "16384 x 1 pixels, webp holds 16383 a side; choose png"),
    ],
)
def test_what_a_format_cannot_hold_is_told_before_anything_is_made(
    name: str, shape: tuple[int, int, int], why: str, tmp_path: Path
) -> None:
    for attempt in (lambda path: check_format(path, *shape), Image(torch.zeros(shape)).save):
        with pytest.raises(ConfigError) as caught:
            attempt(tmp_path / name)
        assert why in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_largest_sides_can_be_written(tmp_path: Path) -> None:
    for name, shape in (("x.jpg", (1, 65_500, 1)), ("x.webp", (3, 1, 16_383)), ("x.png", (1, 1, 70_000))):
        Image(torch.zeros(shape)).save(tmp_path / name)
        assert read(tmp_path / name).pixels.shape == shape


LARGE = r"""
import re
import torch
from noiseform.modalities.image.modality import ImageModality
from noiseform.modalities.image.picture import Image

# The peak that getrusage tells is that of the program before, if it was larger.
resident = lambda: int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])
modality, picture = ImageModality(), Image(torch.linspace(0, 1, 2400).expand(3, 2000, 2400).contiguous())
modality.write(Image(torch.zeros(3, 8, 8)), "small.png", record=False, overwrite=True)
before = resident()
assert modality.warnings(picture) == []
modality.write(picture, "large.png", record=False, overwrite=True)
print((resident() - before) * 1024 / picture.pixels.nbytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_a_large_picture_is_written_without_a_second_one_in_floats(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", LARGE], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 1.7  # a plane in floats, three copies in 8 bits, the file


def test_picture_shows_itself_in_a_notebook() -> None:
    picture = drawn()
    assert repr(picture) == "Image(3 x 21 x 34)"
    bundle = picture._repr_mimebundle_()
    assert bundle["text/plain"] == repr(picture)
    assert base64.b64decode(bundle["image/png"]) == picture._repr_png_()
    assert b"noiseform" not in picture._repr_png_()
    for size, shown in ((28, 84), (8, 96), (100, 100)):
        with PillowImage.open(io.BytesIO(drawn(4, size, size)._repr_png_() or b"")) as image:
            assert (image.size, image.mode) == ((shown, shown), "RGBA")
    for pixels in (torch.full((3, 4, 4), float("nan")), torch.zeros(2, 4, 4), torch.zeros(3, 0, 4), torch.zeros(4)):
        assert Image(pixels)._repr_png_() is None
        assert list(Image(pixels)._repr_mimebundle_()) == ["text/plain"]


def test_names_of_the_package_are_functions_each_time() -> None:
    from noiseform import image

    for _ in range(2):
        assert callable(image.read)
        assert callable(image.write)
        assert callable(image.read_record)
    assert image.Image is Image
    with pytest.raises(AttributeError, match="no attribute 'wriet'"):
        image.wriet  # noqa: B018
