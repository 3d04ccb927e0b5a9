"""The subcommand ``make-shapes``: data to train on, made from formulas."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["make_shapes"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("-n", "--count", type=click.IntRange(1, 100_000), default=200, show_default=True, help="Of each shape.")
@click.option("--points", type=click.IntRange(1, 1_000_000), default=1024, show_default=True, help="Points of a cloud.")
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="The same seed, the same clouds."
)
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
def make_shapes(folder: Path, count: int, points: int, seed: int, overwrite: bool) -> None:
    """Write clouds of points on shapes of random proportions into FOLDER, in a folder for each shape.

    \b
    noiseform make-shapes shapes
    noiseform train recipe.toml --data shapes -o runs/shapes
    """
    from noiseform import ConfigError
    from noiseform.core.naming import printable

    from .cloud import Cloud
    from .shapes import SHAPES, shape

    for number, name in enumerate(SHAPES):
        place = folder / name
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"make-shapes: {printable(place)}: {error.strerror}; name another folder") from error
        for item in range(count):
            seed_of_item = (seed * len(SHAPES) + number) * 100_000 + item
            Cloud(shape(name, points, seed_of_item)).save(place / f"{item:05d}.ply", overwrite=overwrite)
    click.echo(f"{count * len(SHAPES)} clouds of {len(SHAPES)} shapes in {printable(folder)}")
