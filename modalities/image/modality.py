"""Pictures, as the core knows them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from ...core.data.dataset import DataConfig
from ...core.media import MediaSpec
from ...core.pipeline.modality import DataSet
from ...core.raster.resampling import resampled
from ...core.registration.config import checked
from ...core.values import share
from .dataset import ImageDataset
from .idx import IdxDataset, holds_idx
from .picture import Image
from .reading import read, read_record
from .taking import taken
from .writing import check_format, write

__all__ = ["ImageMedia", "ImageModality"]

Size = Annotated[int, Field(ge=1, le=8192)]

_STEP = 1 / 255  # of 8-bit values
_CLIPPED = 0.98  # white or black ground is common, grey edges are rarely missing


class ImageMedia(BaseModel):
    """The ``[media]`` table of a pipeline of pictures.

    Attributes:
        height: rows.
        width: columns.
        channels: 1 is grey, 3 RGB, 4 RGBA.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    height: Size
    width: Size
    channels: Literal[1, 3, 4] = 3


class ImageModality:
    """Pictures: tensors (channels, height, width) in [0, 1]."""

    name = "image"
    endings = (".png", ".jpg", ".jpeg", ".webp")
    media_table = ImageMedia
    claims: ClassVar[Mapping[str, object]] = {
        "media": {"height": 24, "width": 36},
        "declared_error": {".jpg": 0.04, ".jpeg": 0.04},
    }

    def spec(self, media: Mapping[str, object]) -> MediaSpec:
        table = checked(ImageMedia, media, what="media")
        return MediaSpec((table.channels, table.height, table.width), (None, None), 0.0, 1.0)

    def wrap(self, tensor: Tensor, spec: MediaSpec, record: Mapping[str, object] | None) -> Image:
        return Image(tensor.to(torch.float32).cpu(), record)

    def dataset(self, place: str | os.PathLike[str], spec: MediaSpec, config: DataConfig) -> DataSet:
        return IdxDataset(place, spec, config) if holds_idx(place) else ImageDataset(place, spec, config)

    def resampled(self, media: Tensor, given: MediaSpec, wanted: MediaSpec) -> Tensor:
        return resampled(media, *wanted.shape[1:])

    def read(self, path: str | os.PathLike[str]) -> Image:
        return read(path)

    def take(self, item: object, spec: MediaSpec, *, fit: bool) -> tuple[Tensor, MediaSpec]:
        return taken(item, spec, fit=fit)

    def write(self, item: Image, path: str | os.PathLike[str], *, record: bool, overwrite: bool) -> None:
        write(item, path, record=item.record if record else None, overwrite=overwrite)

    def check_output(self, path: str | os.PathLike[str], spec: MediaSpec) -> None:
        check_format(path, *spec.shape)

    def read_record(self, path: str | os.PathLike[str]) -> Mapping[str, object] | None:
        return read_record(path)

    def sheet(
        self, items: Sequence[Image], captions: Sequence[str], path: str | os.PathLike[str], *, overwrite: bool
    ) -> None:
        from .sheet import sheet

        sheet(items, captions, path, overwrite=overwrite)

    def warnings(self, item: Image) -> list[str]:
        pixels = item.pixels
        darkest, brightest = pixels.min().item(), pixels.max().item()
        if brightest < _STEP:
            return [f"black: the brightest value is {brightest:.2g}"]
        if brightest - darkest < _STEP:
            return [f"constant: every value is {brightest:.3g}"]
        clipped = share(pixels, lambda values: (values < _STEP / 2) | (values > 1 - _STEP / 2))
        return [f"clipped: {clipped:.1%} of the values are 0 or 1"] if clipped > _CLIPPED else []
