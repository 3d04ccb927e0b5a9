"""A subcommand of ``noiseform``, written with click."""

from __future__ import annotations

import math
from pathlib import Path

import click
import torch

from .modality import Series, SeriesModality

SPEEDS = {"slow": 2.0, "quick": 7.0}
SHAPES = {"sine": torch.sin, "square": lambda angle: torch.sin(angle).sign()}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-n", "--count", default=8, show_default=True, help="Files of each kind.")
def make_waves(folder: Path, count: int) -> None:
    """Write waves to train on into FOLDER, as series in CSV files whose names say what they are."""
    folder.mkdir(parents=True, exist_ok=True)
    time = torch.arange(128) / 64
    for speed, hertz in SPEEDS.items():
        for shape, function in SHAPES.items():
            for number in range(count):
                angle = 2 * math.pi * (hertz * time + number / count)
                series = Series(0.8 * function(angle)[None], 64.0)
                SeriesModality().write(series, folder / f"{speed}_{shape}_{number}.csv", record=False, overwrite=True)
    click.echo(f"{len(SPEEDS) * len(SHAPES) * count} files in {folder}")
