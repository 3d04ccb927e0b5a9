"""Hand-made sound files that nobody should trust, each with the row of the fault table that it stands for."""

from __future__ import annotations

import io
import math
import os
import socket
import struct
import wave
from collections.abc import Callable
from pathlib import Path

import numpy
import soundfile


def tone(frames: int = 4000, channels: int = 1) -> numpy.ndarray:
    """Return a quiet tone (frames, channels), float32."""
    phase = numpy.arange(frames) * 0.1
    return numpy.stack([0.3 * numpy.sin(phase * (1 + c)) for c in range(channels)], axis=1).astype("float32")


def coded(
    container: str, encoding: str, samples: numpy.ndarray | None = None, rate: int = 16000, channels: int = 1
) -> bytes:
    """Return a tone, or ``samples``, as the bytes of a file."""
    buffer = io.BytesIO()
    data = tone(channels=channels) if samples is None else samples
    with soundfile.SoundFile(buffer, "w", rate, data.shape[1], encoding, format=container) as sound:
        for start in range(0, len(data), 65536):
            sound.write(data[start : start + 65536])
    return buffer.getvalue()


def pcm(rate: int, channels: int, frames: int = 100) -> bytes:
    """Return a WAV file with this rate and number of channels in its header, sensible or not."""
    data = bytes(2 * frames * max(channels, 1))
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2 & 0xFFFFFFFF, channels * 2 & 0xFFFF, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def floats(*values: float) -> bytes:
    """Return a WAV file of float samples, the given ones among quiet ones."""
    samples = tone()
    samples[100 : 100 + len(values), 0] = values
    return coded("WAV", "FLOAT", samples)


def flac_claiming(frames: int) -> bytes:
    """Return a FLAC file whose header claims this many frames."""
    data = bytearray(coded("FLAC", "PCM_16"))
    packed = int.from_bytes(data[18:26], "big")
    data[18:26] = ((packed >> 36 << 36) | frames).to_bytes(8, "big")
    return bytes(data)


def ogg_claiming(frames: int) -> bytes:
    """Return an Ogg file whose last page claims this many frames, with a right checksum."""
    from noiseform.modalities.audio.ogg import set_serial

    data = bytearray(coded("OGG", "VORBIS"))
    last = data.rfind(b"OggS")
    data[last + 6 : last + 14] = frames.to_bytes(8, "little")
    file = io.BytesIO(bytes(data))
    set_serial(file, 1)
    return file.getvalue()


def wav_claiming(size: int) -> bytes:
    """Return a WAV file of 1 kB whose header claims this many bytes of sound."""
    data = bytearray(coded("WAV", "PCM_16", tone(500)))
    data[4:8] = (size & 0xFFFFFFFF).to_bytes(4, "little")
    place = data.index(b"data")
    data[place + 4 : place + 8] = (size & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes(data)


def silence(seconds: int, rate: int = 48000) -> bytes:
    """Return a small FLAC file of a long silence."""
    return coded("FLAC", "PCM_16", numpy.zeros((seconds * rate, 1), "float32"), rate)


REFUSED: list[tuple[int, str, Callable[[], bytes]]] = [
    (1, "empty.wav", bytes),
    (1, "empty.flac", bytes),
    (2, "cut.wav", lambda: coded("WAV", "PCM_16")[:5000]),
    (2, "cut-in-header.wav", lambda: coded("WAV", "PCM_16")[:30]),
    (2, "cut.flac", lambda: coded("FLAC", "PCM_16", tone(40_000))[:-3000]),
    (2, "cut.ogg", lambda: coded("OGG", "VORBIS", tone(100_000))[:-500]),
    (2, "cut.mp3", lambda: coded("MP3", "MPEG_LAYER_III", tone(100_000))[:-3000]),
    (2, "no-data.wav", lambda: coded("WAV", "PCM_16", tone(0))),
    (5, "random.wav", lambda: numpy.random.default_rng(0).bytes(5000)),
    (5, "random.mp3", lambda: b"\xff\xfb\x90\x00" + numpy.random.default_rng(1).bytes(300)),
    (5, "text.wav", lambda: b"these are words\n" * 100),
    (5, "page.mp3", lambda: b"<!doctype html><title>404</title>" * 10),
    (5, "aiff.wav", lambda: coded("AIFF", "PCM_16")),
    (5, "au.wav", lambda: coded("AU", "PCM_16")),
    (5, "adpcm.wav", lambda: coded("WAV", "MS_ADPCM")),
    (5, "opus.ogg", lambda: coded("OGG", "OPUS")),
    (6, "claims-4-gb.wav", lambda: wav_claiming(0xFFFFFFF0)),
    (6, "claims-2-gb.wav", lambda: wav_claiming(0x7FFFFFFF)),
    (7, "claims-2-36.flac", lambda: flac_claiming(2**36 - 1)),
    (7, "claims-a-little-more.flac", lambda: flac_claiming(5000)),
    (7, "claims-nothing.flac", lambda: flac_claiming(0)),
    (8, "silence-bomb.flac", lambda: silence(1810)),
    (8, "silence-bomb-64-channels.wav", lambda: pcm(384_000, 64, 2_800_000)),
    (12, "rate-0.wav", lambda: pcm(0, 1)),
    (12, "rate-1.wav", lambda: pcm(1, 1)),
    (12, "rate-999.wav", lambda: pcm(999, 1)),
    (12, "rate-384001.wav", lambda: pcm(384_001, 1)),
    (12, "rate-2-31.wav", lambda: pcm(2**31 - 1, 1)),
    (12, "channels-0.wav", lambda: pcm(16000, 0)),
    (12, "channels-65.wav", lambda: pcm(16000, 65)),
    (12, "channels-1024.wav", lambda: pcm(16000, 1024)),
    (14, "nan.wav", lambda: floats(math.nan)),
    (14, "inf.wav", lambda: floats(math.inf)),
    (14, "minus-inf.wav", lambda: floats(-math.inf)),
    (14, "1e30.wav", lambda: floats(1e30)),
    (14, "integers-as-floats.wav", lambda: floats(12345.0)),
    (15, "film.mp4", lambda: b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41" + bytes(500)),
    (15, "film.ogg", lambda: b"OggS\0\x02" + bytes(20) + b"\x01\x2a\x80theora" + bytes(300)),
    (18, "playlist.m3u", lambda: b"#EXTM3U\nhttp://127.0.0.1/x.mp3\n"),
    (18, "playlist.wav", lambda: b"[playlist]\nFile1=/etc/passwd\n"),
    (18, "concat.mp3", lambda: b"ffconcat version 1.0\nfile '/etc/passwd'\n"),
]
"""Row, name and content of files that must be refused as bad media."""


def place_strange_things(folder: Path, ending: str = "wav") -> list[Path]:
    """Make things in ``folder`` that are no regular files, or cannot be opened (row 19); return their paths."""
    (folder / f"loop-a.{ending}").symlink_to(folder / f"loop-b.{ending}")
    (folder / f"loop-b.{ending}").symlink_to(folder / f"loop-a.{ending}")
    (folder / f"dangling.{ending}").symlink_to(folder / "nothing")
    (folder / f"device.{ending}").symlink_to("/dev/zero")
    os.mkfifo(folder / f"pipe.{ending}")
    (folder / f"folder.{ending}").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(folder)  # the path of a socket may have some hundred bytes only
        try:
            listener.bind(f"socket.{ending}")
        finally:
            os.chdir(here)
    names = [
        f"loop-a.{ending}",
        f"dangling.{ending}",
        f"device.{ending}",
        f"pipe.{ending}",
        f"folder.{ending}",
        f"socket.{ending}",
        f"missing.{ending}",
    ]
    return [folder / name for name in names] + [folder / f"nul\0.{ending}", folder / f"{'x' * 300}.{ending}"]


def write_wav(path: Path | bytes, frames: int = 800, rate: int = 8000) -> None:
    """Write a small good WAV file."""
    with open(path, "wb") as file, wave.open(file, "wb") as sound:
        sound.setparams((1, 2, rate, 0, "NONE", ""))
        sound.writeframes((tone(frames) * 20000).astype("<i2").tobytes())
