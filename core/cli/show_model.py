"""A trained model told: its folder's pipeline, how it was trained, and what it needs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..naming import printable
from .registry import flattened
from .rows import print_facts
from .show_pipeline import print_configuration, print_settings

if TYPE_CHECKING:
    from ..registration.config import PipelineConfig
    from ..storage.model_folder import ModelFolder

__all__ = ["model_entry", "print_model"]

_LONGEST = 4000


def model_entry(folder: Path) -> dict[str, object]:
    """Return what is known of a trained model, its settings by the paths that ``--set`` takes.

    Raises:
        CheckpointError: it is damaged, or from a newer noiseform.
    """
    from ..pipeline.usage import usage
    from ..storage.model_folder import read_model_folder

    model = read_model_folder(folder)
    pipeline = _pipeline(model)
    return {
        "model": str(folder),
        "summary": model.pipeline.get("summary", ""),
        "noiseform": model.version,
        "example": usage(model.pipeline, folder),
        "trained": model.facts,
        "files": {name: {"size": file.size, "sha256": file.sha256} for name, file in model.files.items()},
        "parts": [asdict(part) for part in model.parts],
        "settings": flattened(model.pipeline if pipeline is None else pipeline.model_dump(exclude_none=True)),
    }


def print_model(folder: Path) -> None:
    """Print the facts of a trained model and its settings.

    Raises:
        CheckpointError: as :func:`model_entry`.
    """
    from ..pipeline.usage import usage
    from ..storage.model_folder import read_model_folder

    model = read_model_folder(folder)
    named, pipeline = ("model", printable(folder)), _pipeline(model)
    facts = [*_trained(model), ("parts", _needed(model)), ("example", usage(model.pipeline, folder))]
    if pipeline is None:
        print_facts([named, *facts], longest=_LONGEST)
        print_settings(model.pipeline)
    else:
        print_configuration(named, pipeline, facts)


def _pipeline(model: ModelFolder) -> PipelineConfig | None:
    """Return the pipeline that a model is; None for one that makes nothing by itself."""
    from ..pipeline.usage import helper_of
    from ..registration.config import PipelineConfig, checked

    if helper_of(model.pipeline) is not None:
        return None
    return checked(PipelineConfig, model.pipeline, what=f"model {printable(model.folder)}")


def _trained(model: ModelFolder) -> list[tuple[str, str]]:
    """Return how a model was trained, in words; what its manifest does not tell is left out."""
    facts, training = model.facts, model.facts.get("training")
    step, steps = _number(facts.get("step")), _number(training.get("steps") if isinstance(training, dict) else None)
    told = [("trained", f"{step} of {steps} steps" if step and steps else f"{step} steps" if step else "")]
    told += [(name, _number(facts.get(name))) for name in ("items", "loss")]
    weights = [(name, model.files[name].size) for name in dict.fromkeys(model.stages.values())]
    told += [("weights", ", ".join(f"{name} ({size / 1e6:.2f} MB)" for name, size in weights))]
    return [*told, ("noiseform", model.version)]


def _number(fact: object) -> str:
    """Return a number that a manifest tells; nothing where it is none, whoever wrote it."""
    if isinstance(fact, float):
        return f"{fact:.4g}"
    return str(fact) if type(fact) is int and abs(fact) < 10**18 else ""


def _needed(model: ModelFolder) -> str:
    """Return the parts that a model needs, by the distribution that they come from."""
    named: dict[str, dict[str, None]] = {}
    for part in model.parts:
        named.setdefault(f"{part.distribution} {part.version}", {})[f"{part.kind}/{part.name}"] = None
    return "; ".join(f"{distribution}: {', '.join(names)}" for distribution, names in named.items())
