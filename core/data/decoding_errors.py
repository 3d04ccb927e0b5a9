"""What decoders raise, as errors of ours: one line, with the file, the reason and a cure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import MediaError, NoiseformError, ResourceError
from ..naming import printable

__all__ = ["decoding_errors"]


@contextmanager
def decoding_errors(where: str, what: str, *, smaller: str) -> Iterator[None]:
    """Turn whatever a decoder raises into a MediaError, and a lack of memory into a ResourceError.

    Args:
        where: the beginning of every message, such as ``cannot read: FILE``.
        what: the file is to hold, such as ``picture``.
        smaller: what to do where memory does not do.
    """
    try:
        yield
    except MediaError as error:
        raise error if str(error).startswith(where) else MediaError(f"{where}: {error}") from error
    except NoiseformError:
        raise
    except MemoryError as error:
        raise ResourceError(f"{where}: too little memory for it; {smaller}") from error
    except Exception as error:  # a decoder may raise anything at all; to the user all of it means the same
        raise MediaError(
            f"{where}: damaged or no {what} ({type(error).__name__}: {printable(str(error))}); fetch or make it again"
        ) from error
