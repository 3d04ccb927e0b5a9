"""What a trained model is for: a pipeline makes media, codecs and classifiers help one."""

from __future__ import annotations

from collections.abc import Mapping

from ..registration.config import PipelineConfig, checked
from .classifier import CLASSIFIER
from .overrides import takes_source
from .pretrained import CODEC

__all__ = ["helper_of", "usage"]


def helper_of(pipeline: Mapping[str, object]) -> str | None:
    """Return what a model is that makes nothing by itself, ``"codec"`` or ``"classifier"``; None for a pipeline.

    Args:
        pipeline: what its folder says of it.
    """
    return next((kind for kind in (CODEC, CLASSIFIER) if kind in pipeline and "stages" not in pipeline), None)


def usage(pipeline: Mapping[str, object], path: str) -> str:
    """Return the command that makes media with a model, or the line of a file that names a codec or a classifier.

    Args:
        pipeline: what its folder says of it.
        path: of the folder, as it is to be written.
    """
    helper, modality = helper_of(pipeline), pipeline.get("modality")
    if helper is None:
        first, *_ = checked(PipelineConfig, pipeline, what=f"model {path}").stages
        verb = f"upscale {modality} INPUT --pipeline" if takes_source(first) else f"generate {modality}"
        return f"noiseform {verb} {path}"
    if helper == CLASSIFIER:
        return f'guidance = {{ use = "classifier", weights = "{path}" }}'
    table = pipeline[CODEC]
    name = table.get("use", "...") if isinstance(table, Mapping) else "..."
    return f'codec = {{ use = "{name}", weights = "{path}" }}'
