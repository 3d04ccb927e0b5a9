"""``noiseform upscale``: media made larger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..registration.attribution import plugins_named
from .options import asking, sampling, writing

__all__ = ["upscale"]


@click.command()
@click.argument("modality")
@click.argument("file", metavar="INPUT")
@click.option("--pipeline", metavar="PIPELINE", help="A name (noiseform list pipeline) or a model folder.")
@click.option("--factor", type=int, metavar="N", help="How many times as large. [default: what the pipeline makes]")
@asking
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed makes the same items.")
@sampling
@writing
@plugins_named("upscale")
def upscale(
    modality: str,
    file: str,
    pipeline: str | None,
    factor: int | None,
    seed: int,
    asked: dict[str, Any],
    sampled: dict[str, Any],
    out: dict[str, Any],
) -> None:
    """Make an item of any size larger.

    MODALITY is audio, image, video, or what a plugin adds; INPUT a file. Pictures get more pixels, sounds a higher
    sample rate, films either of more pixels and more frames, as the pipeline has learnt it.

    \b
    noiseform upscale image photo.png -o large.png
    noiseform upscale audio telephone.wav -o clear.wav
    """
    from ..machine.memory import keep_large_blocks, uncollected

    with uncollected():
        from ..pipeline.required import modality_of
        from ..verbs.requests import UpscaleRequest, wishes_of
        from ..verbs.verbs import Verbs
        from .making import Delivery

    request = UpscaleRequest(wishes=wishes_of(asked, seed=seed), seed=seed, factor=factor, sampled=sampled)
    delivery = Delivery("upscale", modality_of(modality, pipeline), f"{Path(file).stem}-large", 1, out)
    keep_large_blocks()
    job = request.job(Verbs(modality), pipeline, Path(file))
    delivery.deliver(job, seed=seed, captions=["#0"])
