"""What a check finds wrong, and the small words that checks are written in."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import NoReturn, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError

try:
    from hypothesis import HealthCheck, Phase, settings
except ImportError as error:
    raise ConfigError("noiseform.testing needs hypothesis and pytest; pip install 'noiseform[testing]'") from error

__all__ = [
    "Finding",
    "drawn",
    "holds",
    "no_global_draws",
    "of_the_part",
    "refused",
    "same",
    "skip",
    "unchanged",
]


__tracebackhide__ = True  # pytest then shows the line of the check, and not those of this module

CORE = Path(__file__).parents[1]

Given = ParamSpec("Given")
Yielded = TypeVar("Yielded")


class Finding(AssertionError):  # noqa: N818 (it is what is found, and no error of noiseform)
    """A part breaks its contract; the message says what was expected, and what came."""


def holds(condition: object, message: str) -> None:
    """Raise a Finding unless a condition holds."""
    if not condition:
        raise Finding(message)


def skip(why: str) -> NoReturn:
    """Leave a check out, since it does not apply to the part."""
    from unittest import SkipTest  # which pytest and `noiseform plugins check` both take for a check left out

    raise SkipTest(why)


def same(made: Tensor, expected: Tensor, message: str, *, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Raise a Finding unless two tensors are equal, up to tolerances; NaN is equal to nothing."""
    holds(
        made.shape == expected.shape,
        f"{message}: expected shape {tuple(expected.shape)}, got {tuple(made.shape)}",
    )
    holds(made.dtype == expected.dtype, f"{message}: expected {expected.dtype}, got {made.dtype}")
    wrong = (made.double() - expected.double()).abs() - (atol + rtol * expected.double().abs())
    if wrong.numel() and not wrong.max().item() <= 0:
        raise Finding(f"{message}: off by {(made.double() - expected.double()).abs().max().item():.3g}")


def of_the_part(error: BaseException) -> BaseException:
    """Return an exception, for a Finding to be raised from, without the lines of noiseform itself.

    So pytest shows the author's, and not the loop that called them.
    """
    frames, kept = [], None
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    for one in reversed(frames):
        if not Path(one.tb_frame.f_code.co_filename).is_relative_to(CORE):
            kept = TracebackType(kept, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return error.with_traceback(kept)


class _Block(AbstractContextManager[Yielded]):
    """A block of a check, from whose findings the frames of contextlib are taken."""

    def __init__(self, inner: AbstractContextManager[Yielded]) -> None:
        self.inner = inner

    def __enter__(self) -> Yielded:
        return self.inner.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            return self.inner.__exit__(kind, error, trace)
        except Finding as found:
            raise found.with_traceback(None)  # noqa: B904 (its cause stays what it is)


def _block(function: Callable[Given, Iterator[Yielded]]) -> Callable[Given, AbstractContextManager[Yielded]]:
    """Turn a function that yields once into a block of a check."""
    inner = contextmanager(function)

    @wraps(function)
    def block(*args: Given.args, **kwargs: Given.kwargs) -> AbstractContextManager[Yielded]:
        return _Block(inner(*args, **kwargs))

    return block


@_block
def unchanged(**tensors: Tensor) -> Iterator[None]:
    """Raise a Finding where one of the tensors, named for the message, is not what it was at the start of the block."""
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    yield
    for name, tensor in tensors.items():
        same = torch.equal(tensor.nan_to_num(), before[name].nan_to_num())
        holds(same, f"{name} was changed in place; work on a copy, since it belongs to the caller")


@_block
def no_global_draws() -> Iterator[None]:
    """Raise a Finding where a global generator of torch, numpy or Python was used or seeded in the block.

    Each is moved on before, since one that was seeded alike already would not change, and is put back afterwards.
    """
    kept = torch.get_rng_state(), np.random.get_state(legacy=True), random.getstate()
    torch.rand(()), np.random.random(), random.random()
    states = _states()
    try:
        yield
        for (name, before), (_, after) in zip(states, _states(), strict=True):
            holds(before == after, f"the global generator of {name} was touched; draw with what the program gives")
    finally:
        torch.set_rng_state(kept[0])
        np.random.set_state(kept[1])
        random.setstate(kept[2])


def _states() -> tuple[tuple[str, object], ...]:
    kind, keys, *rest = np.random.get_state(legacy=True)
    return (
        ("torch", torch.get_rng_state().numpy().tobytes()),
        ("numpy", (kind, np.asarray(keys).tobytes(), *rest)),
        ("Python", random.getstate()),
    )


@_block
def refused(kind: type[Exception], message: str) -> Iterator[None]:
    """Raise a Finding unless the block raises an exception of that kind."""
    try:
        yield
    except kind:
        return
    except Exception as error:
        raise Finding(f"{message}: expected {kind.__name__}, got {type(error).__name__}: {error}") from error
    raise Finding(f"{message}: expected {kind.__name__}, but it was accepted")


drawn = settings(
    max_examples=20,
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=False,
    report_multiple_bugs=False,
    phases=(Phase.generate, Phase.shrink),  # to explain a failure takes longer than to find it
    suppress_health_check=list(HealthCheck),
)
"""The kit's settings of a check with hypothesis: the same examples in every run, no files, no time limit."""
