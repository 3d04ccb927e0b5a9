"""What a model or a file needs of the installed plugins: its parts, and the modality that it makes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import ConfigError, NoiseformError, PluginError
from ..naming import printable
from ..registration.build import build, find
from ..registration.registry import current
from ..storage.manifest import MANIFEST
from ..storage.model_folder import ModelFolder, read_model_folder
from ..storage.model_parts import RequiredPart, check_parts

__all__ = ["check_installed", "modality_of", "modality_required", "refuse_missing_modality"]

MODALITY = "modality"


def modality_required(name: str) -> tuple[RequiredPart, ...]:
    """Return what a model or a file needs for its modality: the part of a plugin; noiseform's own are always there."""
    try:
        part = find(MODALITY, name)
    except ConfigError:  # it was given as an object, which no plugin has registered
        return ()
    if part.plugin.candidate.builtin:
        return ()
    return (RequiredPart(MODALITY, part.name, part.plugin.distribution, part.plugin.candidate.version),)


def check_installed(parts: Iterable[RequiredPart], *, what: str = "model") -> list[str]:
    """Compare parts that something needs with the plugins that are installed; see :func:`check_parts`."""
    known = current().plugins
    return check_parts(
        parts,
        lambda part: known.version_of(part.kind, part.name, part.distribution),
        what=what,
        why=lambda part: known.why_absent(part.kind, part.distribution, part.version),
    )


def modality_of(name: str, pipeline: str | None) -> Any:
    """Return a modality by its name.

    Args:
        name: of it.
        pipeline: the pipeline or model folder that is to make it, which may know whose an unknown modality is.

    Raises:
        PluginError: no installed plugin has the modality of that model, which says whose it was; or it cannot be had.
        ConfigError: there is no such modality.
    """
    try:
        return build(MODALITY, name)
    except (ConfigError, PluginError):
        refuse_missing_modality(pipeline)
        raise


def refuse_missing_modality(pipeline: str | None) -> None:
    """Refuse a model whose modality no installed plugin has, before any of its media are looked for.

    Args:
        pipeline: the name of a pipeline, or the path of a model folder; nothing is said of what is neither.

    Raises:
        PluginError: see above; it names distribution and version of all that is missing.
    """
    model = None if pipeline is None else _model(pipeline)
    name = None if model is None else model.pipeline.get(MODALITY)
    known = {name for part in current().plugins.parts(MODALITY) for name in (part.name, part.full_name)}
    if model is None or not isinstance(name, str) or name in known:
        return
    parts = model.parts
    if all(part.kind != MODALITY for part in parts):  # a model from before noiseform wrote it down
        parts = (*parts, RequiredPart(MODALITY, name, "", ""))
    check_installed(parts, what=f"model {printable(model.folder)}")


def _model(pipeline: str) -> ModelFolder | None:
    """Return the model folder of a pipeline, or the one that this is the path of."""
    path = Path(os.path.expanduser(pipeline))
    with contextlib.suppress(NoiseformError):  # what is wrong with it is told by who loads it
        named = ("/" in pipeline or pipeline.startswith(".")) and os.path.isfile(path / MANIFEST)
        return read_model_folder(path if named else current().model_folder(pipeline))
    return None
