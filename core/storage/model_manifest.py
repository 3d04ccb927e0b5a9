"""What the manifest of a model folder says, each piece checked as it is taken out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import CheckpointError, ConfigError
from ..naming import printable
from ..registration.toml_file import parse_toml
from .manifest import MANIFEST, FileEntry, describe, locate, read_small
from .model_parts import RequiredPart

__all__ = ["PIPELINE", "check_copy", "malformed", "read_parts", "read_pipeline", "read_table", "sha256_or_none"]

PIPELINE = "pipeline.toml"


def malformed(folder: Path, why: str) -> CheckpointError:
    """Return the error of a manifest that is not as we write it."""
    return CheckpointError(f"model: {printable(folder / MANIFEST)}: {why}; the file is damaged, take another copy")


def read_table(folder: Path, manifest: Mapping[str, object], key: str) -> dict[str, object]:
    """Return one table of the manifest; CheckpointError where there is none."""
    table = manifest.get(key)
    if not isinstance(table, dict):
        raise malformed(folder, f"it has no table {key!r}")
    return table


def read_pipeline(folder: Path, text: object, entry: FileEntry) -> dict[str, object]:
    """Parse the pipeline as the manifest holds it; CheckpointError where it is not the one of its entry."""
    if not isinstance(text, str) or describe(text.encode("utf-8", "surrogatepass")) != entry:
        raise malformed(folder, "its pipeline is not the one of its sha256")
    try:
        return parse_toml(text, printable(folder / MANIFEST))
    except ConfigError as error:
        raise CheckpointError(str(error)) from error


def check_copy(folder: Path, entry: FileEntry, replaced: object) -> None:
    """Refuse a pipeline.toml that someone altered; the one of the export before is what a crash may leave."""
    path = locate(folder, PIPELINE)
    found = sha256_or_none(path)
    if found not in (entry.sha256, replaced):
        raise CheckpointError(
            f"model: {printable(path)}: {'missing' if found is None else 'altered'} since the export; "
            "take another copy, and change single values with --set"
        )


def sha256_or_none(path: Path) -> str | None:
    """Return the sha256 of a small file, None where there is none."""
    return describe(read_small(path)).sha256 if path.exists() else None


def read_parts(folder: Path, raw: object) -> tuple[RequiredPart, ...]:
    """Return the parts that the model needs; CheckpointError where they are malformed."""
    keys = ("kind", "name", "distribution", "version")
    if not isinstance(raw, list):
        raise malformed(folder, "it has no list of parts")
    for part in raw:
        if (
            not isinstance(part, dict)
            or part.keys() != set(keys)
            or not all(isinstance(part[key], str) for key in keys)
        ):
            raise malformed(folder, "a part lacks kind, name, distribution or version")
    return tuple(RequiredPart(*(part[key] for key in keys)) for part in raw)
