"""``noiseform convert``: models in other layouts to model folders."""

from __future__ import annotations

import os
from pathlib import Path

import click

__all__ = ["convert"]


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace a model folder that exists.")
@click.option(
    "--allow-pickle", "pickles", is_flag=True, help="Read weights from .bin files too, without running what is in them."
)
@click.option("--quiet", is_flag=True, help="Print nothing.")
def convert(source: Path, out: Path, overwrite: bool, pickles: bool, quiet: bool) -> None:
    """Make a model folder OUT, which generate takes by path, of a model in the folder SOURCE.

    What is read are folders as diffusers writes them, and what plugins add (noiseform list converter). Nothing is
    downloaded, and SOURCE stays as it is.

    \b
    noiseform convert downloads/ddpm-cifar10-32 models/cifar10
    noiseform generate image ./models/cifar10 --steps 50
    """
    from ..naming import printable
    from ..pipeline.conversion import convert as run

    found = run(source, out, overwrite=overwrite, pickles=pickles)
    if quiet:
        return
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    shown = printable(out if out.is_absolute() else os.path.join(os.curdir, out))
    click.echo(f"model folder: {shown}  (noiseform generate {found.pipeline['modality']} {shown})")
