"""``noiseform replay``: a file made again from the record inside it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import CheckpointError, ConfigError, MediaError, NoiseformError, NumericError, PluginError
from ..naming import printable
from ..registration.attribution import plugins_named

if TYPE_CHECKING:
    from ..pipeline.made import Made
    from ..pipeline.modality import Modality
    from ..pipeline.pipeline import Pipeline
    from ..pipeline.record import Record

__all__ = ["replay"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--pipeline", metavar="PIPELINE", help="Where the model is now, if not under the recorded name.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    type=click.Path(path_type=Path),
    help="What it was made from, where it was edited or made larger.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Keep what was made.")
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT if it exists.")
@plugins_named("replay")
def replay(file: Path, pipeline: str | None, sources: tuple[Path, ...], output: Path | None, overwrite: bool) -> None:
    """Make FILE again from the record inside it, and compare byte by byte.

    Ends with 0 where both are the same, with 7 where they differ (another version of torch, another processor, a plugin
    that has changed, or items that were made several at a time), with 3 where FILE is cut or damaged, with 4 where the
    model is no longer the same, and with 5 where a plugin is missing that it was made with.
    """
    from ..machine.memory import keep_large_blocks
    from ..pipeline.record import read
    from ..pipeline.required import refuse_missing_modality
    from ..storage.content import content_digest

    keep_large_blocks()
    refuse_missing_modality(pipeline)  # which alone could read the file
    modality, table = _record_of(file)
    shown = printable(file)
    if table is None:
        what = f"replay: {shown}: holds no record of how it was made"
        raise _damage(modality, file, what) or CheckpointError(f"{what}; it was left out or stripped")
    record = read(table, where=shown)
    _refuse_missing_parts(record, shown)
    loaded = _same_pipeline(record, pipeline, shown)
    made = _made_again(loaded, record, sources, shown)
    with tempfile.TemporaryDirectory() as folder:
        again = output or Path(folder) / f"again{file.suffix.lower()}"
        modality.write(made.media, again, record=True, overwrite=overwrite)
        if content_digest(again) == content_digest(file):
            click.echo(f"{shown}: the same, byte by byte ({made.nfe} NFE, {made.seconds:.2f} s)")
            return
    what = f"replay: {shown}: what was made again differs"
    raise _damage(modality, file, what) or NumericError(
        f"{what}; made by noiseform {record.version}, torch {table.get('torch', '?')}{_outsiders(record)}"
    )


def _damage(modality: Any, file: Path, what: str) -> MediaError | None:
    """Return an error that explains ``what`` by a file that cannot be read whole; None where it can be."""
    try:
        if hasattr(modality, "read"):
            modality.read(file)
    except MediaError as error:
        return MediaError(f"{what}; {error}")
    return None


def _outsiders(record: Record) -> str:
    """Return whose parts from outside took part, with the version then and now; nothing where noiseform's own did."""
    from ..registration.build import find
    from ..registration.installed import came_by

    told: dict[str, str] = {}
    for part in record.parts:
        now = find(part.kind, f"{part.distribution}/{part.name}").plugin.candidate
        versions = f" {part.version} then, {now.version} now" if now.version else ""
        if not now.builtin:
            told[part.distribution] = f"{part.distribution}{versions} ({came_by(now)})"
    return f"; parts from outside took part: {printable(', '.join(told.values()))}" if told else ""


def _made_again(pipeline: Pipeline, record: Record, sources: Sequence[Path], shown: str) -> Made:
    """Return an item made again, out of noise or out of what it was made from."""
    if record.made_from is None:
        if sources:
            raise ConfigError(f"replay: {shown}: it was made from noise alone; leave --source out")
        (made,) = pipeline.make([record.conditions], seed=record.seed, first=record.item)
        return made
    from ..verbs.regions import is_text_of_region
    from ..verbs.requests import EditRequest, UpscaleRequest
    from ..verbs.verbs import Verbs

    wish = record.made_from
    if wish["verb"] not in ("edit", "upscale"):
        raise CheckpointError(
            f"replay: {shown}: it was made by {wish['verb']}, which has no command; make it again in Python"
        )
    if len(sources) != len(wish["sources"]):
        count = {1: "another item; name its file", 2: "two items; name their files"}[len(wish["sources"])]
        raise ConfigError(f"replay: {shown}: it was made from {count} by --source")
    verbs, wishes = Verbs(record.config.modality), [record.conditions]
    if wish["verb"] == "upscale":
        upscaling = UpscaleRequest(wishes=wishes, seed=record.seed, factor=wish["factor"])
        job = upscaling.job(verbs, pipeline, sources[0])
    else:
        if any(not is_text_of_region(one, pipeline.modality) for one in wish["mask"] or ()):
            raise ConfigError(f"replay: {shown}: its mask was a file or an array, which the record does not hold")
        between = sources[1] if len(sources) > 1 else None
        given = {name: wish[name] for name in ("mask", "extend", "strength", "at", "resample")}
        editing = EditRequest(wishes=wishes, seed=record.seed, first=record.item, between=between, **given)
        job = editing.job(verbs, pipeline, sources[0])
    (made,) = job.make(())
    told: Any = made.media.record
    if told["made_from"]["sources"] != wish["sources"]:
        raise ConfigError(
            f"replay: {shown}: it was not made from {', '.join(map(printable, sources))}; name the right one"
        )
    return replace(made, media=job.kept(made.media))


def _record_of(file: Path) -> tuple[Modality, Mapping[str, object] | None]:
    """Return what a file is, and the record inside it.

    Plugins may have modalities whose files end alike: then it is that which the record names.
    """
    several = _modalities_of(file)
    for modality in several[:-1]:
        with contextlib.suppress(Exception):  # its reader may raise anything at what is another's and ends alike
            table = modality.read_record(file)
            config = None if table is None else table.get("config")
            if isinstance(config, Mapping) and config.get("modality") == modality.name:
                return modality, table
    return several[-1], several[-1].read_record(file)


def _modalities_of(file: Path) -> list[Modality]:
    """Return the modalities whose files end like this one, those of noiseform last."""
    from ..registration.build import build
    from ..registration.registry import current

    endings, found = [], []
    for part in sorted(current().plugins.parts("modality"), key=lambda part: part.plugin.candidate.builtin):
        modality: Any = build("modality", part.full_name)
        folders = getattr(modality, "folders", ())
        known = [ending for ending in modality.endings if ending not in folders]
        if (os.path.isfile(file) and file.suffix.lower() in known) or (
            os.path.isdir(file) and file.suffix.lower() in folders
        ):
            found.append(modality)
        endings += modality.endings
    if found:
        return found
    if os.path.isdir(file):
        raise ConfigError(f"replay: {printable(file)}: it is a folder; name a file that noiseform made")
    if not os.path.isfile(file):
        raise ConfigError(f"replay: {printable(file)}: there is no such file; name one that noiseform made")
    raise ConfigError(
        f"replay: {printable(file)}: no modality has such files; known endings: {', '.join(endings)}; where a plugin's "
        "has, name the model by --pipeline, which says what to install"
    )


def _refuse_missing_parts(record: Record, shown: str) -> None:
    """Refuse a record that names parts which no plugin has here, before anything of its pipeline is looked for.

    Raises:
        PluginError: see above; it names distribution and version of each plugin.
    """
    from ..pipeline.required import check_installed

    check_installed(record.parts, what=f"replay: {shown}: it was made by {printable(record.pipeline)}")


def _same_pipeline(record: Record, wanted: str | None, shown: str) -> Pipeline:
    """Return the pipeline of a record, with the weights that it names."""
    from ..machine.devices import checked_dtype
    from ..pipeline.compiled import Compiler
    from ..pipeline.loading import load_pipeline

    name = wanted or record.pipeline
    try:
        loaded = load_pipeline(
            _meant(name, record),
            record.config.modality,
            config=record.config,
            parts=record.parts,
            dtype=checked_dtype(record.dtype),
            compiler=Compiler(partial(click.echo, err=True)) if record.compile else None,
        )
    except PluginError:
        raise
    except ConfigError as error:
        raise ConfigError(f"replay: {shown}: {error}; say where the model is by --pipeline") from error
    if dict(loaded.digests) != dict(record.weights):
        raise CheckpointError(
            f"replay: {shown}: pipeline {printable(name)} has other weights than the file was made with; "
            "say where the right ones are by --pipeline"
        )
    return replace(loaded, name=record.pipeline)  # under another name now, but the same


def _meant(name: str, record: Record) -> str:
    """Return a pipeline's name; of several that plugins give it to, the full one of that with the record's weights."""
    from ..registration.registry import current
    from ..storage.model_folder import read_model_folder

    registry = current()
    rivals = [part.full_name for part in registry.plugins.parts("pipeline") if part.name == name]
    for rival in rivals if len(rivals) > 1 else ():
        with contextlib.suppress(NoiseformError):
            model = read_model_folder(registry.model_folder(rival))
            if {stage: model.sha256(stage) for stage in model.stages}.items() <= record.weights.items():
                return rival
    return name
