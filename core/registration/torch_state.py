"""Guards around foreign code: the state of torch and of the process is as before, and standard output stays ours."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

from .process_state import ProcessState

__all__ = ["TorchState", "guarded", "kept"]


@dataclass(frozen=True)
class TorchState:
    """What somebody could change of torch for everybody else."""

    dtype: object
    grad: bool
    threads: int | None
    seed: int | None
    generator: object

    @classmethod
    def of(cls, torch: ModuleType) -> TorchState:
        """Return the state now."""
        return cls(
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.get_num_threads(),
            torch.initial_seed(),
            torch.get_rng_state(),
        )

    @classmethod
    def fresh(cls, torch: ModuleType) -> TorchState:
        """Return the state that torch starts with, as far as it is the same on every machine."""
        return cls(torch.float32, True, None, None, None)

    def restore(self, torch: ModuleType, *, drawn: bool = False) -> list[str]:
        """Undo what changed since; return its names.

        Args:
            torch: the library.
            drawn: whether a number drawn from the global generator is a change.
        """
        changed = []
        if torch.get_default_dtype() is not self.dtype:
            torch.set_default_dtype(self.dtype)
            changed.append("default dtype")
        if torch.is_grad_enabled() is not self.grad:
            torch.set_grad_enabled(self.grad)
            changed.append("gradient mode")
        if self.threads is not None and torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
            changed.append("number of threads")
        if self.seed is not None and torch.initial_seed() != self.seed:
            torch.manual_seed(self.seed)
            torch.set_rng_state(self.generator)
            changed.append("seed")
        elif drawn and not torch.equal(torch.get_rng_state(), self.generator):
            torch.set_rng_state(self.generator)
            changed.append("generator")
        return changed


@contextlib.contextmanager
def guarded(what: str) -> Iterator[None]:
    """Run foreign code (an import); put back what all share afterwards, with a warning that names ``what``.

    What the code prints goes to standard error, because standard output may be somebody's JSON.
    """
    torch = sys.modules.get("torch")
    before = TorchState.of(torch) if torch is not None else None
    with contextlib.redirect_stdout(sys.stderr):
        process = ProcessState.now()
        try:
            yield
        finally:
            shared = process.restore()
            torch = sys.modules.get("torch")
            if torch is not None and hasattr(torch, "get_default_dtype"):
                _tell(what, "torch's", (before or TorchState.fresh(torch)).restore(torch), RuntimeWarning)
            _tell(what, "the process's", shared, RuntimeWarning)


@contextlib.contextmanager
def kept(what: str) -> Iterator[None]:
    """Run foreign code (parts at work); put back what all share afterwards, with a warning that says ``what``."""
    torch = sys.modules["torch"]
    before, process = TorchState.of(torch), ProcessState.now()
    try:
        yield
    finally:
        shared = process.restore()
        _tell(what, "torch's", before.restore(torch, drawn=True), UserWarning)
        _tell(what, "the process's", shared, UserWarning)


def _tell(what: str, whose: str, changed: list[str], category: type[Warning]) -> None:
    if changed:
        warnings.warn(f"{what} changed {whose} {', '.join(changed)}: undone", category, stacklevel=4)
