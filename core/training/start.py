"""Training that starts from a trained model in the place of random weights."""

from __future__ import annotations

from torch import nn

from ..errors import CheckpointError
from ..naming import printable
from ..registration.weights_reference import resolve_weights
from ..storage.model_folder import load_model_folder
from ..storage.weights import assign

__all__ = ["start_from"]


def start_from(reference: str, entry: str, model: nn.Module) -> None:
    """Put the weights of a model folder into a model that is about to be trained.

    Args:
        reference: the folder, or ``package.module:folder``.
        entry: the name that the weights have there, see :class:`~.task.Task`.
        model: takes them.

    Raises:
        ConfigError: there is no such folder.
        CheckpointError: it is damaged, or its weights are of another network.
    """
    folder = resolve_weights(reference)
    found, weights = load_model_folder(folder)
    if entry not in weights:
        raise CheckpointError(
            f"training.start: {printable(folder)} has no weights of {entry!r}, only of {', '.join(sorted(weights))}; "
            "name a model that the same kind of recipe made"
        )
    source = f"training.start: {printable(folder / found.stages[entry])}"
    assign(model, weights[entry], allow_dtype_cast=True, source=source)
