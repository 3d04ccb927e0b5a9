"""Parts tried away from the CPU: on a GPU where there is one, or else on a device that only says it is another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import SkipTest

import torch
from torch import Tensor, nn

from ...registration.plugin_loading import reason_of
from ..finding import Finding, holds, skip
from .pretended_device import pretended_device

__all__ = ["NO_GPU", "another_device", "learns_on", "lies_on", "moved"]

NO_GPU = "there is no GPU"
"""How the reason begins why a part could not be tried."""

_CURE = "make tensors where the inputs lie (device=x.device), or register them as buffers"

_MIXED = re.compile(
    r"found (at least )?two (different )?devices|is not on the expected device|on the same device"
    r"|device type for generator|device type tensor to numpy"
)
"""What torch says of tensors that do not lie on one device."""


@contextmanager
def another_device() -> Iterator[str]:
    """Give the name of a device, and raise a Finding where the block fails on it because tensors lie elsewhere.

    Without a GPU only what torch says of devices counts: a kernel that cannot run there says nothing of the part, and
    the check is then left out.
    """
    there = torch.cuda.is_available()
    with nullcontext("cuda") if there else pretended_device() as device:
        try:
            yield device
        except (Finding, SkipTest):
            raise
        except Exception as error:
            if not there and not _MIXED.search(str(error)):
                skip(f"{NO_GPU}, and without one it cannot be tried: {type(error).__name__}")
            raise Finding(f"with weights and inputs on another device: {reason_of(error)}; {_CURE}") from error


def moved(value: Any, device: str) -> Any:
    """Return tensors, a torch module, or a mapping of such, on a device, and anything else as it is."""
    if isinstance(value, Tensor | nn.Module):
        return value.to(device)
    return {name: moved(one, device) for name, one in value.items()} if isinstance(value, Mapping) else value


def lies_on(device: str, answer: Any, of: str) -> None:
    """Raise a Finding unless all tensors of an answer lie on a device."""
    for value in answer.values() if isinstance(answer, Mapping) else [answer]:
        away = isinstance(value, Tensor) and value.device.type != device
        holds(not away, f"{of}: weights and inputs lie on another device, the answer on the CPU; leave it there")


def learns_on(device: str, loss: Tensor, module: nn.Module) -> None:
    """Take the gradient of a number that was made on a device; raise a Finding unless all of it lies there."""
    lies_on(device, loss, "loss")
    loss.backward()
    for name, weight in module.named_parameters():
        lies_on(device, weight.grad, f"gradient of {name}")
