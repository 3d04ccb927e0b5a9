"""A few items of media that a new project brings along, so that its parts can be tried at once."""

from __future__ import annotations

import io
import math
import struct
import wave
from collections.abc import Callable, Mapping

__all__ = ["EXAMPLE_DATA"]

RATE = 8000  # samples a second
SAMPLES = 1024  # of a tone; a power of two suits every network
TONES = {"low": 375.0, "high": 750.0}  # Hz: whole periods in a tone
WAVES = {"slow": 1.0, "quick": 4.0}  # Hz
TAKES = 4  # of each


def tones() -> dict[str, bytes]:
    """Return short tones as WAV files, in a folder for each pitch, with a table of captions."""
    files: dict[str, bytes] = {}
    for label, hertz in TONES.items():
        for take in range(TAKES):
            angles = (2 * math.pi * (hertz * place / RATE + take / TAKES) for place in range(SAMPLES))
            files[f"{label}/{take}.wav"] = _wav([round(0.7 * 32767 * math.sin(angle)) for angle in angles])
    captions = [f"{name},a {name.partition('/')[0]} tone" for name in files]
    return {**files, "captions.csv": "\n".join(["file,caption", *captions, ""]).encode()}


def waves() -> dict[str, bytes]:
    """Return sines as CSV files of the template of a modality, two seconds of 32 values."""
    files: dict[str, bytes] = {}
    for speed, hertz in WAVES.items():
        for take in range(TAKES):
            values = [0.8 * math.sin(2 * math.pi * (hertz * place / 32 + take / TAKES)) for place in range(64)]
            lines = ["# rate 32.0", "channel 0", *(f"{value:.6f}" for value in values), ""]
            files[f"{speed}_sine_{take}.csv"] = "\n".join(lines).encode()
    return files


def _wav(samples: list[int]) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return file.getvalue()


EXAMPLE_DATA: Mapping[str, Callable[[], Mapping[str, bytes]]] = {"tones": tones, "waves": waves}
"""Functions that return files by their path, under the name of the folder that the files go into."""
