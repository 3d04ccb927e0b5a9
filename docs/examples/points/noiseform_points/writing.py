"""Clouds into files: PLY and xyz, whole or not at all, the same bytes each time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from noiseform import ConfigError, NumericError
from noiseform.core.naming import printable
from noiseform.core.pipeline.record_text import format_record
from noiseform.core.storage.atomic import whole_file

from .cloud import Cloud
from .ply import encoded

__all__ = ["ENDINGS", "check_format", "write"]

ENDINGS = (".ply", ".xyz")
"""Endings of the files that are written, the default one first."""


def write(
    cloud: Cloud,
    path: str | os.PathLike[str],
    *,
    record: Mapping[str, object] | None = None,
    overwrite: bool = False,
    ascii: bool = False,
) -> None:
    """Write a cloud to a file; the ending of ``path`` chooses the format (ply, xyz).

    Both keep every float32 as it is. The same points and record give the same bytes each time.

    Args:
        cloud: the cloud.
        path: the file.
        record: what is kept in the file's comments, as plain values; None for nothing.
        overwrite: replace a file that stands there.
        ascii: write a PLY file as text.

    Raises:
        ConfigError: an ending that names no format, points of another shape, a record that is not plain; the file
            exists, or its place cannot be written.
        NumericError: a coordinate is not finite.
        ResourceError: the disk is full.
    """
    check_format(path)
    where, points = f"cannot write: {printable(path)}", cloud.points
    if points.ndim != 2 or points.shape[0] != 3 or not points.shape[1] or not points.is_floating_point():
        raise ConfigError(
            f"{where}: points of shape {tuple(points.shape)} and {points.dtype}; give (3, count) as float32"
        )
    lost = int((~points.isfinite()).any(0).sum())
    if lost:
        raise NumericError(f"{where}: {lost} of {cloud.count} points are not finite; look for their origin")
    comment, table = format_record(record), points.detach().cpu().float().numpy()
    if Path(path).suffix.lower() == ".ply":
        data = encoded(dict(zip("xyz", table, strict=True)), comment, ascii=ascii)
    else:
        rows = "".join(" ".join(f"{value:.9g}" for value in row) + "\n" for row in table.T.tolist())
        data = (f"# {comment}\n{rows}" if comment else rows).encode("ascii")
    with whole_file(path, overwrite=overwrite) as file:
        file.write(data)


def check_format(path: str | os.PathLike[str]) -> None:
    """Raise ConfigError if the ending of ``path`` names no format."""
    if Path(path).suffix.lower() not in ENDINGS:
        raise ConfigError(
            f"cannot write: {printable(path)}: unknown format of points; end the name in {' or '.join(ENDINGS)}"
        )
