"""The sound of films: decoded from them, and coded into them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

import av
import numpy as np
import torch
from torch import Tensor

from ...core.errors import ConfigError, MediaError, NumericError
from ...core.media import MediaSpec
from ...core.registration.build import build
from .decoding import SOUND_CODECS, open_container
from .film import Sound

__all__ = ["as_audio", "blocks", "check_sound", "encoded_rate", "read_sound"]

BLOCK = 1024
"""Samples that are given to a coder at a time."""

VALUES_PER_SECOND = 96_000
"""Values that a second of sound may have at most on average (48 kHz in stereo)."""

RATES = (1_000, 384_000)
"""Least and largest sample rate, in Hz."""

_AAC = (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_OPUS = (8000, 12000, 16000, 24000, 48000)


def as_audio(samples: Tensor, sample_rate: int) -> Sound:
    """Return samples (channels, time) as the medium that the modality ``audio`` makes of them."""
    spec = MediaSpec(tuple(samples.shape), (float(sample_rate),), -1.0, 1.0)
    sound: Sound = build("modality", "audio").wrap(samples, spec, None)
    return sound


def read_sound(file: BinaryIO, kind: str, where: str, start: Fraction, max_seconds: float) -> Sound | None:
    """Return the sound of a film, from the moment of its first frame; None where it has none that is read.

    Args:
        file: the film.
        kind: its format.
        where: begins the error messages.
        start: time stamp of the first frame, in seconds; sound before it is left out, silence added where it is late.
        max_seconds: longest sound that is accepted.

    Raises:
        MediaError: damaged, too long, of an absurd rate, or samples that are not finite.
    """
    with open_container(file, kind) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        coder = stream.codec_context
        name = coder.codec.name if coder else "an unknown codec"
        if name not in SOUND_CODECS.split(","):
            warnings.warn(f"{where}: its sound is in {name}, which is not read; took the pictures alone", stacklevel=5)
            return None
        rate, channels = int(stream.rate or 0), int(stream.channels or 0)
        if not RATES[0] <= rate <= RATES[1] or not 1 <= channels <= 8:
            raise MediaError(f"{where}: sound of {channels} channels at {rate} Hz; convert it first")
        resampler = av.AudioResampler(format="fltp", rate=rate)
        limit = int(max_seconds * min(rate, VALUES_PER_SECOND / channels))
        gathered: list[Tensor] = []
        frames, begin = 0, start
        for frame in container.decode(stream):
            if not gathered and frame.pts is not None and frame.time_base:
                begin = frame.pts * Fraction(frame.time_base)
            if int(frame.sample_rate) != rate or len(frame.layout.channels) != channels:
                raise MediaError(f"{where}: its sound changes rate or channels in the middle; convert it first")
            for plain in resampler.resample(frame):
                block = torch.from_numpy(np.array(plain.to_ndarray(), dtype=np.float32))
                if not bool(torch.isfinite(block).all()):
                    raise MediaError(f"{where}: holds samples that are not finite; make it again")
                frames += block.shape[1]
                if frames > limit:
                    raise MediaError(f"{where}: more than {limit} samples of sound; cut it into pieces")
                gathered.append(block.clamp_(-1, 1))
        told = stream.duration if kind == "mp4" else None
        length = told * Fraction(stream.time_base) if told and stream.time_base else None
    if not frames:
        return None
    samples = torch.cat(gathered, dim=1)
    if length is not None and 0 < length * rate < frames:
        samples = samples[:, : round(length * rate)]  # a coder fills its last block with silence
    late = round((begin - start) * rate)
    if abs(late) > limit:
        raise MediaError(f"{where}: its sound begins {late / rate:g} s beside its pictures; make the film again")
    samples = torch.nn.functional.pad(samples, (late, 0)) if late > 0 else samples[:, -late:]
    return as_audio(samples, rate) if samples.shape[1] else None


def check_sound(sound: Sound, where: str) -> None:
    """Refuse sound that cannot be coded, before the file is touched. Raises ConfigError or NumericError."""
    samples, rate = sound.samples, sound.sample_rate
    if samples.ndim != 2 or not samples.is_floating_point() or samples.numel() == 0 or samples.shape[0] > 2:
        raise ConfigError(
            f"{where}: sound of shape {tuple(samples.shape)} and {samples.dtype}; "
            "give (channels, time) with 1 or 2 channels as float32"
        )
    if rate != int(rate) or not RATES[0] <= rate <= RATES[1]:
        raise ConfigError(f"{where}: sound at {rate} Hz; give a whole number from {RATES[0]} to {RATES[1]}")
    if not bool(torch.isfinite(samples).all()):
        raise NumericError(f"{where}: samples of its sound are not finite; look for their origin")


def encoded_rate(rate: int, codec: str) -> int:
    """Return the sample rate that a coder takes: the sound's own, or the next higher of its list."""
    known = _AAC if codec == "aac" else _OPUS
    return next((one for one in known if one >= rate), 48_000)


def blocks(sound: Sound) -> Iterator[tuple[Fraction, av.AudioFrame]]:
    """Yield a sound in frames for a coder, which brings them to its own rate, each with its moment in seconds."""
    layout = "mono" if sound.samples.shape[0] == 1 else "stereo"
    rate = int(sound.sample_rate)
    samples = sound.samples.detach().to("cpu", torch.float32).clamp(-1, 1)
    for start in range(0, samples.shape[1], BLOCK):
        block = np.ascontiguousarray(samples[:, start : start + BLOCK].numpy())
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        yield Fraction(start, rate), frame
