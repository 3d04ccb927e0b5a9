"""Reads mutated pictures and prints one JSON line of what happened; run by test_image_files."""

from __future__ import annotations

import io
import zlib

import torch
from image_edges import coded, drawn
from mutation import report
from noiseform.core.errors import MediaError
from noiseform.modalities.image.geometry import Geometry
from noiseform.modalities.image.reading import decode
from PIL import Image, ImageCms


def originals() -> list[tuple[str, bytes]]:
    """Return good files of many kinds."""
    image, exif = drawn(), Image.Exif()
    exif[0x0112], exif[0x010E] = 6, 'noiseform {"a":1}'
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace(b"rXYZ", b"----", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"----", b"gXYZ", 1)
    faint = image.convert("RGBA")
    faint.putalpha(image.getchannel("R"))
    palette = image.quantize(40)
    palette.info["transparency"] = bytes(range(40))
    wide = Image.fromarray((torch.arange(1200).reshape(30, 40) * 54).to(torch.uint16).numpy())
    plain = {"exif": exif, "icc_profile": profile}
    frames = {"save_all": True, "append_images": [faint.transpose(Image.Transpose.ROTATE_180)]}
    return [
        ("a.png", coded("PNG", image, **plain)),
        ("b.png", coded("PNG", palette)),
        ("c.png", coded("PNG", wide)),
        ("d.png", coded("PNG", faint, **frames)),
        ("e.jpg", coded("JPEG", image, **plain, comment='noiseform {"a":1}')),
        ("f.jpg", coded("JPEG", image, progressive=True, restart_marker_rows=1)),
        ("g.jpg", coded("JPEG", image.convert("CMYK"))),
        ("h.jpg", coded("JPEG", image.convert("L"))),
        ("i.webp", coded("WEBP", faint, lossless=True, **plain)),
        ("j.webp", coded("WEBP", image)),
        ("k.webp", coded("WEBP", faint, **frames)),
    ]


def repaired(data: bytes) -> bytes:
    """Return a damaged PNG file with the sums of its chunks put right, so that the damage gets past them."""
    pieces, place = [data[:8]], 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4])
        body = data[place + 4 : place + 8 + length]
        pieces += [data[place : place + 4], body, zlib.crc32(body).to_bytes(4)]
        place += 12 + length
    return b"".join((*pieces, data[place:]))


SIZES = [Geometry(1, 8, 8), Geometry(3, 16, 12, fit="pad"), Geometry(4, 9, 9, fit="stretch", flip=True)]


def is_good(number: int, name: str, data: bytes) -> bool:
    """Read a picture, and bring it to a size in one of several ways; whether its values are in range."""
    if name.endswith(".png") and number % 4:
        data = repaired(data)
    image, comment = decode(io.BytesIO(data), name)
    geometry = SIZES[number % len(SIZES)]
    try:
        item = geometry.item(geometry.fitted(image), 0.5)
    except MediaError as error:  # absurdly long and narrow now
        raise MediaError(f"{name}: {error}") from error
    good = item.shape == (geometry.channels, geometry.height, geometry.width) and isinstance(comment, str)
    return good and bool(torch.isfinite(item).all()) and 0 <= float(item.min()) <= float(item.max()) <= 1


if __name__ == "__main__":
    report(originals(), is_good)
