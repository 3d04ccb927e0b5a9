"""``--debug-plugins``: parts from outside get copies, and one that writes into them, or changes torch, is named.

Without it the loop holds what parts give against their contract, but not what they do to what they are given: copies
and comparisons of every call would take longer than many a network.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import PluginError
from .plugin_loading import Part
from .process_state import ProcessState
from .torch_state import TorchState

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["debugging_plugins", "watched"]

METHODS: Mapping[str, tuple[str, ...]] = {
    "process": ("alpha", "sigma", "d_alpha", "d_sigma", "log_snr", "t_of_log_snr"),
    "objective": ("times", "loss"),
    "grid": ("times",),
    "sampler": ("init", "step"),
    "guidance": ("wrap",),
    "network": ("forward",),
    "codec": ("encode", "decode"),
    "conditioner": ("encode", "forward", "null"),
    "metric": ("compare",),
}
"""What is watched of a part of each kind."""

OWN = {("sampler", "step"): 5}
"""The argument of a method that is the part's own, which it may write into: a sampler's state."""

_debugging = False


@contextlib.contextmanager
def debugging_plugins() -> Iterator[None]:
    """Watch the parts from outside that are made inside of a ``with`` block."""
    global _debugging
    before, _debugging = _debugging, True
    try:
        yield
    finally:
        _debugging = before


def watched(made: Any, part: Part) -> Any:
    """Return a part that was made, watched where it is from outside and plugins are debugged.

    It stays the same object, of a class between it and its own, so that a copy of it is watched too.
    """
    if not _debugging or part.plugin.candidate.builtin:
        return made
    own = type(made)
    methods = {
        name: _watching(own, part, name) for name in METHODS.get(part.kind, ()) if callable(getattr(own, name, None))
    }
    names = {"__slots__": (), "__module__": own.__module__, "__qualname__": own.__qualname__, **methods}
    metaclass: Any = type(own)
    with contextlib.suppress(TypeError):  # a class that cannot be derived from, or an object of one built in
        object.__setattr__(made, "__class__", metaclass(own.__name__, (own,), names))
    return made


def _watching(own: type, part: Part, name: str) -> Callable[..., object]:
    """Return a method that calls one of ``own`` and watches it."""
    kept = OWN.get((part.kind, name))
    draws = part.kind in {"objective", "network", "conditioner"}  # in training, as dropout does

    def method(self: Any, *given: object, **named: object) -> object:
        drawing = draws and (part.kind == "objective" or bool(getattr(self, "training", False)))
        result = _watch(getattr(own, name).__get__(self), f"{part.label}: {name}", kept, drawing, given, named)
        if name != "wrap" or not callable(result):
            return result
        return lambda *call: _watch(result, f"{part.label}: what wrap gave", None, False, call, {})

    return method


def _watch(
    function: Callable[..., object],
    of: str,
    kept: int | None,
    drawing: bool,
    given: tuple[object, ...],
    named: Mapping[str, object],
) -> object:
    """Call a function with copies of its tensors, and refuse what it does beside giving a result.

    Args:
        function: what is called.
        of: its name, for messages.
        kept: number of the argument that it may write into.
        drawing: whether it may draw from torch's own generator.
        given: arguments.
        named: arguments by name.

    Raises:
        PluginError: it wrote into an argument, or changed the state of torch or of the process.
    """
    pairs: list[tuple[str, Tensor, Tensor]] = []
    copies = [
        value if number == kept else _copied(value, f"argument {number + 1}", pairs)
        for number, value in enumerate(given)
    ]
    named_copies = {key: _copied(value, key, pairs) for key, value in named.items()}
    torch = sys.modules["torch"]
    before, process = TorchState.of(torch), ProcessState.now()
    try:
        result = function(*copies, **named_copies)
    finally:
        shared = process.restore()
        changed = before.restore(torch, drawn=not drawing)
    for whose, what in (("torch's", changed), ("the process's", shared)):
        if what:
            raise PluginError(f"{of} changed {whose} {', '.join(what)}; fix it to leave what all share as it is")
    for told, original, copy in pairs:
        if _written(original, copy):
            raise PluginError(
                f"{of} wrote into what it was given ({told}, shape {tuple(original.shape)}); fix it to work on copies, "
                "x = x + y in the place of x += y"
            )
    return result


def _copied(value: object, told: str, pairs: list[tuple[str, Tensor, Tensor]]) -> Any:
    """Return a value with its tensors copied; note each with its copy."""
    from torch import Tensor

    if isinstance(value, Tensor):
        copy = value.clone()
        pairs.append((told, value, copy))
        return copy
    if type(value) in (list, tuple):
        return type(value)(_copied(one, told, pairs) for one in value)  # type: ignore[attr-defined, call-arg]
    if type(value) is dict:
        return {key: _copied(one, told, pairs) for key, one in value.items()}
    return value


def _written(original: Tensor, copy: Tensor) -> bool:
    """Return whether a copy was written to: by torch, which counts, or past it, as numpy can."""
    from torch import uint8

    if copy.is_meta:
        return False
    if not copy.is_inference() and copy._version:
        return True
    one, other = (value.detach().cpu().contiguous().reshape(-1).view(uint8) for value in (original, copy))
    return not bool(one.equal(other))
