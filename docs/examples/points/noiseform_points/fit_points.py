"""The subcommand ``fit-points``: clouds of any size and unit, brought to where models see them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["fit_points", "fitted"]

HALF = 0.9
"""Half of the longest side of a cloud that was fitted: some room is left in [-1, 1]."""


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--up", type=click.Choice(["y", "z"]), default="z", show_default=True, help="Axis that points up in SOURCE."
)
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
def fit_points(source: Path, folder: Path, up: str, overwrite: bool) -> None:
    """Centre and scale the clouds of SOURCE, a file or a folder, into FOLDER, as PLY files of the same names.

    The longest side of each becomes 1.8; folders inside of SOURCE, which are labels, stay.

    \b
    noiseform fit-points scans shapes --up y
    """
    from noiseform import ConfigError
    from noiseform.core.naming import printable

    from .cloud import Cloud
    from .reading import read

    found = list(_files(source))
    if not found:
        raise ConfigError(f"fit-points: {printable(source)}: no .ply or .xyz file there; name another folder")
    for path, name in found:
        points = fitted(read(path).points, up=up)
        target = folder / name.with_suffix(".ply")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"fit-points: {printable(target)}: {error.strerror}; name another folder") from error
        Cloud(points).save(target, overwrite=overwrite)
    click.echo(f"{len(found)} clouds in {printable(folder)}")


def fitted(points: Tensor, *, up: str = "z") -> Tensor:
    """Return points (3, count), z upwards, in the middle and with a longest side of 1.8."""
    import torch

    if up == "y":  # a quarter turn about x, which keeps left and right
        points = torch.stack([points[0], -points[2], points[1]])
    low, high = points.amin(1, keepdim=True), points.amax(1, keepdim=True)
    longest = (high - low).max().clamp(min=1e-12)  # of a single point too
    return (points - (low + high) / 2) * (2 * HALF / longest)


def _files(source: Path) -> Iterator[tuple[Path, Path]]:
    """Give the files, each with its name inside of SOURCE."""
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() in (".ply", ".xyz") and path.is_file():
                yield path, path.relative_to(source)
    else:
        yield source, Path(source.name)
