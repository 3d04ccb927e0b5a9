"""Films, as the core knows them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from ...core.data.dataset import DataConfig
from ...core.media import MediaSpec
from ...core.registration.build import build
from ...core.registration.config import checked
from ...core.values import share
from .dataset import VideoDataset
from .film import Video
from .reading import read, read_record
from .resampling import resampled
from .taking import taken
from .timing import RATES
from .writing import FRAME_LIMIT, check_format, write

__all__ = ["VideoMedia", "VideoModality"]

Size = Annotated[int, Field(ge=1, le=8192, strict=True)]

_STEP = 1 / 255  # of 8-bit values
_CLIPPED = 0.98  # white or black ground is common, grey edges are rarely missing


class VideoMedia(BaseModel):
    """The ``[media]`` table of a pipeline of films.

    Attributes:
        height: rows.
        width: columns.
        fps: frames per second.
        frames: how many frames a clip has; either this or ``seconds``.
        seconds: length of a clip; its frames are those that begin within it.
        channels: 1 is grey, 3 RGB.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        json_schema_extra={"oneOf": [{"required": ["frames"]}, {"required": ["seconds"]}]},
    )

    height: Size
    width: Size
    fps: Annotated[float, Field(ge=RATES[0], le=RATES[1], allow_inf_nan=False)]
    frames: Annotated[int, Field(ge=1, le=FRAME_LIMIT)] | None = None
    seconds: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] | None = None
    channels: Literal[1, 3] = 3

    @model_validator(mode="after")
    def _of_one_length(self) -> VideoMedia:
        if (self.frames is None) == (self.seconds is None):
            raise ValueError("give either frames or seconds")
        return self

    @property
    def count(self) -> int:
        """Frames of a clip."""
        return self.frames or max(1, round((self.seconds or 0) * self.fps))


class VideoModality:
    """Films: tensors (channels, frames, height, width) in [0, 1] at a number of frames per second."""

    name = "video"
    endings = (".mp4", ".webm", ".gif", ".frames")
    folders = (".frames",)
    media_table = VideoMedia
    claims: ClassVar[Mapping[str, object]] = {
        "media": {"height": 24, "width": 36, "frames": 4, "fps": 10},
        "declared_error": {".mp4": 0.1, ".webm": 0.13, ".gif": 0.03},
        "aliases_along": (0,),
    }

    def spec(self, media: Mapping[str, object]) -> MediaSpec:
        table = checked(VideoMedia, media, what="media")
        return MediaSpec((table.channels, table.count, table.height, table.width), (table.fps, None, None), 0.0, 1.0)

    def lasting(self, media: Mapping[str, object], seconds: float) -> Mapping[str, object]:
        return {**{key: value for key, value in media.items() if key != "frames"}, "seconds": seconds}

    def wrap(self, tensor: Tensor, spec: MediaSpec, record: Mapping[str, object] | None) -> Video:
        frames = tensor.to(torch.float32).cpu().transpose(0, 1).contiguous()
        return Video(frames, float(spec.rates[0] or 0), None, record)

    def dataset(self, place: str | os.PathLike[str], spec: MediaSpec, config: DataConfig) -> VideoDataset:
        return VideoDataset(place, spec, config)

    def resampled(self, media: Tensor, given: MediaSpec, wanted: MediaSpec) -> Tensor:
        return resampled(media, given, wanted)

    def read(self, path: str | os.PathLike[str]) -> Video:
        return read(path)

    def take(self, item: object, spec: MediaSpec, *, fit: bool) -> tuple[Tensor, MediaSpec]:
        return taken(item, spec, fit=fit)

    def read_mask(self, path: str | os.PathLike[str], spec: MediaSpec) -> Tensor:
        """Return the mask in a film (time, height, width), or in a picture, for all frames (height, width)."""
        pictures: Any = build("modality", "image")
        if Path(path).suffix.lower() not in pictures.endings:
            return taken(read(path), replace(spec, shape=(1, *spec.shape[1:])), fit=False)[0][0]
        drawn = replace(spec, shape=(1, *spec.shape[2:]), rates=spec.rates[1:])
        mask: Tensor = pictures.take(pictures.read(path), drawn, fit=False)[0][0]
        return mask

    def kept(self, made: Video, given: Video) -> Video:
        return replace(made, audio=given.audio)

    def write(self, item: Video, path: str | os.PathLike[str], *, record: bool, overwrite: bool) -> None:
        write(item, path, record=item.record if record else None, overwrite=overwrite)

    def check_output(self, path: str | os.PathLike[str], spec: MediaSpec) -> None:
        check_format(path, float(spec.rates[0] or 0), *spec.shape)

    def read_record(self, path: str | os.PathLike[str]) -> Mapping[str, object] | None:
        return read_record(path)

    def sheet(
        self, items: Sequence[Video], captions: Sequence[str], path: str | os.PathLike[str], *, overwrite: bool
    ) -> None:
        from .strip import sheet

        sheet(items, captions, path, overwrite=overwrite)

    def warnings(self, item: Video) -> list[str]:
        frames = item.frames
        darkest, brightest = frames.min().item(), frames.max().item()
        if brightest < _STEP:
            return [f"black: the brightest value is {brightest:.2g}"]
        if brightest - darkest < _STEP:
            return [f"constant: every value is {brightest:.3g}"]
        found = []
        moves = [(after - before).abs().max().item() for before, after in pairwise(frames)]
        if moves and all(moved < _STEP / 2 for moved in moves):  # of NaN none is
            found.append(f"frozen: from frame to frame no value changes by more than {max(moves):.2g}")
        clipped = share(frames, lambda values: (values < _STEP / 2) | (values > 1 - _STEP / 2))
        if clipped > _CLIPPED:
            found.append(f"clipped: {clipped:.1%} of the values are 0 or 1")
        return found
