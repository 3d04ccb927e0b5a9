"""Networks compiled for sampling: by torch.compile, one form for each shape of inputs, held against the network itself.

A compiled network computes the same in another order, and now and then something else: no form is used before its
output on real inputs was compared with the network's own. Whatever goes wrong costs a warning, and the network goes on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from types import FunctionType

import torch
from torch import Tensor, nn

from ..contract import check_tensor
from ..diffusion.denoiser import Cond, Network

__all__ = ["BOUNDS", "MAX_FORMS", "Compiler"]

BOUNDS = {torch.float32: 1e-3, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""How far a compiled network may be off, in parts of the largest magnitude of the network's own output.

Rounding alone makes about 1e-6, 1e-3 and 1e-2: compiled code keeps float32 between layers that would round in between.
"""

MAX_FORMS = 8
"""Shapes of inputs for which a network is compiled, each of which may take minutes; chosen by taste."""


class Compiler:
    """Compiles the networks of a pipeline, each at its first call.

    Attributes:
        calls: calls of compiled forms so far.
        tell: is called with a line of text before something that takes minutes.
    """

    def __init__(self, tell: Callable[[str], object] = lambda line: None) -> None:
        self.tell = tell
        self.calls = 0

    def of(self, network: nn.Module) -> Network:
        """Return a network to be called in the place of ``network``, whose weights must not change any more."""
        return _Compiled(network, self)


class _Compiled:
    """A network and its compiled forms, one for each shape of inputs; called with gradients on, the network itself."""

    def __init__(self, network: nn.Module, compiler: Compiler) -> None:
        self._network, self._compiler = network, compiler
        self._name = f"network {type(network).__name__}"
        self._forms: dict[object, Network] = {}
        self._trusted, self._full = True, False

    def __call__(self, x: Tensor, time: Tensor, cond: Cond) -> Tensor:
        if not self._trusted or torch.is_grad_enabled():
            return self._network(x, time, cond)
        # All that torch would compile another form for, unseen.
        shape = (_state(), _layout(x), _layout(time), *((name, *_layout(cond[name])) for name in sorted(cond)))
        form = self._forms.get(shape)
        if form is None:
            if len(self._forms) < MAX_FORMS:
                return self._first(shape, x, time, cond)
            if not self._full:
                self._full = True
                _warn(f"{self._name}: compiled for {MAX_FORMS} shapes already; others run uncompiled; use fewer sizes")
            return self._network(x, time, cond)
        self._compiler.calls += 1
        return form(x, time, cond)

    def _first(self, shape: object, x: Tensor, time: Tensor, cond: Cond) -> Tensor:
        """Compile the form of a shape; return its output if it is right, or else the network's own."""
        own = check_tensor(self._network(x, time, cond), x.shape, of=self._name, device=x.device)
        if not bool(torch.isfinite(own).all()):
            return own  # the loop says so; nothing can be compared
        size = " x ".join(map(str, x.shape))
        self._compiler.tell(f"compiling {self._name} for inputs of {size}; the first time takes minutes")
        try:
            with _silence():
                form = torch.compile(_single(self._network), fullgraph=True, dynamic=False, options={"freezing": True})
                output = form(x, time, cond)
        except Exception as error:  # whatever a compiler, or a network that it does not understand, comes up with
            self._trusted = False
            _warn(f"{self._name}: not compiled ({_reason(error)}); it runs uncompiled; {_cure(error)}")
            return own
        off, bound = _deviation(output, own), BOUNDS.get(own.dtype, min(BOUNDS.values()))
        if not off <= bound:
            self._trusted = False
            _warn(
                f"{self._name}: compiled, its output is off by {off:.2g} of the largest value, where {bound:g} is "
                "allowed; it runs uncompiled from here on; leave out compile"
            )
            return own
        self._forms[shape] = form
        self._compiler.calls += 1
        return output


def _state() -> tuple[object, ...]:
    autocast = [torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) for kind in ("cpu", "cuda")]
    return torch.get_num_threads(), *autocast, torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled()


def _layout(value: Tensor) -> tuple[object, ...]:
    return value.shape, value.stride(), value.dtype, value.is_inference()


def _single(network: nn.Module) -> Network:
    """Return a function that calls the network, with a code object of its own.

    Compiled code is kept by code object, at most eight of each, and handed to any function that shares it: a second
    network of the same class must not come by the frozen weights of the first.
    """

    def call(x: Tensor, time: Tensor, cond: Cond) -> Tensor:
        return network(x, time, cond)

    return FunctionType(call.__code__.replace(), call.__globals__, call.__name__, None, call.__closure__)


def _deviation(output: object, own: Tensor) -> float:
    """Return the largest difference in parts of the largest magnitude of the network's own output."""
    if not isinstance(output, Tensor) or (output.shape, output.dtype) != (own.shape, own.dtype):
        return float("inf")
    difference = (output.double() - own.double()).abs().max().item()
    largest = own.double().abs().max().item()
    return difference / largest if largest else float("inf") if difference else 0.0


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep off the terminal what torch tells while it compiles, unless it was asked for by TORCH_LOGS."""
    if "TORCH_LOGS" in os.environ:
        yield
        return
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _warn(line: str) -> None:
    warnings.warn(f"compile: {line}", stacklevel=2)


def _reason(error: Exception) -> str:
    """Return the kind of an error and the first line of what it says."""
    inner = getattr(error, "inner_exception", error)  # what torch's compiler wraps
    lines = [line.strip() for line in str(inner).splitlines() if line.strip()]
    return ": ".join([type(inner).__name__, *lines[:1]])[:200]


def _cure(error: Exception) -> str:
    about_compiler = any(word in f"{type(error).__name__} {error}" for word in ("CxxCompiler", "CppCompileError"))
    return "install a C++ compiler such as g++" if about_compiler else "leave out compile"
