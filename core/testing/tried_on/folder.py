"""An empty folder for what a part writes, and what is in one."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["contents", "room"]


@contextmanager
def room() -> Iterator[Path]:
    """Give an empty folder that is gone when the block ends, in which warnings are kept quiet."""
    with tempfile.TemporaryDirectory(prefix="noiseform-testing-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield Path(folder)


def contents(place: Path) -> dict[str, bytes]:
    """Return the files at a place by their names inside it; of a folder there is one more, which has no bytes."""
    if not place.is_dir():
        return {"": place.read_bytes()} if place.exists() else {}
    inside = {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}
    return {"": b"", **inside}
