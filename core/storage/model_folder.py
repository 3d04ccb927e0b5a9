"""A trained model on disk: a folder that is the old model or the new one, at every moment of an export.

It holds ``pipeline.toml`` (the effective configuration), ``<stage>-<first 8 of sha256>.safetensors`` for each stage,
and ``manifest.json``. Weights have names that depend on their content, so a new export disturbs no file of the old
model; the manifest, which also holds the pipeline, is put in place in one step, and that step is the change from old to
new. Then ``pipeline.toml``, the same for people, is renewed, and the files that no longer count are removed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import tomli_w
import torch

from ... import __version__
from ..errors import CheckpointError, ConfigError, NumericError
from ..naming import printable
from ..registration.kinds import NAME
from ..registration.toml_file import parse_toml
from .atomic import write_whole
from .manifest import (
    FORMAT,
    MANIFEST,
    FileEntry,
    check_present,
    describe,
    locate,
    read_entries,
    read_manifest,
)
from .model_manifest import PIPELINE, check_copy, malformed, read_parts, read_pipeline, read_table, sha256_or_none
from .model_parts import RequiredPart
from .strict_json import dump_json
from .temporary import clean_stale
from .weights import is_finite, load_tensors, save_tensors, tensors_sha256

__all__ = ["ModelFolder", "is_model_folder", "load_model_folder", "read_model_folder", "write_model_folder"]

_WEIGHTS = re.compile(rf"({NAME.pattern})-[0-9a-f]{{8}}\.safetensors", re.ASCII)
_ATTEMPTS = 3

Taken = TypeVar("Taken")


@dataclass(frozen=True)
class ModelFolder:
    """A model folder whose manifest has been read and checked.

    Attributes:
        folder: where it is.
        pipeline: the effective configuration of the pipeline, as nested tables.
        stages: for each stage the name of its weights' file.
        files: the entry of each file.
        parts: what the model needs.
        version: the noiseform that wrote it.
        facts: how it was trained.
        manifest: the whole manifest.
    """

    folder: Path
    pipeline: dict[str, object]
    stages: dict[str, str]
    files: dict[str, FileEntry]
    parts: tuple[RequiredPart, ...]
    version: str
    facts: dict[str, object]
    manifest: dict[str, object]

    def sha256(self, stage: str) -> str:
        """Return the sha256 of a stage's weights.

        Raises:
            CheckpointError: when the model has no such stage.
        """
        return self.files[self._file(stage)].sha256

    def weights(self, stage: str, *, allow_nonfinite: bool = False) -> dict[str, torch.Tensor]:
        """Load the tensors of a stage, checked against the manifest.

        Raises:
            CheckpointError: when the model has no such stage, or the file is missing, damaged or altered.
        """
        name = self._file(stage)
        path = locate(self.folder, name)
        return load_tensors(path, self.files[name].sha256, allow_nonfinite=allow_nonfinite)

    def _file(self, stage: str) -> str:
        if stage not in self.stages:
            known = ", ".join(sorted(self.stages)) or "none"
            raise CheckpointError(f"model: {printable(self.folder)}: it has no stage {stage!r}; it has {known}")
        return self.stages[stage]


def is_model_folder(folder: Path) -> bool:
    """Tell whether ``folder`` holds a manifest and so claims to be a model folder."""
    return (folder / MANIFEST).is_file()


def write_model_folder(
    folder: Path,
    pipeline: Mapping[str, object],
    stages: Mapping[str, Mapping[str, torch.Tensor]],
    parts: Iterable[RequiredPart],
    facts: Mapping[str, object],
) -> ModelFolder:
    """Write a model, or put a new one in the place of the one there.

    Args:
        folder: made where it is missing.
        pipeline: the effective configuration: what TOML can say.
        stages: for each stage its tensors by name.
        parts: the parts that the model needs.
        facts: how it was trained: what JSON can say.

    Raises:
        NumericError: when a tensor is not finite.
        ConfigError: when the configuration cannot be written as TOML, or the folder cannot be written.
        ResourceError: when the disk is full; the model that was there is intact then.
    """
    text = _toml(pipeline)
    dump_json(facts)  # what JSON cannot say fails before anything is written
    _check_stages(stages)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise ConfigError(f"model: {printable(folder)}: cannot be made ({why}); choose another folder") from error
    clean_stale(folder)
    before = _stages_of(folder)
    names: dict[str, str] = {}
    entries = {PIPELINE: describe(text.encode("utf-8"))}
    for stage, tensors in stages.items():
        metadata = {"format": "pt", "noiseform.stage": stage}
        sha256 = tensors_sha256(tensors, metadata)
        names[stage] = f"{stage}-{sha256[:8]}.safetensors"
        save_tensors(folder / names[stage], tensors, metadata, overwrite=True)
        entries[names[stage]] = FileEntry(sha256, (folder / names[stage]).stat().st_size)
    manifest: dict[str, object] = {
        "format": FORMAT,
        "noiseform": __version__,
        "pipeline": text,
        "replaces": sha256_or_none(folder / PIPELINE),
        "stages": names,
        "files": {name: entry.as_json() for name, entry in entries.items()},
        "parts": [asdict(part) for part in parts],
        "facts": dict(facts),
    }
    write_whole(folder / MANIFEST, dump_json(manifest), overwrite=True)
    write_whole(folder / PIPELINE, text, overwrite=True)
    _prune(folder, set(names.values()), {*names, *before})
    return read_model_folder(folder)


def read_model_folder(folder: Path) -> ModelFolder:
    """Read a model's manifest and check that its files are there; the weights are loaded by `ModelFolder.weights`.

    Raises:
        NewerFormatError: when a later noiseform wrote it.
        CheckpointError: when it is no model folder, or a file is missing, altered or outside of the folder.
    """
    return _of_one_export(folder, lambda model: None)[0]


def load_model_folder(
    folder: Path, *, allow_nonfinite: bool = False
) -> tuple[ModelFolder, dict[str, dict[str, torch.Tensor]]]:
    """Read a model and all its weights, all of one export even while training exports again.

    Raises:
        CheckpointError: as `read_model_folder` and `ModelFolder.weights`.
    """
    return _of_one_export(
        folder, lambda model: {name: model.weights(name, allow_nonfinite=allow_nonfinite) for name in model.stages}
    )


def _of_one_export(folder: Path, take: Callable[[ModelFolder], Taken]) -> tuple[ModelFolder, Taken]:
    """Read the manifest and what it names, again where a new export took the model's place meanwhile."""
    for attempt in range(_ATTEMPTS):
        manifest = None
        try:
            model = _read(folder)
            manifest = model.manifest
            return model, take(model)
        except CheckpointError:
            # A file may have gone because a new export took the model's place: then the manifest is another one.
            if attempt + 1 == _ATTEMPTS or (manifest is not None and read_manifest(folder) == manifest):
                raise
    raise AssertionError("unreachable")


def _read(folder: Path) -> ModelFolder:
    if not is_model_folder(folder):
        raise CheckpointError(
            f"model: {printable(folder)}: no model folder ({MANIFEST} is missing); name one that `train` made"
        )
    manifest = read_manifest(folder)
    names, facts = read_table(folder, manifest, "stages"), read_table(folder, manifest, "facts")
    files = read_entries(folder, manifest.get("files"))
    stages = {stage: name for stage, name in names.items() if isinstance(name, str) and name in files}
    version = manifest.get("noiseform")
    if not isinstance(version, str) or stages.keys() != names.keys() or PIPELINE not in files:
        raise malformed(folder, "it lacks its version or the entries of its files")
    pipeline = read_pipeline(folder, manifest.get("pipeline"), files[PIPELINE])
    check_copy(folder, files[PIPELINE], manifest.get("replaces"))
    check_present(folder, {name: entry for name, entry in files.items() if name != PIPELINE})
    parts = read_parts(folder, manifest.get("parts"))
    return ModelFolder(folder, pipeline, stages, files, parts, version, facts, manifest)


def _toml(pipeline: Mapping[str, object]) -> str:
    """The pipeline as TOML, after making sure that it can be read back."""
    try:
        text = tomli_w.dumps(pipeline)
        parse_toml(text, PIPELINE)
        text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"model: the pipeline's configuration cannot be written as TOML ({why}); leave such values out"
        ) from error
    return text


def _check_stages(stages: Mapping[str, Mapping[str, torch.Tensor]]) -> None:
    for stage, tensors in stages.items():
        if not NAME.fullmatch(stage):
            raise ConfigError(f"model: {stage[:80]!r} is no name of a stage; use a-z, 0-9, '.', '_' and '-'")
        broken = [name for name, tensor in tensors.items() if not is_finite(tensor)]
        if broken:
            raise NumericError(
                f"model: stage {stage!r}: {broken[0]} holds NaN or infinity; export an earlier checkpoint"
            )


def _stages_of(folder: Path) -> set[str]:
    """The stages of the model that is there, if one is."""
    try:
        return set(read_table(folder, read_manifest(folder), "stages"))
    except CheckpointError:  # none, or a damaged one that is about to be replaced
        return set()


def _prune(folder: Path, kept: set[str], stages: set[str]) -> None:
    """Remove weights of these stages that the manifest no longer names; nothing else in the folder is ours."""
    for path in folder.iterdir():
        match = _WEIGHTS.fullmatch(path.name)
        if match and match[1] in stages and path.name not in kept:
            with suppress(OSError):
                path.unlink()
