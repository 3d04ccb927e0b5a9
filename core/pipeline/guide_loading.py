"""The guide of a guidance, from the model folder that its table names as its ``weights``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import CheckpointError, ConfigError
from ..naming import printable
from ..registration.config import PartConfig, checked
from ..registration.weights_reference import resolve_weights
from ..storage.model_folder import load_model_folder, read_model_folder
from ..storage.weights import assign_frozen
from .classifier import CLASSIFIER, Classifier, ClassifierConfig
from .guide import ClassifierGuide, DenoiserGuide, Guide
from .pretrained import codec_entry, has_weights
from .stage import Stage
from .trained import part_differences

if TYPE_CHECKING:
    from .pipeline import Pipeline

__all__ = ["guide_entry", "load_guide"]

_RECIPES = {"classifier": "a classifier's recipe", "denoiser": "a model's recipe"}


def guide_entry(stage: str) -> str:
    """Return the name under which a record tells the sha256 of a stage's guide."""
    return f"{stage}.guidance"


def load_guide(stage: Stage, load: Callable[[str], Pipeline], *, where: str, device: str) -> Guide | None:
    """Return what the guidance of a stage asks for, with its weights; None where it asks for nothing.

    Args:
        stage: the guided one, with its weights.
        load: gives the pipeline of a model folder, to run as the guided one does.
        where: the pipeline, for messages.
        device: where a classifier runs, in float32.

    Raises:
        ConfigError: weights are named in vain or missing, or do not fit the guided model.
        CheckpointError: the folder holds something else, or is damaged.
    """
    table = stage.config.guidance
    wanted, at = getattr(stage.guidance, "guide", None), f"{where}: guidance {table.use!r}"
    if wanted is None:
        if table.weights is not None:
            raise ConfigError(f"{at}: it needs no weights; leave them out")
        return None
    if table.weights is None:
        raise ConfigError(
            f'{at}: it asks a model of its own; name its folder, that of {_RECIPES[wanted]}: weights = "FOLDER"'
        )
    folder = resolve_weights(table.weights)
    holds = "classifier" if CLASSIFIER in read_model_folder(folder).pipeline else "denoiser"
    if holds != wanted:
        raise CheckpointError(
            f"{at}: {printable(folder)} holds no {wanted}; name a folder that {_RECIPES[wanted]} made"
        )
    at = f"{at}: {printable(folder)}"
    return _classifier(stage, folder, at, device) if wanted == "classifier" else _weaker(stage, load, folder, at)


def _classifier(stage: Stage, folder: Path, at: str, device: str) -> ClassifierGuide:
    model, weights = load_model_folder(folder)
    config = checked(ClassifierConfig, model.pipeline[CLASSIFIER], what=f"classifier of {printable(folder)}")  # type: ignore[arg-type]
    owner = {(part.kind, part.name): part.distribution for part in model.parts}

    def owned(kind: str, table: PartConfig) -> PartConfig:
        return table.of(*filter(None, [owner.get((kind, table.use))]))

    config = config.model_copy(
        update={kind: owned(kind, getattr(config, kind)) for kind in ("process", "network", "codec")}
    )
    _refuse_others(stage, {"process": config.process, "codec": config.codec}, at)
    known = {name for one in stage.model.conditioners for name in getattr(one, "names", ())}
    foreign = [name for name in config.names if name not in known]
    if known and foreign:
        raise ConfigError(
            f"{at}: it tells apart {foreign[0]!r}, unknown to the guided model; train it on the labels of that"
        )
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn
        classifier = Classifier(config, stage.latent_shape)
    assign_frozen(classifier, weights[CLASSIFIER], source=f"weights: {printable(folder)}")
    _refuse_other_codec(stage, weights.get(codec_entry(CLASSIFIER), {}), at)
    return ClassifierGuide(classifier.to(device), model.sha256(CLASSIFIER))


def _weaker(stage: Stage, load: Callable[[str], Pipeline], folder: Path, at: str) -> DenoiserGuide:
    found = load(str(folder.resolve()))
    (weak,) = found.stages
    _refuse_others(stage, {"process": weak.config.process, "codec": weak.config.codec}, at)
    if weak.latent_shape != stage.latent_shape:
        raise ConfigError(
            f"{at}: its items are of shape {weak.latent_shape}, those of the guided model of {stage.latent_shape}; "
            "train it on the same media"
        )
    _refuse_other_codec(stage, weak.codec.state_dict() if has_weights(weak.codec) else {}, at)
    return DenoiserGuide(weak, found.digests[weak.config.name], found.device, found.dtype)


def _refuse_others(stage: Stage, parts: Mapping[str, PartConfig], at: str) -> None:
    """Refuse a guide that was trained with another process or codec."""
    for kind, own in parts.items():
        for name, was, now in part_differences(kind, getattr(stage.config, kind), own):
            raise ConfigError(
                f"{at}: {kind}{name}: it was trained with {was}, the guided model with {now}; train one that fits"
            )


def _refuse_other_codec(stage: Stage, theirs: Mapping[str, Tensor], at: str) -> None:
    """Refuse a guide that lives in the latents of another codec; what precision it is kept in does not matter."""
    ours = stage.codec.state_dict() if has_weights(stage.codec) else {}
    same = ours.keys() == theirs.keys() and all(
        torch.allclose(ours[name].float().cpu(), theirs[name].float().cpu(), rtol=0.02, atol=1e-4) for name in ours
    )
    if not same:
        raise ConfigError(f"{at}: it was trained in the latents of another codec; train one with the same codec")
