"""``noiseform grid``: times computed for a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from ..registration.attribution import plugins_named
from .options import asking

__all__ = ["grid"]


@click.command()
@click.argument("pipeline")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--steps", type=int, multiple=True, required=True, help="Number of steps; again for more numbers.")
@click.option("--sampler", metavar="NAME", help="Another sampler, that OUT then has (noiseform list sampler).")
@click.option("--stage", metavar="NAME", help="The stage of a cascade. [default: the first]")
@asking
@click.option("--trials", type=int, default=8, show_default=True, help="Trial runs: half choose, half check.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the trial runs.")
@click.option("--batch-size", type=int, default=1, show_default=True, help="Items a call of the network; 1 = exact.")
@click.option("--device", default="cpu", show_default=True, help="Where the network runs.")
@click.option("--overwrite", is_flag=True, help="Replace a model folder that exists.")
@click.option("--quiet", is_flag=True, help="Print nothing.")
@plugins_named("grid")
def grid(
    pipeline: str,
    out: Path,
    steps: tuple[int, ...],
    sampler: str | None,
    stage: str | None,
    trials: int,
    seed: int,
    batch_size: int,
    device: str,
    overwrite: bool,
    quiet: bool,
    asked: dict[str, Any],
) -> None:
    """Make a model folder OUT of a PIPELINE, with times computed for few steps.

    PIPELINE is a name (noiseform list pipeline) or the path of a model folder, which stays as it is. A few trial runs
    are compared with long ones from the same noise; each number of steps gets times of its own. Without labels every
    trial run has others. It takes as long as some hundred items do.

    \b
    noiseform grid spoken-digits models/quick-digits --steps 4 --steps 8
    noiseform generate audio ./models/quick-digits --label seven --steps 8
    """
    from ..machine.memory import keep_large_blocks, uncollected

    with uncollected():
        from ..diffusion.noise import Key
        from ..machine.devices import checked_device
        from ..naming import printable
        from ..pipeline.timing import timed
        from ..verbs.asked import conditions_of
        from .counting import counted

    Key(seed)  # refuses a seed out of bounds before anything is loaded
    (wish,) = conditions_of(**asked, count=1)
    keep_large_blocks()
    with counted(quiet=quiet) as tell:
        done = timed(
            pipeline,
            out,
            steps,
            stage=stage,
            sampler=sampler,
            wish=wish if any(asked.values()) else None,
            trials=trials,
            seed=seed,
            batch_size=batch_size,
            device=checked_device(device),
            overwrite=overwrite,
            tell=tell,
        )
    if quiet:
        return
    for one in done.found:
        click.echo(
            f"{one.steps} steps: distance to a long run {one.before / done.spread:.4f} before, "
            f"{one.after / done.spread:.4f} now, of the latents' spread"
        )
    shown = printable(out if out.is_absolute() else os.path.join(os.curdir, out))
    click.echo(
        f"model folder: {shown}  (noiseform generate {done.config.modality} {shown} --steps {done.found[0].steps}; "
        f"{done.rows} NFE, {done.seconds:.1f} s)"
    )
