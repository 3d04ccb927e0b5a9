"""``noiseform generate``: media out of noise."""

from __future__ import annotations

from pathlib import Path

import click

from ..registration.attribution import plugins_named
from .options import asking, sampling, telling, writing

__all__ = ["generate"]


@click.command()
@click.argument("modality")
@click.argument("pipeline", required=False)
@asking
@click.option("-n", "--count", type=int, default=1, show_default=True, help="How many.")
@sampling
@click.option("--seconds", type=float, metavar="S", help="Length of sounds and films. [default: the pipeline's]")
@click.option("--extend", type=float, metavar="S", help="Go on for so many seconds more, window by window.")
@click.option("--batch-size", type=int, default=1, show_default=True, help="Items a call of the network; 1 = exact.")
@writing
@telling
@plugins_named("generate")
def generate(
    modality: str,
    pipeline: str | None,
    labels: tuple[str, ...],
    prompt: str | None,
    negative_labels: tuple[str, ...],
    negative_prompt: str | None,
    count: int,
    seed: int,
    steps: int | None,
    sampler: str | None,
    grid: str | None,
    guidance: float | None,
    settings: tuple[str, ...],
    device: str,
    dtype: str,
    compile: bool,
    seconds: float | None,
    extend: float | None,
    batch_size: int,
    output: str | None,
    overwrite: bool,
    previews: str | None,
    sheet: str | None,
    no_record: bool,
    strict: bool,
    as_json: bool,
    quiet: bool,
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
        from ..diffusion.noise import Key
        from ..pipeline.verbs import Verbs, conditions_of
        from ..registration.build import build
        from .making import Delivery

    Key(seed)  # refuses a seed out of bounds before anything is loaded
    wishes = conditions_of(labels, prompt, negative_labels, negative_prompt, count=count, batch_size=batch_size)
    kind = build("modality", modality)
    delivery = Delivery(
        "generate",
        kind,
        output,
        "-".join((Path(pipeline or modality).name or "item", *labels, str(seed))),
        count=count,
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
        steps=steps,
        sampler=sampler,
        grid=grid,
        guidance=guidance,
        seconds=seconds,
        extend=extend,
        settings=settings,
        device=device,
        dtype=dtype,
        compile=compile,
    )
    kind.check_output(delivery.targets[0], loaded.spec)
    asked = (*labels, prompt) if prompt else labels
    delivery.deliver(
        loaded,
        loaded.steps * count,
        lambda observers: loaded.make(wishes, seed=seed, batch_size=batch_size, observers=observers),
        seed=seed,
        captions=[" ".join((*asked, f"#{number}")) for number in range(count)],
    )
