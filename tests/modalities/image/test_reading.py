"""Every kind of pixels that a file may hold becomes grey, RGB or RGBA as documented."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from noiseform.modalities.image import colour
from noiseform.modalities.image.reading import decode, read
from PIL import Image as PillowImage
from PIL import ImageCms, ImageFile, ImageOps

LEFT, RIGHT = (200, 100, 50), (0, 0, 255)


def pair(mode: str) -> PillowImage.Image:
    """Return a picture of two pixels, one of each colour."""
    image = PillowImage.new("RGB", (2, 1), LEFT)
    image.putpixel((1, 0), RIGHT)
    return image.convert(mode)


def coded(image: PillowImage.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def values(data: bytes, channels: int | None = None, **options: str) -> list[tuple[int, ...]]:
    """Return the pixels of a file, row by row, as whole numbers."""
    path = Path(values.folder, "x")  # type: ignore[attr-defined]
    path.write_bytes(data)
    pixels = read(path, channels=channels, **options).pixels  # type: ignore[arg-type]
    return [tuple(pixel) for pixel in (pixels * 255).round().int().flatten(1).T.tolist()]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    values.folder = tmp_path  # type: ignore[attr-defined]


def png(depth: int, kind: int, row: bytes, *chunks: tuple[bytes, bytes], width: int = 2) -> bytes:
    """Return a PNG file of one row, made by hand."""
    header = struct.pack(">IIBBBBB", width, 1, depth, kind, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    whole = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


def palette(*alphas: int) -> list[tuple[bytes, bytes]]:
    chunks = [(b"PLTE", bytes((*LEFT, *RIGHT)))]
    return [*chunks, (b"tRNS", bytes(alphas))] if alphas else chunks


def key(*numbers: int) -> tuple[bytes, bytes]:
    """Return the chunk that makes one colour transparent."""
    return b"tRNS", struct.pack(f">{len(numbers)}H", *numbers)


TABLE: dict[str, tuple[Callable[[], bytes], list[tuple[int, ...]]]] = {
    "grey 1 bit": (lambda: png(1, 0, b"\x40"), [(0,), (255,)]),
    "grey 2 bits": (lambda: png(2, 0, b"\x60"), [(85,), (170,)]),
    "grey 4 bits": (lambda: png(4, 0, b"\x1e"), [(17,), (238,)]),
    "grey 8 bits": (lambda: png(8, 0, b"\x07\xf0"), [(7,), (240,)]),
    "grey 16 bits": (lambda: png(16, 0, b"\x07\xff\xf0\x00"), [(7,), (240,)]),
    "rgb 8 bits": (lambda: png(8, 2, bytes((*LEFT, *RIGHT))), [LEFT, RIGHT]),
    "rgb 16 bits": (lambda: png(16, 2, b"".join(bytes((v, 200)) for v in (*LEFT, *RIGHT))), [LEFT, RIGHT]),
    "palette 1 bit": (lambda: png(1, 3, b"\x40", *palette()), [LEFT, RIGHT]),
    "palette 8 bits": (lambda: png(8, 3, b"\0\1", *palette()), [LEFT, RIGHT]),
    "palette, one transparent": (lambda: png(8, 3, b"\0\1", *palette(0)), [(*LEFT, 0), (*RIGHT, 255)]),
    "palette, half transparent": (lambda: png(8, 3, b"\0\1", *palette(77, 255)), [(*LEFT, 77), (*RIGHT, 255)]),
    "grey with alpha": (lambda: png(8, 4, b"\x07\x80\xf0\xff"), [(7, 7, 7, 128), (240, 240, 240, 255)]),
    "grey with alpha, 16 bits": (
        lambda: png(16, 4, b"\x07\xff\x80\xff\xf0\0\xff\xff"),
        [(7, 7, 7, 128), (240, 240, 240, 255)],
    ),
    "rgba": (lambda: png(8, 6, bytes((*LEFT, 9, *RIGHT, 255))), [(*LEFT, 9), (*RIGHT, 255)]),
    "rgba 16 bits": (
        lambda: png(16, 6, b"".join(bytes((v, 3)) for v in (*LEFT, 9, *RIGHT, 255))),
        [(*LEFT, 9), (*RIGHT, 255)],
    ),
    "grey 1 bit, one transparent": (lambda: png(1, 0, b"\x40", key(1)), [(0, 0, 0, 255), (255, 255, 255, 0)]),
    "grey 4 bits, one transparent": (lambda: png(4, 0, b"\x1e", key(1)), [(17, 17, 17, 0), (238, 238, 238, 255)]),
    "grey 8 bits, one transparent": (lambda: png(8, 0, b"\x07\xf0", key(7)), [(7, 7, 7, 0), (240, 240, 240, 255)]),
    "grey 16 bits, one transparent": (lambda: png(16, 0, b"\7\xff\7\xfe", key(0x7FF)), [(7, 7, 7, 0), (7, 7, 7, 255)]),
    "rgb, one transparent": (
        lambda: png(8, 2, bytes((*LEFT, *RIGHT)), key(*LEFT)),
        [(*LEFT, 0), (*RIGHT, 255)],
    ),
    "rgb 16 bits, one transparent": (
        lambda: png(16, 2, b"".join(bytes((v, v)) for v in (*LEFT, *RIGHT)), key(*(v * 257 for v in LEFT))),
        [(*LEFT, 0), (*RIGHT, 255)],
    ),
    "webp": (lambda: coded(pair("RGB"), "WEBP", lossless=True), [LEFT, RIGHT]),
    "interlaced": (lambda: coded(pair("RGB"), "PNG", interlace=True), [LEFT, RIGHT]),
}


@pytest.mark.parametrize("kind", TABLE)
def test_every_kind_of_pixels_becomes_what_the_table_says(kind: str) -> None:
    make, expected = TABLE[kind]
    assert values(make()) == expected


@pytest.mark.parametrize(
    ("data", "channels", "options", "expected"),
    [
        (png(8, 0, b"\x07\xf0"), 3, {}, [(7, 7, 7), (240, 240, 240)]),
        (png(8, 0, b"\x07\xf0"), 4, {}, [(7, 7, 7, 255), (240, 240, 240, 255)]),
        (png(8, 2, bytes((*LEFT, *RIGHT))), 1, {}, [(124,), (29,)]),  # Rec. 601
        (png(8, 2, bytes((*LEFT, *RIGHT))), 4, {}, [(*LEFT, 255), (*RIGHT, 255)]),
        (png(8, 6, bytes((*LEFT, 0, *RIGHT, 51))), 3, {}, [(255, 255, 255), (204, 204, 255)]),
        (png(8, 6, bytes((*LEFT, 0, *RIGHT, 51))), 3, {"background": "black"}, [(0, 0, 0), (0, 0, 51)]),
        (png(8, 6, bytes((*LEFT, 0, *RIGHT, 255))), 1, {}, [(255,), (29,)]),
    ],
)
def test_channels_become_those_asked_for(
    data: bytes, channels: int, options: dict[str, str], expected: list[tuple[int, ...]]
) -> None:
    assert values(data, channels, **options) == expected


def near(given: list[tuple[int, ...]], expected: list[tuple[int, ...]], within: int) -> bool:
    return bool((np.array(given) - np.array(expected)).__abs__().max() <= within)


def test_jpeg_of_each_kind() -> None:
    ground = PillowImage.new("RGB", (16, 16), LEFT)
    assert near(values(coded(ground, "JPEG")), [LEFT] * 256, 3)
    assert near(values(coded(ground.convert("L"), "JPEG")), [(124,)] * 256, 2)
    assert near(values(coded(ground, "JPEG", progressive=True)), [LEFT] * 256, 3)
    assert near(values(coded(ground.convert("CMYK"), "JPEG")), [LEFT] * 256, 6)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("turn", range(10))
def test_orientation_is_applied(kind: str, turn: int) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)[:, :, 0] * 10
    whole = PillowImage.fromarray(pixels.repeat(16, 0).repeat(16, 1)).convert("RGB")
    exif = PillowImage.Exif()
    exif[0x0112] = turn
    data = coded(whole, kind, exif=exif)
    with PillowImage.open(io.BytesIO(data)) as opened:
        expected = ImageOps.exif_transpose(opened) if 1 <= turn <= 8 else opened
        size = expected.size
        wanted = [expected.convert("RGB").getpixel((x, y)) for y in range(size[1]) for x in range(size[0])]
    assert values(data) == wanted


def test_damaged_exif_is_passed_over() -> None:
    for block in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(40)):
        data = coded(PillowImage.new("RGB", (8, 8), LEFT), "JPEG", exif=block)
        assert near(values(data), [LEFT] * 64, 3)


def swapped_profile() -> bytes:
    """Return an sRGB profile in which red and green have changed places."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"----", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"----", b"gXYZ", 1)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_colour_profile_is_applied(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    data = coded(PillowImage.new("RGB", (16, 16), (255, 0, 0)), kind, icc_profile=swapped_profile(), **options)
    assert near(values(data), [(0, 255, 0)] * 256, 6)
    faint = coded(PillowImage.new("RGBA", (1, 1), (255, 0, 0, 77)), "PNG", icc_profile=swapped_profile())
    assert near(values(faint), [(0, 255, 0, 77)], 3)


def test_profile_that_is_srgb_changes_nothing() -> None:
    colours = torch.randint(0, 256, (3, 40, 40), generator=torch.Generator().manual_seed(0))
    image = PillowImage.fromarray(colours.permute(1, 2, 0).to(torch.uint8).numpy())
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert values(coded(image, "PNG", icc_profile=profile)) == [tuple(pixel) for pixel in colours.flatten(1).T.tolist()]


@pytest.mark.parametrize("profile", [b"no profile", b"", bytes(200), swapped_profile()[:200]])
def test_damaged_profile_is_passed_over(profile: bytes) -> None:
    assert values(coded(pair("RGB"), "PNG", icc_profile=profile)) == [LEFT, RIGHT]
    ground = PillowImage.new("RGB", (8, 8), LEFT).convert("CMYK")
    assert near(values(coded(ground, "JPEG", icc_profile=swapped_profile())), [LEFT] * 64, 6)
    assert values(coded(pair("L"), "PNG", icc_profile=swapped_profile())) == [(124,), (29,)]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_first_frame_of_an_animation_is_taken(kind: str) -> None:
    frames = [PillowImage.new("RGB", (16, 9), ground) for ground in (LEFT, RIGHT, (1, 2, 3))]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = coded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, **options)
    assert {pixel[:3] for pixel in values(data)} == {LEFT}


def test_further_pictures_in_a_jpeg_are_passed_over() -> None:
    first, second = (PillowImage.new("RGB", (16, 16), ground) for ground in (LEFT, RIGHT))
    assert near(values(coded(first, "MPO", save_all=True, append_images=[second])), [LEFT] * 256, 3)
    assert near(values(coded(first, "JPEG") + b"what a camera wrote behind it"), [LEFT] * 256, 3)


def test_settings_of_the_program_around_count_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(PillowImage, "MAX_IMAGE_PIXELS", 1)
    assert values(png(8, 0, b"\x07\xf0")) == [(7,), (240,)]
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True
    image, _ = decode(io.BytesIO(coded(pair("RGB"), "PNG")), "x")
    assert image.size == (2, 1)


def test_transforms_are_kept() -> None:
    before = colour._transform.cache_info().hits
    data = coded(PillowImage.new("RGB", (8, 8)), "PNG", icc_profile=swapped_profile())
    for _ in range(3):
        values(data)
    assert colour._transform.cache_info().hits >= before + 2
