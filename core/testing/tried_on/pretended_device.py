"""A device that is not the processor, for tests on machines that have none: numbers lie on the CPU, and say otherwise.

What mixes tensors of both fails, as it would on a GPU, and whatever is computed is computed. The device calls itself
``meta``, the only one beside the CPU that any torch can learn on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar
from unittest.mock import patch
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

__all__ = ["pretended_device"]

DEVICE = "meta"
_MOVES = {"aten::copy", "aten::_to_copy"}
_PICK = {"aten::index", "aten::index_put", "aten::_index_put_impl"}
"""Whose indices may lie on the CPU."""
_TAKE_NUMBERS = {
    *(f"aten::{name}" for name in ("complex", "dist", "fill", "floor_divide", "huber_loss", "index_fill", "linspace")),
    *(f"aten::{name}" for name in ("logspace", "masked_fill", "mse_loss", "polar", "rsub", "smooth_l1_loss")),
    *_PICK,
}
"""Which take tensors of one number from the CPU, beside those that torch itself calls pointwise."""
_SAY = (Tensor.tolist, Tensor.__format__, Tensor.__repr__)
"""What tells of numbers and gives no tensor."""


class _Pretended(Tensor):
    """A tensor that says it lies on the device; the kernels of torch are given the one that it holds."""

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


class _Generator(torch.Generator):
    """A generator of the CPU that says it is one of the device where it was asked for there."""

    made: ClassVar[WeakValueDictionary[int, _Generator]] = WeakValueDictionary()
    """Those of the device, by what kernels know of them: the object itself does not come to them."""

    def __new__(cls, device: Any = "cpu") -> _Generator:
        generator: Any = super().__new__(cls)
        if torch.device(device).type == DEVICE:
            cls.made[generator._cdata] = generator
        return generator

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device(_device_of(self))


class _Kernels(TorchDispatchMode):
    """Makes tensors there where they are asked for there."""

    def __torch_dispatch__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        return _run(function, given, named or {})


class _Calls(TorchFunctionMode):
    """Answers the calls that come to no kernel: of numbers of Python made into tensors, and the other way round."""

    def __torch_function__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        named = dict(named or {})
        if function in (torch.tensor, torch.as_tensor, torch.asarray):
            return _made_of(function, given, named)
        if function == Tensor.new_tensor:
            like, *given = given
            return _made_of(torch.tensor, given, {"dtype": like.dtype, "device": like.device, **named})
        first = given[0] if given else None
        if isinstance(first, _Pretended) and function in _SAY:
            return function(first.held, *given[1:], **named)
        if isinstance(first, _Pretended) and function in (Tensor.numpy, Tensor.__array__):
            if named.get("force"):
                return first.cpu().numpy(force=True)
            raise TypeError(f"can't convert {DEVICE} device type tensor to numpy. Use Tensor.cpu() first.")
        return function(*given, **named)


def _made_of(function: Any, given: Sequence[Any], named: dict[str, Any]) -> Tensor:
    """Return what a function of torch makes of numbers, made on the CPU and moved where it is asked for."""
    device = named.pop("device", None)
    if not any(isinstance(one, _Pretended) for one in given):  # a list may be of numbers that lie there
        given = tree_map_only(_Pretended, lambda one: one.held, tuple(given))
    made: Tensor = function(*given, **named)
    if device is None:
        return made
    moved = made.to(device)
    return moved.detach().requires_grad_() if named.get("requires_grad") else moved  # a move has made no leaf of it


def _run(function: Any, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Run a kernel on what is held; what it makes lies where a GPU would have it, and what a GPU refuses fails."""
    if torch.autograd.forward_ad._current_level >= 0:  # torch ends the process there
        raise RuntimeError("forward-mode derivatives cannot be tried on a device that is none")
    name = function._schema.name.removesuffix("_")
    _refuse_two_devices(function, name, given, named)
    there = [one for one in tree_leaves((given, named)) if isinstance(one, _Pretended)]
    wanted = named.get("device")
    goes = bool(there) if wanted is None else torch.device(wanted).type == DEVICE
    if name == "aten::copy":
        goes = isinstance(given[0], _Pretended)
    _refuse_generator_of_another_device(named.get("generator"), DEVICE if goes else "cpu")
    on_cpu = dict(named) if wanted is None else {**named, "device": torch.device("cpu")}
    held = tree_map_only(_Pretended, lambda one: one.held, (tuple(given), on_cpu))
    made = function(*held[0], **held[1])
    if not goes:
        return made
    if torch.Tag.inplace_view in function.tags:
        with no_dispatch():  # what only says where it lies is of the new sizes and strides as well
            function(*given, **named)
    known = {id(one.held): one for one in there}  # what works in place gives back what it was given
    return tree_map_only(Tensor, lambda one: known.get(id(one)) if id(one) in known else _Pretended(one), made)


def _refuse_two_devices(function: Any, name: str, given: Sequence[Any], named: Mapping[str, Any]) -> None:
    """Raise an error where a kernel of a GPU would, since some tensors lie there and some do not."""
    first = given[0] if given else None
    picks = name in _PICK and isinstance(first, _Pretended)
    leaves = tree_leaves((given[:1], given[2:] if picks else given[1:], named))
    tensors = [one for one in leaves if isinstance(one, Tensor)]
    numbers = torch.Tag.pointwise in function.tags or name in _TAKE_NUMBERS or name.startswith("aten::_foreach_")
    there = any(isinstance(one, _Pretended) for one in tensors)
    here = any(not isinstance(one, _Pretended) and (one.ndim or not numbers) for one in tensors)
    written = function._schema.is_mutable and isinstance(first, Tensor) and not isinstance(first, _Pretended)
    if there and (here or written) and name not in _MOVES:
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, found two devices")


def _refuse_generator_of_another_device(generator: torch.Generator | None, device: str) -> None:
    """Raise an error as kernels do that are given a generator of another device than that of their tensors."""
    if generator is not None and _device_of(generator) != device:
        raise RuntimeError(f"Expected a '{device}' device type for generator but found '{_device_of(generator)}'")


def _device_of(generator: Any) -> str:
    return DEVICE if generator._cdata in _Generator.made else "cpu"


@contextmanager
def pretended_device() -> Iterator[str]:
    """Give the name of the device, on which networks can learn and run for as long as this lasts."""
    begin, adam = torch.autocast.__init__, torch.optim.AdamW

    def begun(self: torch.autocast, device_type: str, *more: Any, **named: Any) -> None:
        if device_type == DEVICE:  # torch knows of no autocast there: it is one that does nothing
            begin(self, "cpu", enabled=False)
        else:
            begin(self, device_type, *more, **named)

    def unfused(*given: Any, **named: Any) -> torch.optim.Optimizer:
        return adam(*given, **{**named, "fused": False})

    with (
        patch.object(torch.autocast, "__init__", begun),
        patch.object(torch.optim, "AdamW", unfused),
        patch.object(torch, "Generator", _Generator),
        _Kernels(),  # type: ignore[no-untyped-call]
        _Calls(),
    ):
        yield DEVICE
