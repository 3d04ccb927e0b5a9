"""``noiseform train``: from a recipe and real media to a model folder."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .hung_up import heard_or_not

if TYPE_CHECKING:
    from ..pipeline.modality import DataSet
    from ..training.observing import TrainingStep

__all__ = ["train"]

_LINES = 10.0  # seconds between lines where there is no terminal


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--data", required=True, metavar="DIR", help="Folder or tar archive of media.")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="RUN",
    help="Folder of the run; it becomes the model.",
)
@click.option("--resume", is_flag=True, help="Continue from the last checkpoint; without one, start.")
@click.option("--override", is_flag=True, help="Resume even though the recipe or the data have changed.")
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Anything in the recipe.")
@click.option("--until", type=int, metavar="STEP", help="Stop after this step; --resume continues.")
@click.option("--device", default="cpu", show_default=True, help="Where the model is trained, such as cuda.")
@click.option("--threads", type=int, help="Threads that torch computes with. [default: one a core]")
@click.option("--quiet", is_flag=True, help="Print nothing.")
def train(
    recipe: Path,
    data: str,
    output: str,
    resume: bool,
    override: bool,
    settings: tuple[str, ...],
    until: int | None,
    device: str,
    threads: int | None,
    quiet: bool,
) -> None:
    """Train a model as RECIPE says, on the media in DIR; RUN becomes a model folder that generate takes by path.

    \b
    noiseform train recipe.toml --data recordings/ -o runs/digits
    noiseform generate audio ./runs/digits --label seven
    """
    from ..errors import ConfigError
    from ..machine.interrupts import Interrupted
    from ..machine.memory import keep_large_blocks
    from ..naming import printable
    from ..pipeline.modality import spec_of
    from ..pipeline.usage import usage
    from ..registration.build import build
    from ..registration.registry import current
    from ..storage.model_folder import read_model_folder
    from ..training.recipe import read_recipe
    from ..training.trainer import train as run

    keep_large_blocks()
    if threads is not None:
        import torch

        if not 1 <= threads <= 1024:
            raise ConfigError(f"threads: expected a whole number from 1 to 1024, got {threads}")
        torch.set_num_threads(threads)
    if not output:
        raise ConfigError("run folder: its name is empty; name a folder with -o")
    folder = Path(output)
    wanted = read_recipe(recipe, settings=settings)
    modality = build("modality", wanted.modality)

    def items() -> DataSet:
        found = modality.dataset(data, spec_of(modality, wanted.items), wanted.data)
        if not quiet:
            click.echo(_data(found, folder), err=True)
        return found

    done: list[int] = []

    def note(step: TrainingStep) -> None:
        done[:] = [step.step]

    observers = (note, *(() if quiet else (_reporter(),)))
    try:
        run(
            wanted,
            items,
            modality,
            folder,
            source=Path(data),
            resume=resume,
            override=override,
            plugins=current().plugins,
            observers=observers,
            until=until,
            device=device,
        )
    except Interrupted as stop:
        at = f" at step {done[-1]} of {wanted.training.steps}" if done else ""
        with heard_or_not():
            click.echo(f"{stop}: saved{at}; continue with --resume", err=True)
        raise SystemExit(128 + stop.signal) from None
    if not done and not quiet:
        click.echo("nothing was left to do: the run has as many steps already", err=True)
    if not quiet:
        shown = printable(folder if folder.is_absolute() else os.path.join(os.curdir, folder))
        click.echo(f"model folder: {shown}  ({usage(read_model_folder(folder).pipeline, folder)})")


def _reporter() -> Callable[[TrainingStep], None]:
    """Return an observer that shows loss and time left: a bar on a terminal, a line now and then elsewhere."""
    if sys.stderr.isatty():
        from .training_progress import TrainingBar

        bar = TrainingBar()

        def show(step: TrainingStep) -> None:
            with heard_or_not():
                bar(step)

        return show
    last = time.monotonic()
    first: list[TrainingStep] = []

    def line(step: TrainingStep) -> None:
        nonlocal last
        if not first:
            first.append(step)
        if time.monotonic() - last < _LINES and step.step not in (first[0].step, step.steps):
            return
        last = time.monotonic()
        done = step.step - first[0].step
        left = (step.seconds - first[0].seconds) / max(1, done) * (step.steps - step.step)
        time_left = f"  {left / 60:.1f} min left" if done else ""
        click.echo(
            f"step {step.step}/{step.steps}  loss {step.loss:.4f}  gradient {step.gradient:.2f}{time_left}", err=True
        )

    return line


def _data(items: DataSet, folder: Path) -> str:
    """Return a line that says how much of the data is used."""
    from ..naming import printable

    line = f"data: {len(items)} items"
    if items.skipped:
        line += f"; {len(items.skipped)} skipped, see {printable(folder / 'skipped.jsonl')}"
    unread = getattr(items, "unread", ())  # which a plugin's data set need not know
    if unread:
        line += f"; {len(unread)} passed over that are no regular files, such as {printable(unread[0][0])}"
    return line
