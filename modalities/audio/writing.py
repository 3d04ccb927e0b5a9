"""Sound into files: WAV, FLAC, Ogg Vorbis and MP3, whole or not at all, the same bytes each time."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import torch

from ...core.errors import ConfigError, NumericError
from ...core.machine.interrupts import interrupts_held
from ...core.naming import printable
from ...core.pipeline.record_text import format_record
from ...core.storage.atomic import whole_file
from ...core.storage.guarded_file import GuardedFile
from ...core.values import all_finite
from .clip import Audio
from .ogg import set_serial
from .riff import append_comment
from .sniff import FORMATS
from .sound_file import opened

__all__ = ["check_format", "encode", "format_of", "write"]

BLOCK = 65_536
"""Frames encoded at a time: a minute of Ogg Vorbis in one piece crashes libsndfile."""

WAV_LIMIT = 2**32 - 2**22
"""Most bytes of sound in a WAV file, whose lengths have 32 bits; some room is left for the record."""

_MP3_RATES = frozenset({8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000})
_ENCODINGS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
_CHANNELS = {"wav": 64, "flac": 8, "ogg": 64, "mp3": 2}


def write(
    audio: Audio,
    path: str | os.PathLike[str],
    *,
    record: Mapping[str, object] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a sound to a file; the ending of ``path`` chooses the format (wav, flac, ogg, mp3).

    WAV and FLAC hold 16-bit values: ``round(32768 x)``, halves to even, held to [-32768, 32767], without dither, so
    that a 16-bit file that is read and written again keeps its samples. Samples beyond full scale are held to it. The
    same sound and record give the same bytes each time.

    Args:
        audio: the sound.
        path: the file.
        record: what is kept in the file's comment, as plain values; None for nothing.
        overwrite: replace a file that stands there.

    Raises:
        ConfigError: an ending that names no format, a rate or number of channels that the format cannot hold, an empty
            sound, a record that is not plain; the file exists, or its place cannot be written.
        NumericError: a sample is not finite.
        ResourceError: the disk is full.
    """
    import soundfile

    where = f"cannot write: {printable(path)}"
    kind = format_of(path)
    _check(audio, kind, where)
    comment = format_record(record)
    with whole_file(path, overwrite=overwrite, failures=(soundfile.SoundFileError,)) as file:
        encode(audio, kind, file, comment=comment, where=where)


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format that the ending of ``path`` names. Raises ConfigError where it names none."""
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise ConfigError(
            f"cannot write: {printable(path)}: unknown audio format; end the name in .wav, .flac, .ogg or .mp3"
        )
    return kind


def check_format(path: str | os.PathLike[str], sample_rate: int, channels: int, frames: int) -> None:
    """Raise ConfigError if a sound of this rate, in Hz, and size could not be written to a file of this name."""
    _check_shape(format_of(path), sample_rate, channels, frames, f"cannot write: {printable(path)}")


def encode(audio: Audio, kind: str, file: BinaryIO, *, comment: str = "", where: str = "cannot write") -> None:
    """Write a sound, already checked, to an open file as ``kind``; ``where`` begins the error messages.

    Raises:
        ConfigError: the encoder does not take this rate or number of channels.
        OSError: the file could not be written.
    """
    import soundfile

    container, encoding = _ENCODINGS[kind]
    guarded = GuardedFile(file)
    arguments = ("w", audio.sample_rate, audio.channels, encoding)
    with ExitStack() as stack:
        try:
            sound = stack.enter_context(opened(guarded, *arguments, format=container, closefd=False))
        except soundfile.SoundFileError as error:
            guarded.raise_failure()
            raise ConfigError(
                f"{where}: {container} takes no {audio.channels} channels at {audio.sample_rate} Hz; "
                "choose another format"
            ) from error
        if comment and kind != "wav":
            sound.comment = comment
        for start in range(0, audio.samples.shape[1], BLOCK):
            block = audio.samples[:, start : start + BLOCK].detach()
            values = block.to("cpu", torch.float32).clamp(-1.0, 1.0).T.contiguous()
            if encoding == "PCM_16":
                values = (values * 32768.0).round().clamp(-32768, 32767).to(torch.int16)
            with interrupts_held():
                sound.write(values.numpy())
            guarded.raise_failure()
    guarded.raise_failure()
    if comment and kind == "wav":
        append_comment(file, comment)
    if kind == "ogg":
        set_serial(file, zlib.crc32(audio.samples.detach().to("cpu", torch.float32).contiguous().numpy().data))


def _check(audio: Audio, kind: str, where: str) -> None:
    """Refuse what the format cannot hold, before the file is touched."""
    samples, rate = audio.samples, audio.sample_rate
    if samples.ndim != 2 or not samples.is_floating_point() or samples.numel() == 0:
        raise ConfigError(
            f"{where}: samples of shape {tuple(samples.shape)} and {samples.dtype}; give (channels, time) as float32"
        )
    if not all_finite(samples):
        count = int((~torch.isfinite(samples)).sum())
        raise NumericError(f"{where}: {count} of {samples.numel()} samples are not finite; look for their origin")
    _check_shape(kind, rate, audio.channels, samples.shape[1], where)


def _check_shape(kind: str, rate: int, channels: int, frames: int, where: str) -> None:
    """Refuse a rate or size that the format cannot hold."""
    if channels > _CHANNELS[kind]:
        raise ConfigError(f"{where}: {channels} channels, {kind} holds {_CHANNELS[kind]}; choose another format")
    if kind == "mp3" and rate not in _MP3_RATES:
        rates = ", ".join(map(str, sorted(_MP3_RATES)))
        raise ConfigError(f"{where}: {rate} Hz, mp3 holds {rates}; choose another format")
    if kind == "ogg" and rate > 200_000:  # libsndfile would crash at the end of the writing
        raise ConfigError(f"{where}: {rate} Hz, ogg holds at most 200000; choose another format")
    if kind == "flac" and rate > 65_535 and rate % 10:
        raise ConfigError(f"{where}: {rate} Hz, beyond 65535 flac holds multiples of 10; choose another format")
    if rate != int(rate) or not 1_000 <= rate <= 384_000:
        raise ConfigError(f"{where}: {rate} Hz; give a whole number from 1000 to 384000")
    if kind == "wav" and channels * frames * 2 > WAV_LIMIT:
        raise ConfigError(f"{where}: {channels * frames * 2} bytes of sound, wav holds {WAV_LIMIT}; choose flac")
