"""What a part answers, or a Finding: where it raised, refused without a number, or gave no such tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from ..contract import check_tensor
from ..errors import ConfigError, PluginError
from ..registration.plugin_loading import reason_of
from .finding import Finding, holds

__all__ = ["called", "numbered", "tensor_of"]


def called(what: str, call: Callable[..., Any], *given: object) -> Any:
    """Return what a part answers; a Finding says what it raised in the place of an answer."""
    try:
        return call(*given)
    except Finding:
        raise
    except Exception as error:
        raise Finding(f"{what} raised {type(error).__name__}: {reason_of(error)}") from error


def numbered(error: ConfigError, what: str) -> None:
    """Raise a Finding unless a refusal of a size says by a number which sizes go."""
    told = str(error)
    holds(any(letter.isdigit() for letter in told), f"{what} is refused without the number that sizes must fit: {told}")


def tensor_of(value: object, shape: Sequence[int], of: str) -> Tensor:
    """Return a tensor of floating-point numbers of that shape, as a Finding where it is none."""
    try:
        return check_tensor(value, shape, of=of)
    except PluginError as error:
        raise Finding(str(error)) from error
