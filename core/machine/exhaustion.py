"""Memory that ran out: torch has no class of its own for it on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ResourceError

__all__ = ["memory_told"]


@contextmanager
def memory_told(message: str) -> Iterator[None]:
    """Raise ResourceError with ``message`` where torch or Python find no memory."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        known = isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error)
        if not known:
            raise
        raise ResourceError(message) from error
