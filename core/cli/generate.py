"""``noiseform generate``: media out of noise."""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from ..errors import ConfigError, NumericError
from ..naming import printable
from ..registration.attribution import plugins_named

if TYPE_CHECKING:
    from ..diffusion.sampling import Observer
    from ..pipeline.pipeline import Made, Pipeline

__all__ = ["generate"]


@click.command()
@click.argument("modality")
@click.argument("pipeline", required=False)
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="What to make; give it again for more labels.")
@click.option("--prompt", help="What to make, in words, for pipelines that take text; empty is none.")
@click.option(
    "--negative-label", "negative_labels", multiple=True, metavar="LABEL", help="What guidance leads away from."
)
@click.option("--negative-prompt", help="The same, in words, for pipelines that take text.")
@click.option("-n", "--count", type=int, default=1, show_default=True, help="How many.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed makes the same items.")
@click.option("--steps", type=int, help="Number of steps. [default: the pipeline's]")
@click.option("--sampler", metavar="NAME", help="Another sampler (noiseform list sampler).")
@click.option("--grid", metavar="NAME", help="Another grid of times (noiseform list grid).")
@click.option("--guidance", type=float, metavar="W", help="Scale of guidance; 1 is none.")
@click.option("--seconds", type=float, metavar="S", help="Length of sounds and films. [default: the pipeline's]")
@click.option("--extend", type=float, metavar="S", help="Go on for so many seconds more, window by window.")
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Anything in the pipeline.")
@click.option("--batch-size", type=int, default=1, show_default=True, help="Items a call of the network; 1 = exact.")
@click.option("--device", default="cpu", show_default=True, help="Where the network runs.")
@click.option("--dtype", default="float32", show_default=True, help="float32, bfloat16 or float16.")
@click.option("--compile", "compiled", is_flag=True, help="Compile the network; the first time takes minutes.")
@click.option("-o", "--output", metavar="OUT", help="File or folder. Several items get numbers: OUT-0000.wav, …")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@click.option("--previews", metavar="DIR", help="Also write pictures of the steps into this folder.")
@click.option("--sheet", metavar="FILE", help="Also write one picture (PNG) of all items.")
@click.option("--no-record", is_flag=True, help="Leave how it was made out of the file.")
@click.option("--strict", is_flag=True, help="End with an error where an item looks wrong (silent, clipped, …).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each item.")
@click.option("--quiet", is_flag=True, help="Print nothing.")
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
    seconds: float | None,
    extend: float | None,
    settings: tuple[str, ...],
    batch_size: int,
    device: str,
    dtype: str,
    compiled: bool,
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
        from ..storage.atomic import check_writable

    Key(seed)  # refuses a seed out of bounds before anything is loaded
    wishes = conditions_of(labels, prompt, negative_labels, negative_prompt, count=count, batch_size=batch_size)
    kind = build("modality", modality)
    folders: Sequence[str] = getattr(kind, "folders", ())
    targets = _targets(modality, output, kind.endings, folders, pipeline or modality, labels, seed, count)
    if sheet and Path(sheet) in targets:
        raise ConfigError(f"generate: --sheet {printable(sheet)} is also the output; give the picture its own name")
    if sheet and Path(sheet).suffix.lower() != ".png":
        raise ConfigError(f"generate: --sheet {printable(sheet)}: the picture is a PNG file; end the name in .png")
    check_writable(*targets, *([sheet] if sheet else []), overwrite=overwrite, folders=folders)
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
        compile=compiled,
    )
    kind.check_output(targets[0], loaded.spec)
    observers = [_previews(loaded, Path(previews))] if previews else []
    made_all = []
    with _progress(loaded, count, quiet=quiet or as_json) as progress:
        watching = [*observers, *progress.observers]
        if loaded.compiler is not None:
            loaded.compiler.tell = progress.say
        for made, target in zip(
            loaded.make(wishes, seed=seed, batch_size=batch_size, observers=watching), targets, strict=True
        ):
            for complaint in kind.warnings(made.media):
                if strict:
                    raise NumericError(f"generate: item {made.item}: {complaint}; try another seed or less guidance")
                warnings.warn(f"item {made.item} is {complaint}", stacklevel=1)
            kind.write(made.media, target, record=not no_record, overwrite=overwrite)
            progress.tell(made, target)
            if as_json and not quiet:
                click.echo(json.dumps(_report(made, target, seed)))
            if sheet:
                made_all.append(made.media)
    if sheet:
        asked = (*labels, prompt) if prompt else labels
        captions = [" ".join((*asked, f"#{number}")) for number in range(count)]
        kind.sheet(made_all, captions, sheet, overwrite=overwrite)


def _targets(
    modality: str,
    output: str | None,
    endings: Sequence[str],
    folders: Sequence[str],
    pipeline: str,
    labels: Sequence[str],
    seed: int,
    count: int,
) -> list[Path]:
    """Return the file, or folder, of each item."""
    plain = "-".join((Path(pipeline).name or "item", *labels, str(seed)))
    default = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in plain)[:100] + endings[0]
    place = Path(output) if output else Path(default)
    inside = output is not None and (output.endswith(("/", os.sep)) or os.path.isdir(place))
    if inside and place.suffix.lower() not in folders:
        place = place / default
    if place.suffix.lower() not in endings:
        raise ConfigError(
            f"generate: {printable(place)}: unknown {modality} format; end the name in {', '.join(endings)}"
        )
    if count == 1:
        return [place]
    return [place.with_name(f"{place.stem}-{number:04d}{place.suffix}") for number in range(count)]


def _report(made: Made, target: Path, seed: int) -> dict[str, object]:
    from ..storage.content import content_digest

    return {
        "path": str(target),
        "seed": seed,
        "item": made.item,
        "nfe": made.nfe,
        "seconds": round(made.seconds, 4),
        "sha256": content_digest(target),
    }


def _previews(pipeline: Pipeline, folder: Path) -> Observer:
    """Return an observer that draws what the denoiser sees, about eight times a run."""
    from ..pipeline.previews import Previews

    return Previews(pipeline, folder)


class _Telling(Protocol):
    """Tells how far the work is: by what it observes, and of each file that is there."""

    observers: Sequence[Observer]

    def say(self, line: str) -> None:
        """Say what is being done that takes long."""

    def tell(self, made: Made, target: Path) -> None:
        """Say that an item is there."""


class _Quiet:
    """Tells nothing."""

    observers: Sequence[Observer] = ()

    def say(self, line: str) -> None:
        """Say what is being done that takes long."""

    def tell(self, made: Made, target: Path) -> None:
        """Say that an item is there."""


class _Lines(_Quiet):
    """One line for each file."""

    def say(self, line: str) -> None:
        click.echo(line, err=True)

    def tell(self, made: Made, target: Path) -> None:
        click.echo(f"{printable(target)}  (item {made.item}, {made.nfe} NFE, {made.seconds:.2f} s)")


@contextlib.contextmanager
def _progress(pipeline: Pipeline, count: int, *, quiet: bool) -> Iterator[_Telling]:
    """Show a bar on a terminal, and lines elsewhere."""
    import sys

    if quiet:
        yield _Quiet()
    elif not sys.stderr.isatty():
        yield _Lines()
    else:
        from .progress import bar

        with bar(pipeline, count) as shown:
            yield shown
