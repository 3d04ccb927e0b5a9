"""What a trained model is for: a pipeline makes media, codecs and classifiers help one."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigError, PluginError
from ..naming import printable
from ..registration.config import PipelineConfig, checked
from ..registration.example import inline
from .classifier import CLASSIFIER
from .overrides import takes_source
from .pretrained import CODEC

__all__ = ["helper_of", "usage"]

_LONGEST = 4000  # characters of a line that is there to be copied


def helper_of(pipeline: Mapping[str, object]) -> str | None:
    """Return what a model is that makes nothing by itself, ``"codec"`` or ``"classifier"``; None for a pipeline.

    Args:
        pipeline: what its folder says of it.
    """
    return next((kind for kind in (CODEC, CLASSIFIER) if kind in pipeline and "stages" not in pipeline), None)


def usage(pipeline: Mapping[str, object], folder: Path) -> str:
    """Return the command that makes media with a model, or where and how a codec or a classifier is named.

    Args:
        pipeline: what its folder says of it.
        folder: where it is.
    """
    path = str(folder) if folder.is_absolute() else os.path.join(os.curdir, folder)
    helper, modality = helper_of(pipeline), pipeline.get("modality")
    if helper is None:
        verb = f"upscale {modality} INPUT --pipeline" if _enlarges(pipeline, folder) else f"generate {modality}"
        return printable(f"noiseform {verb} {shlex.quote(path)}", _LONGEST)
    if helper == CLASSIFIER:
        line = f"in a pipeline: guidance = {inline({'use': 'classifier', 'weights': path})}"
    else:
        table = pipeline[CODEC]
        name = table.get("use", "...") if isinstance(table, Mapping) else "..."
        line = f"in a recipe: codec = {inline({'use': name, 'weights': path})}"
    return printable(line, _LONGEST)


def _enlarges(pipeline: Mapping[str, object], folder: Path) -> bool:
    """Return whether the first stage goes on from what is there; not where its plugins are missing."""
    first, *_ = checked(PipelineConfig, pipeline, what=f"model {printable(folder)}").stages
    try:
        return takes_source(first)
    except (ConfigError, PluginError):
        return False
