"""Reads mutated sound files and prints one JSON line of what happened; run by test_audio_files."""

from __future__ import annotations

import io

import numpy
import soundfile
import torch
from mutation import report
from noiseform.modalities.audio.reading import decode

SEEDS = [
    ("a.wav", "WAV", "PCM_16", 1),
    ("b.wav", "WAV", "FLOAT", 2),
    ("c.wav", "WAVEX", "PCM_24", 6),
    ("d.wav", "RF64", "PCM_16", 2),
    ("e.flac", "FLAC", "PCM_16", 2),
    ("f.ogg", "OGG", "VORBIS", 1),
    ("g.mp3", "MP3", "MPEG_LAYER_III", 1),
    ("h.mp3", "MP3", "MPEG_LAYER_III", 2),
]
WISHES = [{}, {"strict": False}, {"sample_rate": 8000, "channels": 1}, {"strict": False, "channels": 2}]


def originals() -> list[tuple[str, bytes]]:
    """Return a small good file of each format."""
    files = []
    phase = 2 * numpy.pi * numpy.arange(6000) / 16000
    for name, container, encoding, channels in SEEDS:
        wave = numpy.stack([0.3 * numpy.sin((200 + 90 * c) * phase) for c in range(channels)], axis=1)
        buffer = io.BytesIO()
        with soundfile.SoundFile(buffer, "w", 16000, channels, encoding, format=container) as sound:
            sound.comment = 'noiseform {"a":1}'
            sound.write(wave.astype("float32"))
        files.append((name, buffer.getvalue()))
    return files


def is_good(number: int, name: str, data: bytes) -> bool:
    """Read a sound in one of several ways; whether its samples are in range."""
    samples = decode(io.BytesIO(data), name, **WISHES[number // len(SEEDS) % len(WISHES)]).samples
    return bool(torch.isfinite(samples).all()) and float(samples.abs().max()) <= 1


if __name__ == "__main__":
    report(originals(), is_good)
