"""Point clouds, as the core knows them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar

import torch
from noiseform import ConfigError, MediaError, MediaSpec
from noiseform.core.data.dataset import DataConfig
from noiseform.core.naming import printable
from noiseform.core.registration.config import checked
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from .cloud import Cloud
from .dataset import PointsDataset, refuse_far, some_of
from .reading import read, read_mask, read_record
from .writing import ENDINGS, check_format, write

__all__ = ["PointsMedia", "PointsModality"]

_COLLAPSED = 1e-3  # of a model's range of 2: less than any shape is thick
_CLIPPED = 0.1  # share of coordinates; a shape that fills its box has some there
_NUMBER = r"-?(?:\d+(?:\.\d*)?|\.\d+)"
_SLAB = re.compile(rf"([xyz])=({_NUMBER})?:({_NUMBER})?")
_MEANT = re.compile(r"[xyz]\s*[=<>:]")  # how a text begins that is meant to be one


class PointsMedia(BaseModel):
    """The ``[media]`` table of a pipeline of clouds.

    Attributes:
        points: in a cloud.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    points: Annotated[int, Field(ge=1, le=1_000_000)]


class PointsModality:
    """Clouds of points in space: tensors (3, points) in [-1, 1]; sets, whose order means nothing."""

    name = "points"
    endings = ENDINGS
    media_table = PointsMedia  # so that editors can check it
    claims: ClassVar[Mapping[str, object]] = {"media": {"points": 60}}  # what `plugins check` tries it with

    def spec(self, media: Mapping[str, object]) -> MediaSpec:
        """Return shape and units for the ``[media]`` table of a pipeline."""
        table = checked(PointsMedia, media, what="media")
        return MediaSpec((3, table.points), (None,), -1.0, 1.0)

    def wrap(self, tensor: Tensor, spec: MediaSpec, record: Mapping[str, object] | None) -> Cloud:
        """Return a tensor (3, points) as a cloud."""
        return Cloud(tensor.float().cpu(), record)

    def dataset(self, place: str | os.PathLike[str], spec: MediaSpec, config: DataConfig) -> PointsDataset:
        """Return the training data of a folder or archive."""
        return PointsDataset(place, spec, config)

    def read(self, path: str | os.PathLike[str]) -> Cloud:
        """Return the cloud in a file."""
        return read(path)

    def take(self, item: object, spec: MediaSpec, *, fit: bool) -> tuple[Tensor, MediaSpec]:
        """Return the points of a cloud, and what they are: with ``fit`` as many as the model makes.

        Raises:
            ConfigError: it is no cloud.
            MediaError: a point is nowhere or too far out, or there are too few.
        """
        if not isinstance(item, Cloud) or item.points.ndim != 2 or item.points.shape[0] != 3:
            raise ConfigError(f"points: expected a Cloud of points (3, count), such as read() gives, got {item!r:.80}")
        points = item.points.detach().to("cpu", torch.float32)
        if not points.numel() or not bool(points.isfinite().all()):
            raise MediaError("points: there are none, or some are not finite; give a cloud of finite coordinates")
        refuse_far(points, spec)
        wanted = spec.shape[1] if fit else item.count
        if item.count < wanted:
            raise MediaError(f"points: {item.count}, where the model makes {wanted}; give a cloud of as many or more")
        points = some_of(points, wanted)
        return points, replace(spec, shape=tuple(points.shape))

    def region(self, text: str) -> Callable[[Tensor], Tensor] | None:
        """Return what tells which points (points,) of a cloud (3, points) lie in a slab such as ``z=0.2:``.

        Raises:
            ConfigError: it is meant to be one, and is not.
        """
        match = _SLAB.fullmatch(text)
        if match is None or (match[2] is None and match[3] is None):
            if _MEANT.match(text):
                raise ConfigError(
                    f"mask: {text!r:.80}: expected an axis with a range, such as z=0.2:, x=:0 or y=-0.1:0.1"
                )
            return None
        axis = "xyz".index(match[1])
        low, high = float(match[2] or "-inf"), float(match[3] or "inf")
        return lambda points: (points[axis] >= low) & (points[axis] <= high)

    def read_mask(self, path: str | os.PathLike[str], spec: MediaSpec) -> Tensor:
        """Return the property ``mask`` of each point (points,) of a PLY file."""
        return read_mask(path)

    def write(self, item: Cloud, path: str | os.PathLike[str], *, record: bool, overwrite: bool) -> None:
        """Write a file, whole or not at all; its ending chooses the format."""
        write(item, path, record=item.record if record else None, overwrite=overwrite)

    def check_output(self, path: str | os.PathLike[str], spec: MediaSpec) -> None:
        """Raise ConfigError where a name has an unknown ending, or something has other coordinates than three."""
        check_format(path)
        if spec.shape[0] != 3:
            raise ConfigError(
                f"cannot write: {printable(path)}: {spec.shape[0]} values of a point; give x, y and z of each"
            )

    def read_record(self, path: str | os.PathLike[str]) -> Mapping[str, object] | None:
        """Return the record inside a file, or None."""
        return read_record(path)

    def sheet(
        self, items: Sequence[Cloud], captions: Sequence[str], path: str | os.PathLike[str], *, overwrite: bool
    ) -> None:
        """Write one picture (PNG) that shows several clouds."""
        from .sheet import sheet

        sheet(items, captions, path, overwrite=overwrite)

    def warnings(self, item: Cloud) -> list[str]:
        """Return what looks wrong with a cloud, with the figure that says so."""
        points = item.points
        lost = int((~points.isfinite()).any(0).sum())
        if lost:
            return [f"not finite: {lost} of {item.count} points"]
        spread = (points.amax(1) - points.amin(1)).max().item()
        if spread < _COLLAPSED and item.count > 1:
            return [f"collapsed: all points lie within {spread:.2g} of each other"]
        clipped = (points.abs() > 1 - 1e-6).float().mean().item()
        return [f"clipped: {clipped:.1%} of the coordinates are -1 or 1"] if clipped > _CLIPPED else []
