"""What model folders and training checkpoints share: a manifest.json that names each file with its sha256 and size.

The manifest is what makes a folder whole: it is written last, and a file counts only as the manifest describes it.
It protects against damage and mix-ups, not against forgery: who can write the folder can write the manifest.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import CheckpointError, MediaError
from ..naming import printable
from .regular_file import open_regular
from .strict_json import parse_json_object

__all__ = [
    "FORMAT",
    "MANIFEST",
    "FileEntry",
    "NewerFormatError",
    "check_present",
    "describe",
    "locate",
    "read_entries",
    "read_manifest",
    "read_small",
]

FORMAT = 1
MANIFEST = "manifest.json"
_LIMIT = 16 * 2**20  # bytes of a JSON or TOML file: far above any that we write
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class NewerFormatError(CheckpointError):
    """A folder written by a later version of noiseform in a format that this one does not know."""


@dataclass(frozen=True)
class FileEntry:
    """A file as the manifest describes it: sha256 as 64 hexadecimal digits, size in bytes."""

    sha256: str
    size: int

    def as_json(self) -> dict[str, object]:
        """Return the entry as it stands in the manifest."""
        return asdict(self)


def describe(data: bytes) -> FileEntry:
    """Return the entry of a file with these bytes."""
    return FileEntry(hashlib.sha256(data).hexdigest(), len(data))


def read_small(path: Path) -> bytes:
    """Read a text file of ours whole.

    Raises:
        CheckpointError: when it is missing, unreadable, no regular file, or larger than 16 MiB.
    """
    try:
        with open_regular(path) as file:
            data = file.read(_LIMIT + 1)
    except (MediaError, OSError) as error:
        why = str(error) if isinstance(error, MediaError) else f"cannot read: {printable(path)}: {error.strerror}"
        raise CheckpointError(why) from error
    if len(data) > _LIMIT:
        raise CheckpointError(f"cannot read: {printable(path)}: larger than {_LIMIT} bytes; this is no file of ours")
    return data


def read_manifest(folder: Path) -> dict[str, object]:
    """Read ``folder/manifest.json`` and check its format version.

    Raises:
        NewerFormatError: when a later noiseform wrote it.
        CheckpointError: when it is missing or damaged.
    """
    path = folder / MANIFEST
    source = f"manifest: {printable(path)}"
    raw = parse_json_object(read_small(path), source)
    version = raw.get("format")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise CheckpointError(f"{source}: it names no format version; the file is damaged, take another copy")
    if version > FORMAT:
        raise NewerFormatError(
            f"{source}: written in format {str(version)[:20]}, this noiseform knows up to {FORMAT}; update noiseform"
        )
    return raw


def locate(folder: Path, name: object) -> Path:
    """Return the path of a file that a manifest names; it must be a plain name that stays inside the folder.

    Raises:
        CheckpointError: when it is no plain name, or a symbolic link that leads out of the folder.
    """
    source = f"manifest: {printable(folder / MANIFEST)}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise CheckpointError(
            f"{source}: {printable(str(name), 80)!r} is no plain file name; the manifest is damaged or hostile"
        )
    path = folder / name
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a loop of symbolic links
        inside = False
    if not inside:
        raise CheckpointError(f"{source}: {name!r} leads out of the folder; copy the file itself into it")
    return path


def read_entries(folder: Path, raw: object) -> dict[str, FileEntry]:
    """Return the manifest's table of files, every name checked by `locate`.

    Raises:
        CheckpointError: when it is malformed.
    """
    source = f"manifest: {printable(folder / MANIFEST)}"
    if not isinstance(raw, dict):
        raise CheckpointError(f"{source}: it has no table of files; the file is damaged, take another copy")
    entries = {}
    for name, entry in raw.items():
        locate(folder, name)
        sha256, size = (entry.get("sha256"), entry.get("size")) if isinstance(entry, dict) else (None, None)
        if not (isinstance(sha256, str) and _SHA256.fullmatch(sha256) and isinstance(size, int) and size >= 0):
            raise CheckpointError(
                f"{source}: the entry of {name!r} lacks sha256 or size; the file is damaged, take another copy"
            )
        entries[name] = FileEntry(sha256, size)
    return entries


def check_present(folder: Path, entries: dict[str, FileEntry]) -> None:
    """Check cheaply that the files are there in their sizes; their sha256 is checked when they are read.

    Raises:
        CheckpointError: naming the first that is missing or of another size.
    """
    for name, entry in entries.items():
        path = locate(folder, name)
        try:
            size = os.stat(path).st_size
        except OSError as error:
            raise CheckpointError(
                f"model: {printable(path)}: missing; take another copy of the whole folder"
            ) from error
        if size != entry.size:
            raise CheckpointError(
                f"model: {printable(path)}: {size} bytes instead of the {entry.size} of its manifest; it is altered or "
                "incomplete, take another copy"
            )
