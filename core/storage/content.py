"""What an output holds, as one hash: of a file, or of a folder that is one output."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

__all__ = ["content_digest"]


def content_digest(path: str | os.PathLike[str]) -> str:
    """Return the sha256 of a file; of a folder that over the names and hashes of its files, sorted."""
    place = Path(path)
    if not place.is_dir():
        with open(place, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for name in sorted(os.fsencode(entry.name) for entry in os.scandir(place) if entry.is_file()):
        digest.update(name + b"\0" + content_digest(place / os.fsdecode(name)).encode())
    return digest.hexdigest()
