"""The subcommand ``stopwatch``: what a pipeline takes, for several numbers of steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from noiseform.core.pipeline.made import Made

__all__ = ["stopwatch"]


class _Numbers(click.ParamType):
    """Whole numbers from 1, with commas between them."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return them. Fails with what was given."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            numbers = ()
        if not numbers or min(numbers) < 1:
            self.fail(f"expected whole numbers from 1, such as 4,8,16, got {value!r:.80}", param, ctx)
        return numbers


@click.command()
@click.argument("pipeline")
@click.option(
    "--steps", type=_Numbers(), default="4,8,16,32", show_default=True, help="Of the first stage, each in turn."
)
@click.option("--sampler", "samplers", multiple=True, metavar="NAME", help="Another sampler; again to compare several.")
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="What is made; again for more labels.")
@click.option("--prompt", help="The same, in words.")
@click.option(
    "-n",
    "--count",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Items, of which the quickest counts.",
)
@click.option("--device", default="cpu", show_default=True, help="Where the network runs.")
@click.option(
    "--csv", "table", type=click.Path(path_type=Path, dir_okay=False), help="Also write every step into this file."
)
@click.option("--every", type=click.IntRange(1), default=1, show_default=True, help="Steps of a line in that file.")
def stopwatch(
    pipeline: str,
    steps: tuple[int, ...],
    samplers: tuple[str, ...],
    labels: tuple[str, ...],
    prompt: str | None,
    count: int,
    device: str,
    table: Path | None,
    every: int,
) -> None:
    """Say how long PIPELINE takes, stage by stage, for several numbers of steps.

    An item is made beforehand that does not count: the first one is slower.

    \b
    noiseform stopwatch spoken-digits --steps 4,8,16 --label seven
    noiseform stopwatch garments --steps 10 --sampler heun --sampler dpmpp-2m --csv steps.csv
    """
    from noiseform.core.cli.rows import print_rows
    from noiseform.core.machine.memory import keep_large_blocks
    from noiseform.core.pipeline.loading import described
    from noiseform.core.verbs.asked import conditions_of
    from noiseform.core.verbs.verbs import Verbs

    from .step_times import StepTimes

    keep_large_blocks()
    config, _ = described(pipeline)
    verbs, wish = Verbs(config.modality), conditions_of(labels, prompt, count=1)
    observers = [StepTimes(table, every)] if table else []
    rows: list[Sequence[str]] = []
    for sampler in samplers or (None,):
        for number in steps:
            loaded = verbs.load(pipeline, steps=number, sampler=sampler, device=device)
            if not rows:
                list(loaded.make(wish, seed=0))
            made = [one for item in range(count) for one in loaded.make(wish, seed=0, first=item, observers=observers)]
            used = [sampler or stage.config.sampler.use for stage in loaded.stages[:1]]
            used += [stage.config.sampler.use for stage in loaded.stages[1:]]
            rows += _rows(min(made, key=lambda one: one.seconds), used, [stage.config.steps for stage in loaded.stages])
    print_rows(("sampler", "steps", "stage", "NFE", "seconds", "ms / step", "ms / NFE"), rows)


def _rows(made: Made, samplers: Sequence[str], steps: Sequence[int]) -> Iterator[Sequence[str]]:
    """Give a row for each stage, and one for all of them where there are several."""
    for one, sampler, number in zip(made.stages, samplers, steps, strict=True):
        yield _row(sampler, str(number), one.name, one.nfe, one.seconds, number)
    if len(made.stages) > 1:
        yield _row("", "", "in all", made.nfe, made.seconds, sum(steps))


def _row(sampler: str, steps: str, stage: str, nfe: int, seconds: float, number: int) -> Sequence[str]:
    of_call = f"{1000 * seconds / nfe:.1f}" if nfe else ""
    return sampler, steps, stage, str(nfe), f"{seconds:.3f}", f"{1000 * seconds / number:.1f}", of_call
