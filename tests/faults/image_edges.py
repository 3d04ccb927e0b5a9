"""Hand-made pictures that nobody should trust, each with the row of the fault table that it stands for."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable

import numpy
from PIL import Image


def drawn(width: int = 40, height: int = 30) -> Image.Image:
    """Return a picture with some detail, in colour."""
    y, x = numpy.indices((height, width))
    planes = [(x * 7 + y * 3) % 256, (x * y) % 256, (x * 5 - y * 9) % 256]
    return Image.fromarray(numpy.stack(planes, -1).astype(numpy.uint8))


def coded(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    """Return a picture as the bytes of a file."""
    buffer = io.BytesIO()
    (drawn() if image is None else image).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, body: bytes, crc: int = 0) -> bytes:
    """Return a chunk of a PNG file; ``crc`` is mixed into its sum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body) ^ crc)


def header(width: int, height: int, depth: int = 8, colour: int = 0) -> bytes:
    """Return the header chunk of a PNG file."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


MAGIC, END = b"\x89PNG\r\n\x1a\n", chunk(b"IEND", b"")
ROWS = zlib.compress(bytes(8 * 9))
PIXELS = chunk(b"IDAT", ROWS)


def png(*parts: bytes) -> bytes:
    """Return a PNG file of these chunks."""
    return MAGIC + b"".join(parts)


def bomb(side: int) -> bytes:
    """Return a small PNG file of a huge black picture."""
    rows = zlib.compress(bytes((1 + -(-side // 8)) * side), 1)
    return png(header(side, side, 1), chunk(b"IDAT", rows), END)


def jpeg_claiming(width: int, height: int) -> bytes:
    """Return a JPEG file whose header claims this size."""
    data = bytearray(coded("JPEG"))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def jpeg_part(marker: int) -> bytes:
    """Return a segment of a JPEG file, with the pixels behind it where it begins a pass."""
    data = coded("JPEG")
    place = data.index(bytes((0xFF, marker)))
    end = len(data) - 2 if marker == 0xDA else place + 2 + int.from_bytes(data[place + 2 : place + 4])
    return data[place:end]


def jpeg_passes(count: int) -> bytes:
    """Return a JPEG file that goes over its pixels very often."""
    data = coded("JPEG", progressive=True)
    first = data.index(b"\xff\xda")
    second = data.index(b"\xff\xda", first + 2)
    return data[:second] + data[first:second] * count + data[second:]


def webp_claiming(width: int, height: int) -> bytes:
    """Return a WebP file whose canvas claims this size."""
    frame = coded("WEBP", lossless=True)[12:]
    canvas = (
        b"VP8X"
        + struct.pack("<I", 10)
        + bytes(4)
        + (width - 1).to_bytes(3, "little")
        + (height - 1).to_bytes(3, "little")
    )
    return b"RIFF" + struct.pack("<I", 4 + len(canvas) + len(frame)) + b"WEBP" + canvas + frame


NOISE = random.Random(0).randbytes(5000)

REFUSED: list[tuple[int, str, Callable[[], bytes]]] = [
    (1, "empty.png", bytes),
    (1, "empty.jpg", bytes),
    (1, "empty.webp", bytes),
    *((4, f"cut-{cut}.png", lambda cut=cut: coded("PNG")[:cut]) for cut in (8, 12, 30, 300, -1, -4, -12, -13)),
    *((4, f"cut-{cut}.jpg", lambda cut=cut: coded("JPEG")[:cut]) for cut in (3, 4, 20, 600, 800, -1, -2, -3)),
    *((4, f"cut-{cut}-p.jpg", lambda cut=cut: coded("JPEG", progressive=True)[:cut]) for cut in (800, -1, -2)),
    *((4, f"cut-{cut}.webp", lambda cut=cut: coded("WEBP")[:cut]) for cut in (12, 16, 25, 300, -1)),
    (4, "no-end.png", lambda: png(header(8, 8), PIXELS)),
    (4, "few-rows.png", lambda: png(header(8, 8), chunk(b"IDAT", zlib.compress(bytes(30))), END)),
    (4, "cut-rows.png", lambda: png(header(8, 8), chunk(b"IDAT", ROWS[:-6]), END)),
    (4, "no-pixels.png", lambda: png(header(8, 8), END)),
    (4, "no-pixels.jpg", lambda: b"\xff\xd8" + jpeg_part(0xC0) + b"\xff\xd9"),
    (4, "flipped.png", lambda: png(header(8, 8), chunk(b"IDAT", ROWS, 1), END)),
    (4, "flipped-header.png", lambda: MAGIC + header(8, 8)[:-1] + b"x" + PIXELS + END),
    (5, "random.png", lambda: NOISE),
    (5, "random-png.png", lambda: MAGIC + NOISE),
    (5, "random-jpeg.jpg", lambda: b"\xff\xd8\xff" + NOISE),
    (5, "random-webp.webp", lambda: b"RIFF\x10\0\0\0WEBPVP8L" + NOISE),
    (5, "text.png", lambda: b"these are words\n" * 100),
    (5, "page.jpg", lambda: b"<!doctype html><title>404</title>" * 10),
    (5, "gif.png", lambda: coded("GIF")),
    (5, "bmp.png", lambda: coded("BMP")),
    (5, "tiff.jpg", lambda: coded("TIFF")),
    (5, "jp2.jpg", lambda: coded("JPEG2000")),
    (5, "icon.png", lambda: coded("ICO")),
    (5, "pgm.png", lambda: coded("PPM")),
    (5, "eps.png", lambda: coded("EPS")),
    (5, "picture.svg", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"),
    (5, "sound.webp", lambda: b"RIFF\x24\0\0\0WAVEfmt " + bytes(40)),
    (9, "bomb-20000.png", lambda: bomb(20_000)),
    (9, "bomb-9000.png", lambda: bomb(9_000)),
    (9, "claims-2-31.png", lambda: png(header(2**31 - 1, 2**31 - 1), PIXELS, END)),
    (9, "claims-a-row.png", lambda: png(header(2**31 - 1, 1), PIXELS, END)),
    (9, "claims-65500.jpg", lambda: jpeg_claiming(65_500, 65_500)),
    (9, "claims-8193.jpg", lambda: jpeg_claiming(8_193, 8_193)),
    (9, "claims-16384.webp", lambda: webp_claiming(2**14, 2**14)),
    (9, "claims-8192.webp", lambda: webp_claiming(2**13, 2**13)),
    (9, "claims-2-24.webp", lambda: webp_claiming(2**24, 2**8)),
    (9, "passes.jpg", lambda: jpeg_passes(3000)),
    (9, "passes-65.jpg", lambda: jpeg_passes(65)),
    (9, "chunks.png", lambda: png(header(8, 8), chunk(b"tEXt", b"") * 2**17, PIXELS, END)),
    (9, "segments.jpg", lambda: coded("JPEG")[:2] + b"\xff\xfe\0\2" * 10_000 + coded("JPEG")[2:]),
    (11, "two-sizes.jpg", lambda: coded("JPEG").replace(jpeg_part(0xC0), jpeg_part(0xC0) * 2)),
    (11, "two-headers.png", lambda: png(header(8, 8), header(9, 9), PIXELS, END)),
    (11, "late-header.png", lambda: png(PIXELS, header(8, 8), END)),
    (11, "two-sizes.webp", lambda: webp_claiming(41, 30)),
    (12, "0-wide.png", lambda: png(header(0, 8), PIXELS, END)),
    (12, "0-high.jpg", lambda: jpeg_claiming(40, 0)),
    (13, "3-bits.png", lambda: png(header(8, 8, 3), PIXELS, END)),
    (13, "colour-5.png", lambda: png(header(8, 8, 8, 5), PIXELS, END)),
    (13, "no-palette.png", lambda: png(header(8, 8, 8, 3), PIXELS, END)),
    (13, "12-bits.jpg", lambda: coded("JPEG").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c")),
]
"""Row, name and content of files that must be refused as bad media."""
