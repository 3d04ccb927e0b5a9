"""A right modality, as small as one can be that has everything: curves over time, in JSON files. An original."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from PIL import Image, ImageDraw
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from ...data.dataset import DataConfig
from ...errors import ConfigError, MediaError, NumericError
from ...media import MediaSpec
from ...pipeline.modality import DataSet
from ...registration.config import checked
from ...storage.atomic import whole_file

__all__ = ["CURVES", "Curve", "CurveData", "Curves"]

CURVES = {"channels": 2, "steps": 48, "rate": 50.0}
"""An example of their ``[media]`` table."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Values (channels, steps) in [-1, 1], so many steps a second."""

    values: Tensor
    rate: float
    record: Mapping[str, object] | None = None


class _Media(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    channels: Annotated[int, Field(ge=1, le=64)]
    steps: Annotated[int, Field(ge=1, le=10**6)]
    rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Curves:
    """Curves: tensors (channels, steps) in [-1, 1]."""

    name = "curves"
    endings: tuple[str, ...] = (".json",)

    def spec(self, media: Mapping[str, object]) -> MediaSpec:
        table = checked(_Media, media, what="media")
        return MediaSpec((table.channels, table.steps), (table.rate,), -1.0, 1.0)

    def lasting(self, media: Mapping[str, object], seconds: float) -> Mapping[str, object]:
        return {**media, "steps": max(1, round(seconds * float(str(media["rate"]))))}

    def wrap(self, tensor: Tensor, spec: MediaSpec, record: Mapping[str, object] | None) -> Curve:
        return Curve(tensor.float().clamp(spec.low, spec.high), spec.rates[0] or 1.0, record)

    def dataset(self, place: str | os.PathLike[str], spec: MediaSpec, config: DataConfig) -> DataSet:
        return CurveData(self, Path(place), spec, config)

    def check_output(self, path: str | os.PathLike[str], spec: MediaSpec) -> None:
        if Path(path).suffix not in self.endings:
            raise ConfigError(f"cannot write: {path}: unknown format; end the name in {', '.join(self.endings)}")

    def write(self, item: Curve, path: str | os.PathLike[str], *, record: bool, overwrite: bool) -> None:
        data = self.encoded(item, path, record)
        with whole_file(path, overwrite=overwrite) as file:
            file.write(data)

    def encoded(self, item: Curve, path: str | os.PathLike[str], record: bool) -> bytes:
        self.check_output(path, MediaSpec(tuple(item.values.shape), (item.rate,), -1.0, 1.0))
        if not bool(torch.isfinite(item.values).all()):
            raise NumericError(f"cannot write: {path}: some values are not finite; look for their origin")
        own = item.record if record else None
        return json.dumps({"rate": item.rate, "values": item.values.tolist(), "record": own}).encode()

    def read(self, path: str | os.PathLike[str]) -> Curve:
        try:
            table = json.loads(Path(path).read_bytes())
            values = torch.tensor(table["values"])
            if values.ndim != 2 or not values.numel() or not bool(torch.isfinite(values).all()):
                raise ValueError(f"values of shape {tuple(values.shape)}")
            return Curve(values.float().clamp(-1, 1), float(table["rate"]), table["record"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise MediaError(f"cannot read: {path}: damaged ({type(error).__name__}); make it again") from error

    def read_record(self, path: str | os.PathLike[str]) -> Mapping[str, object] | None:
        return self.read(path).record

    def take(self, item: object, spec: MediaSpec, *, fit: bool) -> tuple[Tensor, MediaSpec]:
        if not isinstance(item, Curve) or len(item.values) != spec.shape[0]:
            raise ConfigError(f"curve: expected a Curve of {spec.shape[0]} channels, got {item!r:.80}")
        if not bool(torch.isfinite(item.values).all()):
            raise MediaError("curve: some values are not finite; give values in [-1, 1]")
        given = replace(spec, shape=tuple(item.values.shape), rates=(item.rate,))
        if not fit:
            return item.values, given
        wanted = given.at_rates(spec.rates)
        return self.resampled(item.values[None], given, wanted)[0], wanted

    def resampled(self, media: Tensor, given: MediaSpec, wanted: MediaSpec) -> Tensor:
        size = wanted.shape[1]
        if size < media.shape[2]:
            return functional.adaptive_avg_pool1d(media, size)
        return functional.interpolate(media, size, mode="linear", align_corners=False)

    def kept(self, made: Curve, given: Curve) -> Curve:
        return replace(made, rate=given.rate)

    def sheet(
        self, items: Sequence[Curve], captions: Sequence[str], path: str | os.PathLike[str], *, overwrite: bool
    ) -> None:
        picture = Image.new("RGB", (120, 40 * len(items)), "white")
        draw = ImageDraw.Draw(picture)
        for row, item in enumerate(items):
            for values in item.values.tolist():
                draw.line([(x * 120 / len(values), 40 * row + 20 - 15 * y) for x, y in enumerate(values)], "navy")
        with whole_file(path, overwrite=overwrite) as file:
            picture.save(file, "PNG")

    def warnings(self, item: Curve) -> list[str]:
        return ["constant"] if item.values.std() < 1e-6 else []


class CurveData:
    """The curves of a folder, or of the folders in it, whose names are their labels."""

    def __init__(self, modality: Curves, folder: Path, spec: MediaSpec, config: DataConfig) -> None:
        self.skipped: list[tuple[str, str]] = []
        self._found: list[tuple[Path, Curve]] = []
        self._folder, self._spec, self._labelled = folder, spec, config.labels == "folder"
        self._window = config.window
        for path in self.paths(folder, modality.endings):
            try:
                curve = modality.read(path)
                if curve.values.shape[0] != spec.shape[0] or curve.values.shape[1] < spec.shape[1]:
                    raise MediaError(f"shape {tuple(curve.values.shape)}, too small for {spec.shape}")
                self._found.append((path, curve))
            except MediaError as error:
                self.skipped.append((path.name, str(error)))
        if not self._found:
            raise MediaError(f"no data: {folder}: no curve can be read; name another folder")

    def paths(self, folder: Path, endings: tuple[str, ...]) -> list[Path]:
        return sorted(path for path in folder.rglob("*") if path.suffix in endings)

    def __len__(self) -> int:
        return len(self._found)

    def item(self, index: int, *, start: float) -> Tensor:
        values, steps = self._found[index][1].values, self._spec.shape[1]
        slack = values.shape[1] - steps
        first = {"random": min(int(start * (slack + 1)), slack), "start": 0, "centre": slack // 2}[self._window]
        return values[:, first : first + steps].clone()

    def conditions(self, index: int) -> Mapping[str, object]:
        return {"labels": (self._found[index][0].parent.name,)} if self._labelled else {}

    def name(self, index: int) -> str:
        return str(self._found[index][0].relative_to(self._folder))

    @property
    def vocabulary(self) -> tuple[tuple[str, ...], ...]:
        if not self._labelled:
            return ()
        told: Any = (self.conditions(index)["labels"][0] for index in range(len(self)))  # type: ignore[index]
        return (tuple(sorted(set(told))),)

    @property
    def fingerprint(self) -> str:
        items = [(self.name(index), curve.values.tolist()) for index, (_, curve) in enumerate(self._found)]
        return hashlib.sha256(repr(items).encode()).hexdigest()
