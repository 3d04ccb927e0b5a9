"""``noiseform edit``: media changed in part or as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..registration.attribution import plugins_named
from .options import asking, sampling, writing

__all__ = ["edit"]


@click.command()
@click.argument("modality")
@click.argument("file", metavar="INPUT")
@click.option("--pipeline", metavar="PIPELINE", help="A name (noiseform list pipeline) or a model folder.")
@click.option(
    "--mask",
    "masks",
    multiple=True,
    metavar="MASK",
    help="Make this anew: seconds 0.2:0.4, a box left,top,right,bottom, or a file (white); again for more.",
)
@click.option("--extend", metavar="S", help="Go on for S seconds; or name ends: start=0.5,end=1, left=16,right=16.")
@click.option("--strength", type=float, metavar="S", help="Begin from the item under noise of strength S, 0 to 1.")
@click.option("--between", metavar="FILE", help="Make what lies between INPUT and this.")
@click.option("--at", type=float, multiple=True, metavar="P", help="Where between, 0 to 1. [default: evenly spaced]")
@click.option("--resample", type=int, default=1, show_default=True, help="Make each step so often (RePaint).")
@asking
@click.option("-n", "--count", type=int, default=1, show_default=True, help="How many.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed makes the same items.")
@sampling
@writing
@plugins_named("edit")
def edit(
    modality: str,
    file: str,
    pipeline: str | None,
    masks: tuple[str, ...],
    extend: str | None,
    strength: float | None,
    between: str | None,
    at: tuple[float, ...],
    resample: int,
    count: int,
    seed: int,
    asked: dict[str, Any],
    sampled: dict[str, Any],
    out: dict[str, Any],
) -> None:
    """Change an item: a part of it, its ends, or the whole.

    MODALITY is audio, image, video, or what a plugin adds; INPUT a file. What no mask names stays as it is.

    \b
    noiseform edit audio seven.wav --mask 0.2:0.4 --label seven -o changed.wav
    noiseform edit image heart.png --pipeline pictograms --mask mask.png --prompt "red heart" -o changed.png
    noiseform edit video pear.mp4 --extend 2 --label pear -o longer.mp4
    noiseform edit image sneaker.png --strength 0.5 --label sneaker -n 4 -o variations.png
    """
    from ..machine.memory import keep_large_blocks, uncollected

    with uncollected():
        from ..pipeline.required import modality_of
        from ..verbs.requests import EditRequest, wishes_of
        from ..verbs.verbs import Verbs
        from .making import Delivery

    request = EditRequest(
        wishes=wishes_of(asked, seed=seed, count=count),
        seed=seed,
        mask=masks or None,
        extend=extend,
        strength=strength,
        between=None if between is None else Path(between),
        at=at or None,
        resample=resample,
        sampled=sampled,
    )
    delivery = Delivery("edit", modality_of(modality, pipeline), f"{Path(file).stem}-edited", request.count, out)
    keep_large_blocks()
    job = request.job(Verbs(modality), pipeline, Path(file))
    delivery.deliver(job, seed=seed, captions=[f"#{number}" for number in range(job.count)])
