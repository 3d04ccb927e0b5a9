"""Nested state, such as an optimizer's, as named tensors plus JSON, and back exactly; nothing is pickled.

JSON holds what it can say itself. What it cannot say stands as an object with one key:
``{"~tensor": name}``, ``{"~tuple": [...]}``, ``{"~float": "nan"}``, and ``{"~dict": [[key, value], ...]}`` for
tables whose keys are not all plain strings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from ..errors import CheckpointError

__all__ = ["flatten_state", "restore_optimizer", "restore_state"]

# What torch's optimizers keep in the shape of the parameter; others (Adafactor's, LBFGS's) have shapes of their own.
_SHAPED = {"exp_avg", "exp_avg_sq", "exp_inf", "max_exp_avg_sq", "momentum_buffer", "square_avg", "grad_avg"}
_SHAPED |= {"acc_delta", "sum", "ax", "prev", "step_size"}


def flatten_state(state: object) -> tuple[dict[str, torch.Tensor], object]:
    """Split nested state into tensors by name and a JSON value that says where each belongs.

    Args:
        state: tensors, numbers, strings, booleans, None, and lists, tuples and dicts of such.

    Raises:
        TypeError: when something else is in it.
    """
    tensors: dict[str, torch.Tensor] = {}

    def encode(value: object, path: str) -> object:
        if isinstance(value, torch.Tensor):
            name = f"{path}#{len(tensors)}" if path in tensors else path  # {"a.b": …} beside {"a": {"b": …}}
            tensors[name] = value
            return {"~tensor": name}
        if isinstance(value, float) and not math.isfinite(value):
            return {"~float": repr(float(value))}
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) is list:
            return [encode(item, f"{path}.{place}") for place, item in enumerate(value)]
        if type(value) is tuple:
            return {"~tuple": [encode(item, f"{path}.{place}") for place, item in enumerate(value)]}
        if isinstance(value, Mapping):
            return _encode_mapping(value, path)
        raise TypeError(f"state at {path!r} is a {type(value).__name__}, which has no place in a checkpoint")

    def _encode_mapping(value: Mapping[object, object], path: str) -> object:
        if all(type(key) is str and not key.startswith("~") for key in value):
            return {key: encode(item, f"{path}.{key}") for key, item in value.items()}
        # The place in the name keeps 1 and "1" apart.
        pairs = enumerate(value.items())
        return {"~dict": [[encode(key, path), encode(item, f"{path}.{place}:{key}")] for place, (key, item) in pairs]}

    return tensors, encode(state, "state")


def restore_state(tensors: Mapping[str, torch.Tensor], structure: object) -> object:
    """Put together again what `flatten_state` split.

    Raises:
        CheckpointError: when the structure is malformed, or tensors are missing or left over.
    """
    used: set[str] = set()

    def decode(value: object) -> object:
        if isinstance(value, list):
            return [decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        tag = next(iter(value), "")
        if not tag.startswith("~"):
            return {key: decode(item) for key, item in value.items()}
        content = value[tag]
        if tag == "~tensor":
            used.add(content)
            return tensors[content]
        if tag == "~tuple":
            return tuple(decode(item) for item in content)
        if tag == "~float":
            return float(content)
        if tag == "~dict":
            return {decode(key): decode(item) for key, item in content}
        raise ValueError(f"unknown tag {tag[:40]!r}")

    try:
        restored = decode(structure)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        why = " ".join(str(error).split())[:120]
        raise CheckpointError(f"checkpoint: its state is malformed ({why}); take an earlier checkpoint") from error
    if used != tensors.keys():
        extra = ", ".join(sorted(tensors.keys() - used)[:10])
        raise CheckpointError(
            f"checkpoint: tensors that its state does not mention: {extra}; take an earlier checkpoint"
        )
    return restored


def restore_optimizer(optimizer: torch.optim.Optimizer, state: object) -> None:
    """Load an optimizer's state after checking that it belongs to these parameters.

    Args:
        optimizer: already made over the parameters of the model at hand.
        state: what ``optimizer.state_dict()`` gave, back from `restore_state`.

    Raises:
        CheckpointError: when groups, parameters or shapes are those of another model; nothing is changed then.
    """
    try:
        _check_optimizer(optimizer, state)
        optimizer.load_state_dict(state)  # type: ignore[arg-type]
        _lay_out(optimizer)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        why = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"checkpoint: the optimizer's state is of another model or optimizer ({why}); "
            "resume with the run's own recipe"
        ) from error


def _lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Lay the state out in memory as its parameters are: fused updates go through both side by side, unasked."""
    for parameter, state in optimizer.state.items():
        for name in _SHAPED & state.keys():
            state[name] = torch.empty_like(parameter, dtype=state[name].dtype).copy_(state[name])


def _check_optimizer(optimizer: torch.optim.Optimizer, state: object) -> None:
    """Compare groups and shapes; torch itself compares only the number of parameters."""
    if not isinstance(state, dict):
        raise TypeError(f"a {type(state).__name__} instead of a table")
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    places = [place for group in state["param_groups"] for place in group["params"]]
    if len(parameters) != len(places):
        raise ValueError(f"{len(places)} parameters instead of {len(parameters)}")
    for place, parameter in zip(places, parameters, strict=True):
        for name, value in state["state"].get(place, {}).items():
            if name in _SHAPED and isinstance(value, torch.Tensor) and value.shape != parameter.shape:
                raise ValueError(
                    f"{name} of parameter {place} has shape {tuple(value.shape)}, not {tuple(parameter.shape)}"
                )
