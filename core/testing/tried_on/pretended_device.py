"""A device that is not the processor, for tests on machines that have none: numbers lie on the CPU, and say otherwise.

What mixes tensors of both fails, as it would on a GPU, and whatever is computed is computed. The device calls itself
``meta``, the only one beside the CPU that any torch can learn on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

DEVICE = "meta"
_MOVES = {"aten::copy_", "aten::_to_copy"}
_PICK = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
"""Whose indices may lie on the CPU."""


class _Pretended(Tensor):
    """A tensor that says it lies elsewhere; the kernels of torch are given the one that it holds."""

    held: Tensor

    is_meta = False
    __torch_function__: Any = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor) -> _Pretended:
        make: Any = Tensor._make_wrapper_subclass
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        made: _Pretended = make(cls, held.size(), **layout, device=DEVICE)
        made.held = held
        return made

    def __tensor_flatten__(self) -> tuple[list[str], None]:  # by which modules know that they can move to it
        return ["held"], None

    @staticmethod
    def __tensor_unflatten__(inner: Mapping[str, Tensor], told: None, size: object, stride: object) -> _Pretended:
        return _Pretended(inner["held"])

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:  # type: ignore[override]
        return _run(function, given, named or {})


class _Device(TorchDispatchMode):
    """Makes tensors there where they are asked for there."""

    def __torch_dispatch__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        return _run(function, given, named or {})


def _run(function: Any, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
    name = function._schema.name
    tensors = [one for one in tree_leaves((given, named)) if isinstance(one, Tensor)]
    there = [one for one in tensors if isinstance(one, _Pretended)]
    here = [one for one in tensors if one.ndim and not isinstance(one, _Pretended)]  # a number may lie anywhere
    free = name in _MOVES or (name in _PICK and isinstance(given[0], _Pretended))
    written = function._schema.is_mutable and isinstance(given[0], Tensor) and not isinstance(given[0], _Pretended)
    if there and (here or written) and not free:
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, found two devices")
    wanted = named.get("device")
    goes = bool(there) if wanted is None else torch.device(wanted).type == DEVICE
    if name == "aten::copy_":
        goes = isinstance(given[0], _Pretended)
    if wanted is not None:
        named = {**named, "device": torch.device("cpu")}
    held = tree_map_only(_Pretended, lambda one: one.held, (tuple(given), dict(named)))
    made = function(*held[0], **held[1])
    if not goes:
        return made
    known = {id(one.held): one for one in there}  # what works in place gives back what it was given
    return tree_map_only(Tensor, lambda one: known.get(id(one)) if id(one) in known else _Pretended(one), made)


@contextmanager
def pretended_device() -> Iterator[str]:
    """Give the name of the device, on which networks can learn and run for as long as this lasts."""
    autocast, adam, tensor = torch.autocast, torch.optim.AdamW, torch.tensor

    def everywhere(kind: str, *more: Any, **named: Any) -> Any:
        return nullcontext() if kind == DEVICE else autocast(kind, *more, **named)

    def unfused(*given: Any, **named: Any) -> torch.optim.Optimizer:
        return adam(*given, **{**named, "fused": False})

    def moved(*given: Any, device: Any = None, **named: Any) -> Tensor:  # torch's own looks at no mode on its way
        return tensor(*given, **named) if device is None else tensor(*given, **named).to(device)

    with (
        patch.object(torch, "tensor", moved),
        patch.object(torch, "autocast", everywhere),
        patch.object(torch.amp, "autocast", everywhere),
        patch.object(torch.optim, "AdamW", unfused),
        _Device(),  # type: ignore[no-untyped-call]
    ):
        yield DEVICE
