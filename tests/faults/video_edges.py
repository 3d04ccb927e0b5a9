"""Hand-made films that nobody should trust, each with the row of the fault table that it stands for."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable
from fractions import Fraction
from functools import cache

import av
import numpy
from PIL import Image


def moving(count: int = 8, height: int = 24, width: int = 32) -> numpy.ndarray:
    """Return frames with some detail that moves, uint8 (time, height, width, 3)."""
    time, y, x = numpy.indices((count, height, width))
    return numpy.stack([(x * 7 + y * 3 + 9 * time) % 256, (x * y) % 256, (x * 5 - time * 9) % 256], -1).astype("u1")


@cache
def coded(
    kind: str,
    codec: str,
    *,
    count: int = 8,
    size: tuple[int, int] = (24, 32),
    sound: str = "",
    rate: Fraction = Fraction(8),
) -> bytes:
    """Return a film as the bytes of a file."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate, options={"threads": "1"})
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        heard = container.add_stream(sound, rate=48000, layout="mono") if sound else None
        for number, array in enumerate(moving(count, *size)):
            frame = av.VideoFrame.from_ndarray(array).reformat(format="yuv420p", threads=1)
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if heard is not None:
            wave = numpy.sin(numpy.arange(48_000) / 20, dtype="f4")[None] / 2
            block = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            block.sample_rate = 48000
            container.mux(heard.encode(block))
            container.mux(heard.encode(None))
    return buffer.getvalue()


def mp4(**options: object) -> bytes:
    return coded("mp4", "libx264", **options)  # type: ignore[arg-type]


def webm(**options: object) -> bytes:
    return coded("webm", "libvpx-vp9", **options)  # type: ignore[arg-type]


@cache
def gif(count: int = 6, **options: object) -> bytes:
    """Return an animation."""
    frames = [Image.fromarray(array).quantize(32) for array in moving(count)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=100, **options)
    return buffer.getvalue()


def sound_only(kind: str, codec: str) -> bytes:
    """Return a file of sound in a film's format."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=48000, layout="mono")
        block = av.AudioFrame.from_ndarray(numpy.zeros((1, 4800), "f4"), format="fltp", layout="mono")
        block.sample_rate = 48000
        container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def changed(data: bytes, what: bytes, at: int, value: bytes) -> bytes:
    """Return a file with the bytes that stand ``at`` after the mark ``what`` replaced."""
    place = data.index(what) + at
    return data[:place] + value + data[place + len(value) :]


def two_sizes() -> bytes:
    """Return a film that becomes smaller in the middle: two films of MPEG-4 packets in one stream."""
    buffer = io.BytesIO()
    parts = [coded("matroska", "mpeg4", size=size) for size in ((24, 32), (16, 16))]
    with av.open(buffer, "w", format="matroska") as out:
        stream = out.add_mux_stream("mpeg4", rate=8, width=32, height=24)
        for number, part in enumerate(parts):
            with av.open(io.BytesIO(part)) as container:
                header = container.streams.video[0].codec_context.extradata or b""
                for packet in container.demux(video=0):
                    if packet.dts is None:
                        continue
                    data = header + bytes(packet) if packet.is_keyframe else bytes(packet)
                    again = av.Packet(data)
                    again.pts = again.dts = int(packet.dts) + 2000 * number
                    again.time_base, again.is_keyframe, again.stream = packet.time_base, packet.is_keyframe, stream
                    out.mux(again)
    return buffer.getvalue()


def huge(width: int, height: int) -> bytes:
    """Return a GIF whose canvas claims this size."""
    return changed(gif(), b"GIF8", 6, struct.pack("<HH", width, height))


def claiming(width: int, height: int) -> bytes:
    """Return a Matroska film of FFV1, whose size stands nowhere but in its header, that claims this one."""
    data = coded("matroska", "ffv1", count=1, size=(264, 320))
    given = bytes.fromhex("b0820140"), bytes.fromhex("ba820108")
    for old, mark, value in zip(given, (b"\xb0", b"\xba"), (width, height), strict=True):
        data = data.replace(old, mark + b"\x82" + struct.pack(">H", value), 1)
    return data


def tiny_frames(count: int) -> bytes:
    """Return frames of one pixel as blocks of a GIF file."""
    return (b",\0\0\0\0\1\0\1\0\0" + b"\2\2L\1\0") * count


def elsewhere(url: bytes) -> bytes:
    """Return an MP4 file whose pictures are said to lie somewhere else."""
    data = mp4()
    reference = b"url " + bytes(4) + url + b"\0"
    box = struct.pack(">I", 4 + len(reference)) + reference
    place = data.index(b"dref")
    old = data[place - 4 : place - 4 + int.from_bytes(data[place - 4 : place])]
    new = struct.pack(">I", 16 + len(box)) + b"dref" + bytes(4) + struct.pack(">I", 1) + box
    grown = len(new) - len(old)
    data = data.replace(old, new)
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        place = data.index(name) - 4
        data = data[:place] + struct.pack(">I", int.from_bytes(data[place : place + 4]) + grown) + data[place + 4 :]
    return data


NOISE = random.Random(0).randbytes(5000)
PLAYLIST = b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"

REFUSED: list[tuple[int, str, Callable[[], bytes]]] = [
    *((1, f"empty.{ending}", bytes) for ending in ("mp4", "webm", "gif", "mkv")),
    *((3, f"cut-{cut}.mp4", lambda cut=cut: mp4()[:cut]) for cut in (8, 20, 40, 500, -1, -300)),
    *((3, f"cut-{cut}-early.mp4", lambda cut=cut: early()[:cut]) for cut in (700, -1, -500, -2000)),
    *((3, f"cut-{cut}.webm", lambda cut=cut: webm()[:cut]) for cut in (4, 30, 300, 700, -1, -30)),
    *((3, f"cut-{cut}.mkv", lambda cut=cut: coded("matroska", "libx264")[:cut]) for cut in (60, 900, -1)),
    *((3, f"cut-{cut}.gif", lambda cut=cut: gif()[:cut]) for cut in (6, 13, 100, 900, -1, -2)),
    (3, "half-damaged.mp4", lambda: overwritten(mp4())),
    (5, "random.mp4", lambda: NOISE),
    (5, "random-mp4.mp4", lambda: b"\0\0\0\x18ftypisom" + NOISE),
    (5, "random-webm.webm", lambda: b"\x1a\x45\xdf\xa3" + NOISE),
    (5, "random-gif.gif", lambda: b"GIF89a" + NOISE),
    (5, "text.mp4", lambda: b"these are words\n" * 100),
    (5, "page.webm", lambda: b"<!doctype html><title>404</title>" * 10),
    (5, "picture.mp4", lambda: b"\x89PNG\r\n\x1a\n" + NOISE),
    (5, "transport.mp4", lambda: coded("mpegts", "libx264")),
    (5, "avi.mp4", lambda: coded("avi", "mpeg4")),
    (5, "flv.mp4", lambda: coded("flv", "libx264")),
    (5, "unusual.mp4", lambda: mp4().replace(b"avc1", b"rle ").replace(b"avcC", b"free")),
    (10, "huge-20000.gif", lambda: huge(20_000, 20_000)),
    (10, "huge-65535.gif", lambda: huge(65_535, 65_535)),
    (10, "huge.mkv", lambda: claiming(8_000, 8_000)),
    (10, "huge-32767.mkv", lambda: claiming(32_767, 32_767)),
    (10, "many.gif", lambda: gif()[:-1] + tiny_frames(100_001) + b";"),
    (10, "no-height.gif", lambda: huge(32, 0)),
    (10, "long.mp4", lambda: mp4(count=200, size=(16, 16), rate=Fraction(1, 10))),
    (10, "slow.webm", lambda: webm(count=2, rate=Fraction(1, 20))),
    (10, "hasty.mp4", lambda: mp4(rate=Fraction(1000))),
    (11, "two-sizes.mkv", two_sizes),
    (15, "sound.mp4", lambda: sound_only("mp4", "aac")),
    (15, "sound.webm", lambda: sound_only("webm", "libopus")),
    (18, "playlist.mp4", lambda: PLAYLIST),
    (18, "concat.mp4", lambda: b"ffconcat version 1.0\nfile '/etc/passwd'\n"),
    (18, "dash.mp4", lambda: b"<?xml version='1.0'?><MPD><BaseURL>http://127.0.0.1:9/</BaseURL></MPD>"),
    (18, "address.mp4", lambda: b"http://127.0.0.1:9/film.mp4"),
]
"""Row, name and content of files that must be refused as bad media."""


def early() -> bytes:
    """Return an MP4 film whose index stands before its pictures."""
    data = mp4(count=40)
    place = data.index(b"mdat") - 4
    with_sizes = int.from_bytes(data[place : place + 4])
    moov = data[place + with_sizes :]
    return shifted(data[:place] + moov + data[place : place + with_sizes], len(moov))


def shifted(data: bytes, by: int) -> bytes:
    """Return an MP4 file whose places of pictures lie further on."""
    place = data.index(b"stco")
    count = int.from_bytes(data[place + 8 : place + 12])
    for number in range(count):
        here = place + 12 + 4 * number
        data = data[:here] + struct.pack(">I", int.from_bytes(data[here : here + 4]) + by) + data[here + 4 :]
    return data


def overwritten(data: bytes) -> bytes:
    """Return a film whose pictures are noise."""
    place = data.index(b"mdat") + 4
    return data[: place + 40] + NOISE[:700] + data[place + 740 :]
