"""``noiseform generate``: media out of noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..registration.attribution import plugins_named
from .options import asking, sampling, writing

__all__ = ["generate"]


@click.command()
@click.argument("modality")
@click.argument("pipeline", required=False)
@asking
@click.option("-n", "--count", type=int, default=1, show_default=True, help="How many.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed makes the same items.")
@sampling
@click.option("--seconds", type=float, metavar="S", help="Length of sounds and films. [default: the pipeline's]")
@click.option("--extend", type=float, metavar="S", help="Go on for so many seconds more, window by window.")
@click.option("--batch-size", type=int, default=1, show_default=True, help="Items a call of the network; 1 = exact.")
@writing
@plugins_named("generate")
def generate(
    modality: str,
    pipeline: str | None,
    count: int,
    seed: int,
    seconds: float | None,
    extend: float | None,
    batch_size: int,
    asked: dict[str, Any],
    sampled: dict[str, Any],
    out: dict[str, Any],
) -> None:
    """Make media out of noise.

    MODALITY is audio, image, video, or what a plugin adds; PIPELINE a name (noiseform list pipeline) or the path of a
    model folder.

    \b
    noiseform generate audio --label seven -o seven.wav
    noiseform generate audio spoken-digits --label three --label george -n 4 -o three.flac
    """
    from ..machine.memory import keep_large_blocks, uncollected

    with uncollected():
        from ..pipeline.required import modality_of
        from ..verbs.requests import GenerateRequest, wishes_of
        from ..verbs.verbs import Verbs
        from .making import Delivery

    request = GenerateRequest(
        wishes=wishes_of(asked, seed=seed, count=count, batch_size=batch_size),
        seed=seed,
        batch_size=batch_size,
        sampled={**sampled, "seconds": seconds, "extend": extend},
    )
    labels = asked["labels"]
    default = "-".join((Path(pipeline or modality).name or "item", *labels, str(seed)))
    delivery = Delivery("generate", modality_of(modality, pipeline), default, count, out)
    keep_large_blocks()
    job = request.job(Verbs(modality), pipeline)
    words = (*labels, asked["prompt"]) if asked["prompt"] else labels
    captions = [" ".join((*words, f"#{number}")) for number in range(count)]
    delivery.deliver(job, seed=seed, captions=captions)
