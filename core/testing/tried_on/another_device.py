"""A part called as on a GPU: on one where there is one, and otherwise on the device ``meta``, which has no numbers."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from ..answers import called
from ..finding import Finding, holds, skip

__all__ = ["keeps_the_device"]

_MIXED = re.compile(r"found (at least )?two (different )?devices|is not on the expected device|on the same device")
"""What torch says of tensors that do not lie on one device."""


def keeps_the_device(part: Any, method: str, *given: object) -> None:
    """Raise a Finding where a method of a part makes tensors on the CPU while weights and inputs lie elsewhere.

    Without a GPU only what torch says of devices counts: code that looks at values cannot run without any, and the
    check is then left out.

    Args:
        part: a torch module or not.
        method: its name.
        given: tensors, mappings with tensors, or what stays as it is.
    """
    if torch.cuda.is_available():
        part = copy.deepcopy(part)
        part = part.to("cuda") if isinstance(part, nn.Module) else part
        answer = called(f"{method}, on a GPU,", getattr(part, method), *(_moved(one, "cuda") for one in given))
        _lies_on("cuda", answer, method)
        return
    try:
        answer = _without_numbers(part, method, given)
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
    _lies_on("meta", answer, method)


def _without_numbers(part: Any, method: str, given: tuple[object, ...]) -> Any:
    """Return what a method answers where weights and inputs lie on ``meta``, and what is made beside them does not."""
    from torch._subclasses.fake_tensor import FakeTensorMode  # takes a second

    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad(), _cast_nowhere():
        tensors = (
            {f"part.{name}": value for name, value in [*part.named_parameters(), *part.named_buffers()]}
            if isinstance(part, nn.Module)
            else {}
        )
        inputs = tuple(_moved(one, "meta") for one in given)
        return torch.func.functional_call(_Call(part, method), _moved(tensors, "meta"), inputs)


class _Call(nn.Module):
    """One method of a part, as the forward of a module, whose tensors torch can put others for."""

    def __init__(self, part: Any, method: str) -> None:
        super().__init__()
        self.part, self.method = part, method

    def forward(self, *given: object) -> Any:
        return getattr(self.part, self.method)(*given)


@contextmanager
def _cast_nowhere() -> Iterator[None]:
    """Let ``torch.autocast`` take the device ``meta``, which it does not know, and do nothing there."""
    own = torch.autocast

    def autocast(device_type: str, *more: Any, **named: Any) -> Any:
        return nullcontext() if device_type == "meta" else own(device_type, *more, **named)

    with patch.object(torch, "autocast", autocast), patch.object(torch.amp, "autocast", autocast):
        yield


def _moved(value: Any, device: str) -> Any:
    if isinstance(value, Tensor):
        return value.to(device) if device != "meta" else torch.empty_like(value, device=device)
    return {name: _moved(one, device) for name, one in value.items()} if isinstance(value, Mapping) else value


def _lies_on(device: str, answer: Any, method: str) -> None:
    """Raise a Finding unless all tensors of an answer lie on a device."""
    for value in answer.values() if isinstance(answer, Mapping) else [answer]:
        away = isinstance(value, Tensor) and value.device.type != device
        holds(not away, f"{method}: weights and inputs lie on another device, the answer on the CPU; leave it there")
