"""A trained model told: its folder's pipeline, how it was trained, and what it needs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..naming import printable
from .registry import flattened
from .rows import print_facts
from .show_pipeline import print_configuration

if TYPE_CHECKING:
    from ..storage.model_folder import ModelFolder

__all__ = ["model_entry", "print_model"]

_LONGEST = 4000


def model_entry(folder: Path) -> dict[str, object]:
    """Return what is known of a trained model, its settings by the paths that ``--set`` takes.

    Raises:
        CheckpointError: it is damaged, or from a newer noiseform.
    """
    from ..storage.model_folder import read_model_folder

    model = read_model_folder(folder)
    return {
        "model": str(folder),
        "summary": model.pipeline.get("summary", ""),
        "noiseform": model.version,
        "example": _example(model),
        "trained": model.facts,
        "files": {name: {"size": file.size, "sha256": file.sha256} for name, file in model.files.items()},
        "parts": [asdict(part) for part in model.parts],
        "settings": flattened(model.pipeline),
    }


def print_model(folder: Path) -> None:
    """Print the facts of a trained model and its settings.

    Raises:
        CheckpointError: as :func:`model_entry`.
    """
    from ..pipeline.usage import helper_of
    from ..registration.config import PipelineConfig, checked
    from ..registration.example import inline
    from ..storage.model_folder import read_model_folder

    model = read_model_folder(folder)
    named = ("model", printable(folder))
    facts = [*_trained(model), ("parts", _needed(model)), ("example", _example(model))]
    if helper_of(model.pipeline) is None:
        print_configuration(named, checked(PipelineConfig, model.pipeline, what=f"model {printable(folder)}"), facts)
        return
    print_facts([named, *facts], longest=_LONGEST)
    click.echo()
    for path, value in flattened(model.pipeline).items():
        click.echo(f"{path} = {inline(value)}")


def _trained(model: ModelFolder) -> list[tuple[str, str]]:
    """Return how a model was trained, in words; what its manifest does not tell is left out."""
    facts: dict[str, Any] = dict(model.facts)
    training = facts.get("training")
    steps = training.get("steps") if isinstance(training, dict) else None
    told = [("trained", f"{facts['step']}" + (f" of {steps}" if steps else "") + " steps")] if "step" in facts else []
    told += [(name, f"{facts[name]:.4g}") for name in ("items", "loss") if isinstance(facts.get(name), int | float)]
    weights = [(name, model.files[name].size) for name in dict.fromkeys(model.stages.values())]
    told += [("weights", ", ".join(f"{name} ({size / 1e6:.2f} MB)" for name, size in weights))]
    return [*told, ("noiseform", model.version)]


def _needed(model: ModelFolder) -> str:
    """Return the parts that a model needs, by the distribution that they come from."""
    named: dict[str, dict[str, None]] = {}
    for part in model.parts:
        named.setdefault(f"{part.distribution} {part.version}", {})[f"{part.kind}/{part.name}"] = None
    return "; ".join(f"{distribution}: {', '.join(names)}" for distribution, names in named.items())


def _example(model: ModelFolder) -> str:
    from ..pipeline.usage import usage

    path = printable(model.folder)
    return usage(model.pipeline, path if "/" in path else f"./{path}")
