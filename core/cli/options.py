"""The options that the commands which make media share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

__all__ = ["asking", "sampling", "telling", "writing"]

Command = Callable[..., Any]


def asking(command: Command) -> Command:
    """Add what is asked for."""
    return _with(
        command,
        click.option("--label", "labels", multiple=True, metavar="LABEL", help="What it is; again for more labels."),
        click.option("--prompt", help="What it is, in words, for pipelines that take text; empty is none."),
        click.option(
            "--negative-label", "negative_labels", multiple=True, metavar="LABEL", help="What guidance leads away from."
        ),
        click.option("--negative-prompt", help="The same, in words, for pipelines that take text."),
    )


def sampling(command: Command) -> Command:
    """Add how the first stage is sampled, and where."""
    return _with(
        command,
        click.option("--seed", type=int, default=0, show_default=True, help="The same seed makes the same items."),
        click.option("--steps", type=int, help="Number of steps. [default: the pipeline's]"),
        click.option("--sampler", metavar="NAME", help="Another sampler (noiseform list sampler)."),
        click.option("--grid", metavar="NAME", help="Another grid of times (noiseform list grid)."),
        click.option("--guidance", type=float, metavar="W", help="Scale of guidance; 1 is none."),
        click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Anything in the pipeline."),
        click.option("--device", default="cpu", show_default=True, help="Where the network runs."),
        click.option("--dtype", default="float32", show_default=True, help="float32, bfloat16 or float16."),
        click.option("--compile", is_flag=True, help="Compile the network; the first time takes minutes."),
    )


def writing(command: Command) -> Command:
    """Add where what was made goes."""
    return _with(
        command,
        click.option("-o", "--output", metavar="OUT", help="File or folder. Several get numbers: OUT-0000.wav, …"),
        click.option("--overwrite", is_flag=True, help="Replace files that exist."),
        click.option("--previews", metavar="DIR", help="Also write pictures of the steps into this folder."),
        click.option("--sheet", metavar="FILE", help="Also write one picture (PNG) of all items."),
        click.option("--no-record", is_flag=True, help="Leave how it was made out of the file."),
    )


def telling(command: Command) -> Command:
    """Add how it is told."""
    return _with(
        command,
        click.option(
            "--strict", is_flag=True, help="End with an error where an item looks wrong (silent, clipped, …)."
        ),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each item."),
        click.option("--quiet", is_flag=True, help="Print nothing."),
    )


def _with(command: Command, *options: Callable[[Command], Command]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
