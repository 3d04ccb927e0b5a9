"""Sound out of files that anyone may have made: WAV, FLAC, Ogg Vorbis and MP3, told by their content.

Nothing in a header is believed: the format is told by the first bytes, the lengths are compared with what is there, the
sound is decoded in blocks up to a limit, and every sample is looked at. Whatever goes wrong is a MediaError.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, BinaryIO

import torch

from ...core.data.decoding_errors import decoding_errors
from ...core.errors import MediaError, NoiseformError
from ...core.machine.interrupts import interrupts_held
from ...core.naming import printable
from ...core.pipeline.record_text import parse_record
from ...core.storage.regular_file import open_regular
from . import mp3, ogg, riff
from .clip import Audio
from .convert import convert_channels, convertible_channels, resample
from .sniff import sniff
from .sound_file import opened

if TYPE_CHECKING:
    from soundfile import SoundFile

__all__ = ["decode", "read", "read_record"]

BLOCK = 65_536
"""Frames decoded at a time."""

SHORT_BLOCK = 4096
"""Frames decoded at a time of a file that may be damaged: of the block with the damage nothing is kept."""

PEAK_LIMIT = 8.0
"""Largest size of a sample, full scale being 1: coders overshoot a little, but not by 18 dB."""

VALUES_PER_SECOND = 96_000
"""Values that a second of sound may have at most on average (48 kHz in stereo): the limit of memory for one clip."""

RATES = (1_000, 384_000)
"""Least and largest sample rate, in Hz."""

CHANNELS = 64
"""Most channels."""

_ENCODINGS = {
    "wav": ({"WAV", "WAVEX", "RF64"}, {"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"}),
    "flac": ({"FLAC"}, {"PCM_S8", "PCM_16", "PCM_24"}),
    "ogg": ({"OGG"}, {"VORBIS"}),
    "mp3": ({"MP3", "MPEG"}, {"MPEG_LAYER_III"}),
}


def read(
    path: str | os.PathLike[str],
    *,
    sample_rate: int | None = None,
    channels: int | None = None,
    max_seconds: float = 1800.0,
    strict: bool = True,
) -> Audio:
    """Return the sound in a file.

    Args:
        path: a WAV, FLAC, Ogg Vorbis or MP3 file; the content decides, not the ending.
        sample_rate: the rate wanted, in Hz; None keeps the file's.
        channels: the number of channels wanted, by the table of ``convert``; None keeps the file's.
        max_seconds: longest sound that is accepted, in seconds.
        strict: refuse a file that is cut; otherwise what is left of it is taken, with a warning.

    Returns:
        The sound, with the record that noiseform left in the file, if there is one.

    Raises:
        MediaError: the file cannot be read, is no sound in these formats, is damaged, too long, of a rate or a number
            of channels that cannot be handled, or holds samples that are not finite or absurdly large.
        ResourceError: there is too little memory for it.
    """
    with open_regular(path) as file:
        return decode(
            file, os.fspath(path), sample_rate=sample_rate, channels=channels, max_seconds=max_seconds, strict=strict
        )


def decode(
    file: BinaryIO,
    name: str,
    *,
    sample_rate: int | None = None,
    channels: int | None = None,
    max_seconds: float = 1800.0,
    strict: bool = True,
) -> Audio:
    """Return the sound in an open file; ``name`` stands in the errors. Otherwise as :func:`read`."""
    where = f"cannot read: {printable(name)}"
    with decoding_errors(where, "sound", smaller="lower max_seconds or cut it into pieces"):
        kind = sniff(file)
        if kind is None:
            raise MediaError(f"{where}: no sound that is known by its content; give WAV, FLAC, Ogg Vorbis or MP3")
        samples, rate, comment = _decode(file, kind, where, channels, max_seconds, strict)
        if sample_rate is not None and sample_rate != rate:
            samples = resample(samples, rate, sample_rate).clamp_(-1.0, 1.0)
    return Audio(samples, sample_rate or rate, parse_record(comment))


def read_record(path: str | os.PathLike[str]) -> dict[str, object] | None:
    """Return the record that noiseform left in a file of sound, or None.

    Raises:
        MediaError: the file cannot be read, is no sound, or is a WAV that is cut before the end of its record.
    """
    where = f"cannot read: {printable(path)}"
    with open_regular(path) as file:
        try:
            kind = sniff(file)
            if kind is None:
                raise MediaError(f"{where}: no sound that is known by its content; give WAV, FLAC, Ogg Vorbis or MP3")
            if kind == "wav":
                record = parse_record(riff.comment(file))
                if record is None and (missing := riff.file_shortfall(file)):
                    raise MediaError(f"{where}: cut short, {missing} bytes are missing; fetch or make it again")
                return record
            with opened(file) as sound:
                return parse_record(sound.comment)
        except NoiseformError:
            raise
        except Exception as error:
            raise MediaError(f"{where}: damaged ({type(error).__name__}); make the file again") from error


def _decode(
    file: BinaryIO, kind: str, where: str, channels: int | None, max_seconds: float, strict: bool
) -> tuple[torch.Tensor, int, str]:
    """Return samples (channels, time), their rate and the comment of a file of the given format."""
    cut = _cut(file, kind)
    if cut and strict:
        raise MediaError(f"{where}: cut short, {cut}; fetch or make it again")
    comment = riff.comment(file) if kind == "wav" else ""
    file.seek(0)
    with opened(file) as sound:
        _check_header(sound, kind, where, channels, max_seconds)
        comment = comment or sound.comment
        rate, declared = int(sound.samplerate), int(sound.frames)
        samples = _blocks(sound, where, channels, max_seconds, strict)
    frames = samples.shape[1]
    if frames == 0:
        raise MediaError(f"{where}: holds no sound; make the file again")
    if kind in ("flac", "mp3") and frames < declared:
        cut = f"{declared - frames} of {declared} frames are missing"
        if strict:
            raise MediaError(f"{where}: cut short or damaged, {cut}; fetch or make it again")
    if cut:
        warnings.warn(f"{where}: cut short, {cut}; took {frames} frames", stacklevel=4)
    return samples, rate, comment


def _cut(file: BinaryIO, kind: str) -> str:
    """Return what is missing of the file, as far as its lengths tell; the decoders themselves are silent on that."""
    if kind in ("wav", "mp3") and (missing := (riff if kind == "wav" else mp3).shortfall(file)):
        return f"{missing} bytes are missing"
    return "the end is missing" if kind == "ogg" and not ogg.is_ended(file) else ""


def _check_header(sound: SoundFile, kind: str, where: str, channels: int | None, max_seconds: float) -> None:
    """Refuse what the header says, before anything is decoded."""
    formats, encodings = _ENCODINGS[kind]
    if sound.format not in formats or sound.subtype not in encodings:
        raise MediaError(f"{where}: {sound.format} with {sound.subtype} is not read; convert it to plain WAV or FLAC")
    if not RATES[0] <= sound.samplerate <= RATES[1]:
        raise MediaError(f"{where}: {sound.samplerate} Hz; from {RATES[0]} to {RATES[1]} Hz can be read")
    if not 1 <= sound.channels <= CHANNELS:
        raise MediaError(f"{where}: {sound.channels} channels; from 1 to {CHANNELS} can be read")
    if channels is not None and not convertible_channels(sound.channels, channels):
        raise MediaError(
            f"{where}: {sound.channels} channels given, {channels} wanted, and no rule for it; convert the file first"
        )
    if sound.frames > 2**62:  # how libsndfile says that a FLAC file, written to a pipe, does not tell its length
        raise MediaError(f"{where}: its header does not say how long it is; write it again with a tool that does")
    if sound.frames > _limit(sound, channels, max_seconds):
        size = f"{sound.frames / sound.samplerate:g} s of {sound.channels} channels at {sound.samplerate} Hz"
        values = f"{max_seconds * VALUES_PER_SECOND:.0f} values"
        raise MediaError(f"{where}: {size}, more than {max_seconds:g} s or {values}; cut it into pieces")


def _limit(sound: SoundFile, channels: int | None, max_seconds: float) -> int:
    """Return the most frames that may be decoded, by time and by memory."""
    return int(max_seconds * min(sound.samplerate, VALUES_PER_SECOND / (channels or sound.channels)))


def _blocks(sound: SoundFile, where: str, channels: int | None, max_seconds: float, strict: bool) -> torch.Tensor:
    """Decode block by block into memory that grows with what is really there; return (channels, time)."""
    wanted = channels or sound.channels
    parts = [bytearray() for _ in range(wanted)]
    limit = _limit(sound, channels, max_seconds)
    frames = 0
    while True:
        try:
            with interrupts_held():
                values = sound.read(BLOCK if strict else SHORT_BLOCK, dtype="float32", always_2d=True)
        except RuntimeError:
            if strict or frames == 0:
                raise
            break  # what came before the damage is taken
        block = torch.from_numpy(values).T
        if block.shape[1] == 0:
            break
        frames += block.shape[1]
        if frames > limit:
            raise MediaError(f"{where}: more than {limit} frames of {wanted} channels; cut it into pieces")
        peak = float(block.abs().max())  # of NaN the largest is NaN
        if not peak <= PEAK_LIMIT:
            raise MediaError(f"{where}: holds a sample of size {peak:g}, full scale being 1; make or scale it again")
        for part, channel in zip(parts, convert_channels(block, wanted).clamp(-1.0, 1.0), strict=True):
            part.extend(channel.contiguous().numpy().data)
    if wanted == 1 and frames:
        return torch.frombuffer(parts[0], dtype=torch.float32)[None]
    samples = torch.empty(wanted, frames)
    for index in range(wanted):
        if frames:
            samples[index] = torch.frombuffer(parts[index], dtype=torch.float32)
        parts[index] = bytearray()  # one channel at a time is held twice, not all of them
    return samples
