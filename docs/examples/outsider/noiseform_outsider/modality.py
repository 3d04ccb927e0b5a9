"""A modality: measurements over time, in CSV files. With it `noiseform generate series` and `train` work on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from noiseform import ConfigError, MediaError, MediaSpec, NumericError
from noiseform.core.storage.atomic import whole_file
from PIL import Image, ImageDraw

from .dataset import RATE, SeriesDataset, read_values

RECORD = "# noiseform "


@dataclass(frozen=True, eq=False)
class Series:
    """Values ``(channels, steps)`` in [-1, 1], so many steps a second, and how they were made."""

    values: torch.Tensor
    rate: float
    record: Mapping[str, object] | None = None


class SeriesModality:
    """Several values over time: tensors (channels, steps)."""

    name = "series"
    endings = (".csv",)
    claims: ClassVar = {"media": {"channels": 2, "steps": 48, "rate": 50}}  # what `plugins check` tries it with

    def spec(self, media):
        """Return shape and units for the ``[media]`` table of a pipeline."""
        if set(media) != {"channels", "steps", "rate"}:
            raise ConfigError(f"media: expected channels, steps and rate, got {', '.join(media) or 'nothing'}")
        shape, rate = (media["channels"], media["steps"]), media["rate"]
        whole = all(type(size) is int and 1 <= size <= 10**6 for size in shape)
        if not whole or type(rate) not in (int, float) or not 0 < rate <= 10**6:
            raise ConfigError(f"media: expected whole numbers of channels and steps, and a rate, got {dict(media)}")
        return MediaSpec(shape, (float(rate),), -1.0, 1.0)

    def wrap(self, tensor, spec, record):
        return Series(tensor.float().cpu().clamp(spec.low, spec.high), spec.rates[0], record)

    def dataset(self, place, spec, config):
        return SeriesDataset(Path(place), spec)

    def check_output(self, path, spec):
        """Say before anything is made what could not be written: here another ending."""
        if Path(path).suffix not in self.endings:
            raise ConfigError(f"cannot write: {path}: unknown format; end the name in {', '.join(self.endings)}")

    def write(self, item, path, *, record, overwrite):
        self.check_output(path, None)
        if not item.values.isfinite().all():
            raise NumericError(f"cannot write: {path}: some values are not finite; look for their origin")
        rows = [f"{RATE}{item.rate}", ",".join(f"channel {n}" for n in range(len(item.values)))]
        rows += [",".join(f"{value:.6f}" for value in step) for step in item.values.T.tolist()]
        head = [f"{RECORD}{json.dumps(item.record)}"] if record and item.record else []
        with whole_file(path, overwrite=overwrite) as file:  # whole or not at all
            file.write("\n".join([*head, *rows, ""]).encode())

    def read_record(self, path):
        try:
            with open(path, encoding="utf-8") as file:
                first = file.readline(2**20)
            return json.loads(first.removeprefix(RECORD)) if first.startswith(RECORD) else None
        except (OSError, ValueError) as error:
            raise MediaError(f"cannot read: {path}: {error}; make the file again") from error

    def read(self, path):
        values, rate = read_values(path)
        return Series(values, rate or 1.0, self.read_record(path))

    def take(self, item, spec, *, fit):
        """Return the values of an item, for `edit` and `upscale`: with ``fit`` at the rate that the model knows."""
        if not isinstance(item, Series) or len(item.values) != spec.shape[0]:
            raise ConfigError(f"series: expected {spec.shape[0]} channels, got {item!r:.80}")
        if not item.values.isfinite().all():
            raise MediaError("series: some values are not finite; give values in [-1, 1]")
        given = MediaSpec(tuple(item.values.shape), (item.rate,), spec.low, spec.high)
        if not fit or item.rate == spec.rates[0]:
            return item.values, given
        steps = max(1, round(item.values.shape[1] * spec.rates[0] / item.rate))
        wanted = MediaSpec((spec.shape[0], steps), spec.rates, spec.low, spec.high)
        return self.resampled(item.values[None], given, wanted)[0], wanted

    def resampled(self, media, given, wanted):
        """Return values (batch, channels, steps) at another rate, for cascades: by a straight line, or as means."""
        size = wanted.shape[1]
        if size < media.shape[2]:
            return torch.nn.functional.adaptive_avg_pool1d(media, size)
        return torch.nn.functional.interpolate(media, size, mode="linear", align_corners=False)

    def sheet(self, items, captions, path, *, overwrite):
        """Draw each series as a curve, one below the other."""
        picture = Image.new("RGB", (480, 90 * len(items)), "white")
        draw = ImageDraw.Draw(picture)
        for row, (item, caption) in enumerate(zip(items, captions, strict=True)):
            draw.text((6, 90 * row + 2), caption, "black")
            for values in item.values.tolist():
                points = [(i * 480 / len(values), 90 * row + 50 - 34 * value) for i, value in enumerate(values)]
                draw.line(points, "navy", 2)
        with whole_file(path, overwrite=overwrite) as file:
            picture.save(file, "PNG")

    def warnings(self, item):
        return ["constant"] if item.values.std() < 1e-6 else []
