"""What the commands that make media do alike: names of files, progress, each item written as soon as it is there."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from ..errors import ConfigError, NumericError
from ..naming import printable

if TYPE_CHECKING:
    from ..diffusion.sampling import Observer
    from ..pipeline.made import Made, StageMade
    from ..pipeline.modality import Media, Modality
    from ..pipeline.pipeline import Pipeline
    from ..verbs.requests import Job

__all__ = ["Delivery", "stages_told"]


class Delivery:
    """Where items go, checked before anything is made.

    Args:
        doing: the command, for messages.
        modality: what the items are.
        default: name without ending where the user names no file.
        count: how many items.
        out: what the user says, see :func:`~.options.writing`.

    Raises:
        ConfigError: a name has an unknown ending, or cannot be written.
    """

    def __init__(self, doing: str, modality: Modality, default: str, count: int, out: Mapping[str, Any]) -> None:
        from ..storage.atomic import check_writable

        self._doing, self._modality, self._out = doing, modality, out
        overwrite: bool = out["overwrite"]
        folders: Sequence[str] = getattr(modality, "folders", ())
        place = _place(doing, modality, out["output"], default, folders)
        self.targets = _targets(place, count)
        self._sheet = sheet = _sheet(out["sheet"], place, count)
        if sheet is not None:
            if sheet in self.targets:
                raise ConfigError(
                    f"{doing}: --sheet {printable(sheet)} is also the output; give the picture its own name"
                )
            if sheet.suffix.lower() != ".png":
                raise ConfigError(
                    f"{doing}: --sheet {printable(sheet)}: the picture is a PNG file; end the name in .png"
                )
        check_writable(*self.targets, *([sheet] if sheet else []), overwrite=overwrite, folders=folders)

    def deliver(self, job: Job, *, seed: int, captions: Sequence[str]) -> None:
        """Have a job done; write each item as soon as it is made, and tell of it.

        Args:
            job: makes them.
            seed: of the items.
            captions: of the sheet.

        Raises:
            ConfigError: such items do not go into such files.
            NumericError: an item looks wrong, and the user is strict.
        """
        from ..pipeline.modality import warnings_of

        modality, out, pipeline = self._modality, self._out, job.pipeline
        modality.check_output(self.targets[0], job.spec)
        observers = [_previewing(pipeline, Path(out["previews"]))] if out["previews"] else []
        shown: list[Media] = []
        with _progress(pipeline, len(self.targets), job.steps, quiet=out["quiet"] or out["as_json"]) as progress:
            if pipeline.compiler is not None:
                pipeline.compiler.tell = progress.say
            items = _off_stdout(job.make([*observers, *progress.observers]))
            for made, target in zip(items, self.targets, strict=True):
                media = job.kept(made.media)
                for complaint in warnings_of(modality, media):
                    if out["strict"]:
                        raise NumericError(
                            f"{self._doing}: item {made.item}: {complaint}; try another seed or less guidance"
                        )
                    warnings.warn(f"item {made.item} is {complaint}", stacklevel=1)
                modality.write(media, target, record=not out["no_record"], overwrite=out["overwrite"])
                progress.tell(made, target)
                if out["as_json"] and not out["quiet"]:
                    click.echo(json.dumps(_report(made, target, seed)))
                if self._sheet:
                    shown.append(media)
        if self._sheet:
            modality.sheet(shown, captions, self._sheet, overwrite=out["overwrite"])


def _off_stdout(items: Iterator[Made]) -> Iterator[Made]:
    """Give items; what parts print while one is made goes to standard error, since standard output is ours."""
    while True:
        with contextlib.redirect_stdout(sys.stderr):
            made = next(items, None)
        if made is None:
            return
        yield made


def _place(doing: str, modality: Modality, output: str | None, default: str, folders: Sequence[str]) -> Path:
    """Return the file, or folder, of an item, or what those of several are named after."""
    from ..pipeline.modality import endings_of

    endings = endings_of(modality)
    named = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in default)[:100] + endings[0]
    place = Path(output) if output else Path(named)
    inside = output is not None and (output.endswith(("/", os.sep)) or os.path.isdir(place))
    if inside and place.suffix.lower() not in folders:
        place = place / named
    if place.suffix.lower() not in endings:
        raise ConfigError(
            f"{doing}: {printable(place)}: unknown {modality.name} format; end the name in {', '.join(endings)}"
        )
    return place


def _sheet(named: str | None, place: Path, count: int) -> Path | None:
    """Return where the picture of all items goes, if one is wanted; "-" stands for a name after that of the output."""
    if not named:
        return None
    if named != "-":
        return Path(named)
    free = count > 1 and place.suffix.lower() == ".png"  # the items have numbers: nobody else goes by the name as it is
    return place if free else place.with_name(f"{place.stem}-sheet.png")


def _targets(place: Path, count: int) -> list[Path]:
    """Return the file, or folder, of each item."""
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
        "stages": [{"name": one.name, "nfe": one.nfe, "seconds": round(one.seconds, 4)} for one in made.stages],
        "sha256": content_digest(target),
    }


def _previewing(pipeline: Pipeline, folder: Path) -> Observer:
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
        took = f"{made.nfe} NFE, {made.seconds:.2f} s{stages_told(made.stages)}"
        click.echo(f"{printable(target)}  (item {made.item}, {took})")


@contextlib.contextmanager
def _progress(pipeline: Pipeline, count: int, steps: int, *, quiet: bool) -> Iterator[_Telling]:
    """Show a bar on a terminal, and lines elsewhere."""
    if quiet:
        yield _Quiet()
    elif not sys.stderr.isatty():
        yield _Lines()
    else:
        from .progress import bar

        with bar(f"{count} x {pipeline.name}", steps) as shown:
            yield shown


def stages_told(stages: Sequence[StageMade]) -> str:
    """Return what each stage took, for a line about an item; nothing where there is only one."""
    if len(stages) < 2:
        return ""
    return ": " + ", ".join(f"{one.name} {one.nfe} NFE {one.seconds:.2f} s" for one in stages)
