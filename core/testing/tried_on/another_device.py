"""A part called as on a GPU: on one where there is one, and otherwise on a device that only says it is another."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..answers import called
from ..finding import Finding, holds, skip
from .elsewhere import elsewhere

__all__ = ["keeps_the_device"]

_MIXED = re.compile(r"found (at least )?two (different )?devices|is not on the expected device|on the same device")
"""What torch says of tensors that do not lie on one device."""


def keeps_the_device(part: Any, method: str, *given: object) -> None:
    """Raise a Finding where a method of a part makes tensors on the CPU while weights and inputs lie elsewhere.

    Without a GPU only what torch says of devices counts: a kernel that cannot run there says nothing of the part, and
    the check is then left out.

    Args:
        part: a torch module or not.
        method: its name.
        given: tensors, mappings with tensors, or what stays as it is.
    """
    if torch.cuda.is_available():
        bound, *inputs = _placed("cuda", part, method, given)
        _lies_on("cuda", called(f"{method}, on a GPU,", bound, *inputs), method)
        return
    with elsewhere() as device:
        bound, *inputs = _placed(device, part, method, given)
        try:
            with torch.no_grad():
                answer = bound(*inputs)
        except (Finding, KeyboardInterrupt):
            raise
        except Exception as error:
            if not _MIXED.search(str(error)):
                skip(f"there is no GPU, and without one {method} cannot be tried: {type(error).__name__}")
            why = str(error).partition("\n")[0]
            raise Finding(
                f"{method}, with weights and inputs on another device: {why}; make tensors on the device of the inputs "
                "(device=x.device), or register them as buffers"
            ) from error
        _lies_on(device, answer, method)


def _placed(device: str, part: Any, method: str, given: tuple[object, ...]) -> list[Any]:
    """Return a method of a part that lies on a device, and what it is to be given there."""
    part = copy.deepcopy(part)
    part = part.to(device) if isinstance(part, nn.Module) else part
    return [getattr(part, method), *(_moved(one, device) for one in given)]


def _moved(value: Any, device: str) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    return {name: _moved(one, device) for name, one in value.items()} if isinstance(value, Mapping) else value


def _lies_on(device: str, answer: Any, method: str) -> None:
    """Raise a Finding unless all tensors of an answer lie on a device."""
    for value in answer.values() if isinstance(answer, Mapping) else [answer]:
        away = isinstance(value, Tensor) and value.device.type != device
        holds(not away, f"{method}: weights and inputs lie on another device, the answer on the CPU; leave it there")
