"""Models in other layouts, made into model folders: a converter reads, this checks that it fits and writes it whole."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ..errors import CheckpointError, ConfigError, NoiseformError
from ..naming import printable
from ..registration.attribution import plugins_named
from ..registration.build import build
from ..registration.config import PipelineConfig, checked
from ..registration.defaults import with_defaults_named
from ..registration.registry import current
from ..storage.atomic import publish_folder, temporary_folder, write_whole
from ..storage.model_folder import is_model_folder, read_model_folder, write_model_folder
from ..storage.model_parts import RequiredPart
from ..storage.safetensors_format import tensor_chunks
from ..storage.weights import check_fit, save_tensors
from .modality import spec_of
from .pretrained import codec_entry, has_weights
from .stage import Stage, build_stage

__all__ = [
    "Converted",
    "Converter",
    "content_name",
    "convert",
    "folders_named_in",
    "is_replaced",
    "make_parents",
    "write_converted",
]

_FOLDER = re.compile(r"[a-z][a-z0-9]*-[0-9a-f]{8}")
_OF_TORCH = {"format": "pt"}  # what transformers asks of a file before it reads it


@dataclass(frozen=True)
class Converted:
    """A model in another layout, read and translated.

    Attributes:
        pipeline: the table of the pipeline that it becomes.
        weights: tensors by their names in the stage's ``Model`` (``network.…``), and of its codec under
            ``STAGE.codec``. What a conditioner brings itself is left out.
        folders: files of conditioners, bytes or tensors by their names, in folders by the names that the pipeline has
            for them.
        facts: where it comes from: what JSON can say.
        notes: what the user should know: one line each.
    """

    pipeline: Mapping[str, object]
    weights: Mapping[str, Mapping[str, Tensor]]
    folders: Mapping[str, Mapping[str, bytes | Mapping[str, Tensor]]]
    facts: Mapping[str, object]
    notes: tuple[str, ...] = ()


class Converter(Protocol):
    """Reads models in one layout."""

    def reads(self, source: Path) -> bool:
        """Tell whether a folder claims to be of this layout."""

    def convert(self, source: Path, *, pickles: bool) -> Converted:
        """Return the model in a folder.

        Raises:
            CheckpointError: it is damaged or incomplete, or has something that noiseform cannot say.
        """


def content_name(name: str, files: Mapping[str, bytes | Mapping[str, Tensor]]) -> str:
    """Return a folder's name that says what is in it, ``name-<first 8 of sha256>``."""
    digest = hashlib.sha256()
    for file, content in sorted(files.items()):
        digest.update(f"{file}\0".encode())
        for chunk in [content] if isinstance(content, bytes) else tensor_chunks(content, _OF_TORCH):
            digest.update(chunk)
    return f"{name}-{digest.hexdigest()[:8]}"


def convert(source: Path, out: Path, *, overwrite: bool = False, pickles: bool = False) -> Converted:
    """Make a model folder of a model in another layout; what stands at ``out`` stays until the new one is complete.

    Args:
        source: a folder that a converter reads.
        out: the model folder to write.
        overwrite: replace a model folder that is there.
        pickles: read weights from pickles too, by torch's restricted reader, which runs no code.

    Raises:
        ConfigError: there is no such folder, no converter reads it, or ``out`` is taken.
        CheckpointError: the model is damaged, or cannot be translated.
        PluginError: a part that it needs is not there.
        ResourceError: the disk is full, or memory runs out.
    """
    replaced = is_replaced(out, overwrite, "convert")
    with plugins_named(f"convert: {printable(source)}"):
        found = _converter_of(source).convert(source, pickles=pickles)
    write_converted(found, out, source=printable(source), replaced=replaced)
    return found


def write_converted(found: Converted, out: Path, *, source: str, replaced: bool = False) -> None:
    """Write a model that was read as a model folder, whole, after making sure that everything in it fits.

    Args:
        found: the model.
        out: the model folder.
        source: what it was read from, for messages.
        replaced: whether a model folder is there already, which stays until the new one is complete.

    Raises: what :func:`convert` raises.
    """
    config = with_defaults_named(checked(PipelineConfig, found.pipeline, what=f"convert: {source}"))
    make_parents(out, "convert")
    with temporary_folder(out) as room:
        for folder, files in found.folders.items():
            _write_folder(room / folder, files)
        weights, parts = _translated(config, found.weights, room, source)
        model = (config.model_dump(exclude_none=True), weights, parts, found.facts)
        if replaced:
            before = folders_named_in(out)
            for folder in found.folders:
                if not (out / folder).exists():
                    os.rename(room / folder, out / folder)
            write_model_folder(out, *model)
            _prune(out, before - found.folders.keys())
        else:
            write_model_folder(room, *model)
            publish_folder(room, out)


def make_parents(out: Path, doing: str) -> None:
    """Make the folders that a model folder will stand in; ``doing`` is what messages call it."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise ConfigError(
            f"{doing}: {printable(out.parent)}: this folder cannot be made ({why}); choose another"
        ) from error


def _translated(
    config: PipelineConfig, given: Mapping[str, Mapping[str, Tensor]], folder: Path, source: str
) -> tuple[dict[str, Mapping[str, Tensor]], list[RequiredPart]]:
    """Return the weights of all stages and codecs, and the parts that they were built with.

    Raises:
        CheckpointError: what was read gives no pipeline, or weights that do not fit.
    """
    weights: dict[str, Mapping[str, Tensor]] = {}
    parts: set[RequiredPart] = set()
    try:
        with torch.random.fork_rng(devices=[]), plugins_named(f"convert: {source}"):  # initial weights are drawn
            spec = spec_of(build("modality", config.modality), config.media)
            for table in config.stages:
                stage = build_stage(table, spec, where=source, folder=folder)
                weights |= dict(_fitted(stage, given, source))
                parts |= {*stage.parts}
    except ConfigError as error:  # the tables are the converter's: what is wrong in them is wrong in what it read
        raise CheckpointError(f"convert: {error}") from error
    return weights, sorted(parts, key=str)


def is_replaced(out: Path, overwrite: bool, doing: str) -> bool:
    """Tell whether a model folder is to be replaced, and refuse whatever else is there; ``doing`` is for messages."""
    if not out.name or "\0" in str(out):
        raise ConfigError(f"{doing}: {printable(out)}: no name for a model folder; choose another")
    if not os.path.lexists(out) or _is_empty(out):
        return False
    if not is_model_folder(out):
        raise ConfigError(f"{doing}: {printable(out)}: it exists and is no model folder; choose another name")
    if not overwrite:
        raise ConfigError(f"{doing}: {printable(out)}: it exists; choose another name, or replace it with --overwrite")
    return True


def _is_empty(folder: Path) -> bool:
    """Tell whether this is a folder without anything in it, as far as one may look."""
    try:
        return os.path.isdir(folder) and not os.listdir(folder)
    except OSError:
        return False


def _converter_of(source: Path) -> Converter:
    """Return the converter that reads a folder."""
    if not os.path.isdir(source):  # which no odd name can upset
        cure = (
            "is a file; name the folder of the model" if os.path.exists(source) else "there is no such folder; name one"
        )
        raise ConfigError(f"convert: {printable(source)}: {cure}")
    if is_model_folder(source):
        raise ConfigError(f"convert: {printable(source)}: it is a model folder of noiseform's already; use it as it is")
    names = []
    for part in current().plugins.parts("converter"):
        converter: Converter = build("converter", part.full_name)
        if converter.reads(source):
            return converter
        names.append(part.name)
    raise ConfigError(
        f"convert: {printable(source)}: no converter knows its layout; known layouts: {', '.join(names) or 'none'}; "
        "name the folder itself that holds the model (for diffusers: the one with model_index.json)"
    )


def _write_folder(folder: Path, files: Mapping[str, bytes | Mapping[str, Tensor]]) -> None:
    folder.mkdir()
    for name, content in files.items():
        if isinstance(content, bytes):
            write_whole(folder / name, content)
        else:
            save_tensors(folder / name, content, _OF_TORCH)


def _fitted(
    stage: Stage, weights: Mapping[str, Mapping[str, Tensor]], source: str
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Give the weights of a stage and of its codec, after making sure that they fit."""
    for name, learnt in ((stage.config.name, stage.model), (codec_entry(stage.config.name), stage.codec)):
        if not has_weights(learnt):
            continue
        state = learnt.state_dict()
        own = {key: value for key, value in state.items() if key.startswith("conditioners.")}
        given = {**own, **weights.get(name, {})}
        check_fit(state, given, allow_dtype_cast=True, source=f"convert: {source}: weights of {name!r}")
        yield name, given


def folders_named_in(out: Path) -> set[str]:
    """Return the folders that the tables of a model name, as :func:`content_name` calls them."""
    try:
        tables = read_model_folder(out).pipeline
    except NoiseformError:
        return set()  # it is damaged: what belonged to it cannot be known, so it stays

    def texts(value: object) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            for one in value.values():
                yield from texts(one)
        elif isinstance(value, list | tuple):
            for one in value:
                yield from texts(one)

    return {text for text in texts(tables) if _FOLDER.fullmatch(text)}


def _prune(out: Path, folders: Collection[str]) -> None:
    """Remove the folders of the model that was replaced; what else is in the folder is the user's."""
    for name in folders:
        if (out / name).is_dir() and not (out / name).is_symlink():
            shutil.rmtree(out / name, ignore_errors=True)
