"""The Free Spoken Digit Dataset and the split that every figure of this project rests on.

Recordings are named ``digit_speaker_index.wav``. Index 5 to 9 (300 clips) is held back from every training, that of the
listener and that of the diffusion models; index 10 to 49 (2,400 clips) is what they learn from. Index 0 to 4, the data
set's own test part, is used nowhere.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

__all__ = ["DIGITS", "HELD_BACK", "SAMPLES", "SAMPLE_RATE", "SPEAKERS", "TRAINING", "Clips", "fit", "read_fsdd"]

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
SAMPLE_RATE = 8000
SAMPLES = 6144  # 0.768 s: 48 frames of 128 samples; 97.6 % of the recordings are shorter
HELD_BACK = range(5, 10)
TRAINING = range(10, 50)


@dataclass(frozen=True)
class Clips:
    """Labelled clips, one row each.

    Attributes:
        waves: samples in [-1, 1], float32, ``(clips, samples)``; zeros after the end.
        lengths: how many samples of a row are recording, ``(clips,)``.
        digits: 0 to 9, ``(clips,)``.
        speakers: index into ``SPEAKERS``, ``(clips,)``.
    """

    waves: Tensor
    lengths: Tensor
    digits: Tensor
    speakers: Tensor

    def __len__(self) -> int:
        return len(self.waves)

    @property
    def classes(self) -> Tensor:
        """Digit and speaker as one number, 0 to 59."""
        return self.digits * len(SPEAKERS) + self.speakers

    def rows(self, index: Tensor) -> Clips:
        """The clips at ``index``."""
        return Clips(self.waves[index], self.lengths[index], self.digits[index], self.speakers[index])


def fit(wave: np.ndarray, samples: int = SAMPLES) -> np.ndarray:
    """``wave`` cut or filled up with zeros at its end to ``samples``."""
    return np.pad(wave[:samples], (0, max(0, samples - len(wave))))


def read_wav(source: io.BytesIO | Path) -> np.ndarray:
    """Samples of a mono 8 kHz file.

    Raises:
        ValueError: where the file has another rate or more than one channel.
    """
    wave, rate = soundfile.read(source, dtype="float32")
    if rate != SAMPLE_RATE or wave.ndim != 1:
        raise ValueError(f"expected a mono clip at {SAMPLE_RATE} Hz, got shape {wave.shape} at {rate} Hz: {source}")
    return wave


def _files(data: Path) -> Iterator[tuple[str, io.BytesIO | Path]]:
    """Name without suffix and content of every WAV file in a folder or a tar, in the order of the names."""
    if data.is_dir():
        yield from ((path.stem, path) for path in sorted(data.rglob("*.wav")))
        return
    with tarfile.open(data) as tar:
        for member in sorted((m for m in tar if m.isfile() and m.name.endswith(".wav")), key=lambda m: m.name):
            content = tar.extractfile(member)
            if content is not None:
                yield Path(member.name).stem, io.BytesIO(content.read())


def _number(word: str) -> int:
    return int(word) if word.isdigit() else DIGITS.index(word)


def read_fsdd(data: Path, index: range | None = None, samples: int = SAMPLES) -> Clips:
    """The recordings of ``data`` whose index is in ``index`` (all of them for None).

    Args:
        data: a folder or a tar of files named ``digit_speaker_index.wav``, the digit as a number or a word.
        index: ``TRAINING``, ``HELD_BACK``, another range, or None.
        samples: to how many samples each clip is cut or filled.

    Raises:
        ValueError: where no file of ``data`` fits.
    """
    waves, lengths, digits, speakers = [], [], [], []
    for name, source in _files(data):
        digit, speaker, number = name.split("_")[:3]
        if index is not None and int(number) not in index:
            continue
        wave = read_wav(source)
        waves.append(fit(wave, samples))
        lengths.append(min(len(wave), samples))
        digits.append(_number(digit))
        speakers.append(SPEAKERS.index(speaker))
    if not waves:
        raise ValueError(f"{data} holds no file digit_speaker_index.wav with an index in {index}")
    return Clips(torch.from_numpy(np.stack(waves)), torch.tensor(lengths), torch.tensor(digits), torch.tensor(speakers))
