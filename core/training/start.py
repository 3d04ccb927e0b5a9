"""Training that starts from a trained model in the place of random weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from ..errors import CheckpointError, ConfigError, PluginError
from ..naming import printable
from ..registration.config import PartConfig
from ..registration.weights_reference import resolve_weights
from ..storage.model_folder import load_model_folder
from ..storage.weights import assign

__all__ = ["freeze_start", "start_from"]


def start_from(reference: str, entry: str, model: nn.Module, conditioners: Sequence[PartConfig] = ()) -> None:
    """Put the weights of a model folder into a model that is about to be trained.

    A model may declare ``additions``, groups of names of weights that it has beside those of a simpler model: a group
    of which the folder has none keeps its initial values. All else has to be there, and nothing beside it.

    Args:
        reference: the folder, or ``package.module:folder``.
        entry: the name that the weights have there, see :class:`~.task.Task`.
        model: takes them.
        conditioners: the tables of the model's conditioners, whose ``names`` must be those of the folder's, or their
            weights would mean something else.

    Raises:
        ConfigError: there is no such folder, or its conditioners know other names.
        CheckpointError: it is damaged, or its weights are of another network.
    """
    try:
        folder = resolve_weights(reference)
    except ConfigError as error:
        raise ConfigError(f"training.start: {error}") from error
    found, weights = load_model_folder(folder)
    if entry not in weights:
        raise CheckpointError(
            f"training.start: {printable(folder)} has no weights of {entry!r}, only of {', '.join(sorted(weights))}; "
            "name a model that the same kind of recipe made"
        )
    _refuse_other_names(found.pipeline, entry, conditioners, printable(folder))
    tensors, state = weights[entry], model.state_dict()
    new = [group for group in _additions(model) if group.isdisjoint(tensors)]
    tensors = {**tensors, **{name: state[name] for group in new for name in group}}
    source = f"training.start: {printable(folder / found.stages[entry])}"
    assign(model, tensors, allow_dtype_cast=True, source=source)


def _refuse_other_names(
    pipeline: Mapping[str, Any], entry: str, conditioners: Sequence[PartConfig], folder: str
) -> None:
    """Refuse conditioners whose names, such as labels, are not those of the folder's, in their order."""
    stages = {stage.get("name", "base"): stage for stage in pipeline.get("stages", ())}
    theirs = stages.get(entry, {}).get("conditioners", ())
    for number, (ours, their) in enumerate(zip(conditioners, theirs, strict=False)):
        names, known = ours.params.get("names"), their.get("names")
        if names is not None and known is not None and list(names) != list(known):  # type: ignore[call-overload]
            raise ConfigError(
                f"training.start: {folder}: its conditioner {their['use']!r} knows other names, or in another order; "
                f"take over its names in stages.{entry}.conditioners.{number}: {', '.join(known)}"
            )


def freeze_start(model: nn.Module) -> None:
    """Have nothing of a model learn but its ``additions`` to the one that it starts from.

    Args:
        model: is about to be trained.

    Raises:
        ConfigError: it declares no additions.
    """
    additions = frozenset().union(*_additions(model))
    if not additions:
        raise ConfigError(
            "training.freeze: this model has nothing beside what it starts from, so nothing would learn; leave it out"
        )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in additions)


def _additions(model: nn.Module) -> tuple[frozenset[str], ...]:
    groups = tuple(map(frozenset, getattr(model, "additions", ())))
    unknown = sorted(frozenset().union(*groups) - model.state_dict().keys())
    if unknown:
        raise PluginError(f"training: additions name {unknown[0]!r}, which the model does not have; fix the part")
    return groups
