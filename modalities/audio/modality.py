"""Sound, as the core knows it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from ...core.data.dataset import DataConfig
from ...core.media import MediaSpec
from ...core.registration.config import checked
from ...core.values import share
from .clip import Audio
from .convert import resampled
from .dataset import AudioDataset
from .reading import read, read_record
from .taking import taken
from .writing import check_format, write

__all__ = ["AudioMedia", "AudioModality"]

_CLIPPED = 1.0 - 2**-15
_QUIET = 1e-3


class AudioMedia(BaseModel):
    """The ``[media]`` table of a pipeline of sound.

    Attributes:
        sample_rate: samples per second, in Hz.
        seconds: length of a clip.
        channels: 1 is mono, 2 stereo.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sample_rate: Annotated[int, Field(ge=1_000, le=384_000)]
    seconds: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
    channels: Annotated[int, Field(ge=1, le=64)] = 1


class AudioModality:
    """Sounds: tensors (channels, samples) in [-1, 1] at a sample rate."""

    name = "audio"
    endings = (".wav", ".flac", ".ogg", ".mp3")
    media_table = AudioMedia
    claims: ClassVar[Mapping[str, object]] = {
        "media": {"sample_rate": 8000, "seconds": 0.25, "channels": 2},
        "declared_error": {".ogg": 0.01, ".mp3": 0.03},
    }

    def spec(self, media: Mapping[str, object]) -> MediaSpec:
        table = checked(AudioMedia, media, what="media")
        samples = round(table.seconds * table.sample_rate)
        return MediaSpec((table.channels, samples), (float(table.sample_rate),), -1.0, 1.0)

    def lasting(self, media: Mapping[str, object], seconds: float) -> Mapping[str, object]:
        return {**media, "seconds": seconds}

    def wrap(self, tensor: Tensor, spec: MediaSpec, record: Mapping[str, object] | None) -> Audio:
        return Audio(tensor.to(torch.float32).cpu(), int(spec.rates[0] or 0), record)

    def dataset(self, place: str | os.PathLike[str], spec: MediaSpec, config: DataConfig) -> AudioDataset:
        return AudioDataset(place, spec, config)

    def resampled(self, media: Tensor, given: MediaSpec, wanted: MediaSpec) -> Tensor:
        return resampled(media, given, wanted)

    def read(self, path: str | os.PathLike[str]) -> Audio:
        return read(path)

    def take(self, item: object, spec: MediaSpec, *, fit: bool) -> tuple[Tensor, MediaSpec]:
        return taken(item, spec, fit=fit)

    def write(self, item: Audio, path: str | os.PathLike[str], *, record: bool, overwrite: bool) -> None:
        write(item, path, record=item.record if record else None, overwrite=overwrite)

    def check_output(self, path: str | os.PathLike[str], spec: MediaSpec) -> None:
        check_format(path, int(spec.rates[0] or 0), *spec.shape)

    def read_record(self, path: str | os.PathLike[str]) -> Mapping[str, object] | None:
        return read_record(path)

    def sheet(
        self, items: Sequence[Audio], captions: Sequence[str], path: str | os.PathLike[str], *, overwrite: bool
    ) -> None:
        from .spectrogram import sheet

        sheet(items, captions, path, overwrite=overwrite)

    def warnings(self, item: Audio) -> list[str]:
        samples = item.samples
        found = []
        lowest, highest = (end.item() for end in torch.aminmax(samples))
        loudest = max(abs(lowest), abs(highest))
        if loudest < _QUIET:
            found.append(f"silent: the loudest sample is {loudest:.2g}")
        elif lowest == highest:
            found.append(f"constant: every sample is {lowest:.3g}")
        clipped = share(samples, lambda values: values.abs() >= _CLIPPED)
        if clipped > 0.01:
            found.append(f"clipped: {clipped:.1%} of the samples are at full scale")
        return found
