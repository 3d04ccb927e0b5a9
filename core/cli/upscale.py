"""``noiseform upscale``: media made larger."""

from __future__ import annotations

from pathlib import Path

import click

from ..registration.attribution import plugins_named
from .options import asking, sampling, telling, writing

__all__ = ["upscale"]


@click.command()
@click.argument("modality")
@click.argument("file", metavar="INPUT")
@click.option("--pipeline", metavar="PIPELINE", help="A name (noiseform list pipeline) or a model folder.")
@click.option("--factor", type=int, metavar="N", help="How many times as large. [default: what the pipeline makes]")
@asking
@sampling
@writing
@telling
@plugins_named("upscale")
def upscale(
    modality: str,
    file: str,
    pipeline: str | None,
    factor: int | None,
    labels: tuple[str, ...],
    prompt: str | None,
    negative_labels: tuple[str, ...],
    negative_prompt: str | None,
    seed: int,
    steps: int | None,
    sampler: str | None,
    grid: str | None,
    guidance: float | None,
    settings: tuple[str, ...],
    device: str,
    dtype: str,
    compile: bool,
    output: str | None,
    overwrite: bool,
    previews: str | None,
    sheet: str | None,
    no_record: bool,
    strict: bool,
    as_json: bool,
    quiet: bool,
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
        from ..diffusion.noise import Key
        from ..pipeline.changing import enlargement
        from ..pipeline.verbs import Verbs, conditions_of
        from ..registration.build import build
        from .making import Delivery

    Key(seed)  # refuses a seed out of bounds before anything is loaded
    (wish,) = conditions_of(labels, prompt, negative_labels, negative_prompt, count=1)
    kind = build("modality", modality)
    delivery = Delivery(
        "upscale",
        kind,
        output,
        f"{Path(file).stem}-large",
        count=1,
        overwrite=overwrite,
        sheet=sheet,
        previews=previews,
        record=not no_record,
        strict=strict,
        as_json=as_json,
        quiet=quiet,
    )
    keep_large_blocks()
    loaded = Verbs(modality).load(
        pipeline,
        upscale=True,
        steps=steps,
        sampler=sampler,
        grid=grid,
        guidance=guidance,
        settings=settings,
        device=device,
        dtype=dtype,
        compile=compile,
    )
    job = enlargement(loaded, Path(file), wish, factor)
    kind.check_output(delivery.targets[0], job.spec)
    delivery.deliver(
        loaded,
        job.steps,
        lambda observers: job.make(seed, 0, observers),
        seed=seed,
        captions=[f"#{number}" for number in range(job.count)],
        kept=job.kept,
    )
