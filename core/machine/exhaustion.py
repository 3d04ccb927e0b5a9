"""Memory that ran out: torch has no class of its own for it on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ResourceError

__all__ = ["is_out_of_memory", "memory_told"]


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that torch or Python found no memory."""
    told = isinstance(error, RuntimeError) and ("allocate memory" in str(error) or "out of memory" in str(error))
    return told or isinstance(error, MemoryError)


@contextmanager
def memory_told(message: str) -> Iterator[None]:
    """Raise ResourceError with ``message`` where torch or Python find no memory."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise ResourceError(message) from error
