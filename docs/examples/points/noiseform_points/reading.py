"""Clouds out of files that anyone may have made: PLY, or text with a point in each line; told by their content."""

from __future__ import annotations

import os
from typing import BinaryIO

import numpy as np
import torch
from noiseform import MediaError
from noiseform.core.data.decoding_errors import decoding_errors
from noiseform.core.naming import printable
from noiseform.core.pipeline.record_text import parse_record
from noiseform.core.storage.regular_file import open_regular
from torch import Tensor

from .cloud import Cloud
from .ply import MAGIC, Ply, parse

__all__ = ["FILE_LIMIT", "decode", "read", "read_mask", "read_record"]

FILE_LIMIT = 512 * 2**20
"""Largest file, in bytes."""

_AXES = ("x", "y", "z")
_MASK = "mask"


def read(path: str | os.PathLike[str]) -> Cloud:
    """Return the cloud in a PLY or xyz file, with the record that noiseform left in it, if there is one.

    Raises:
        MediaError: the file cannot be read, is neither, is damaged, or holds no points.
        ResourceError: there is too little memory for it.
    """
    with open_regular(path) as file:
        points, comment = decode(file, os.fspath(path))
    return Cloud(points, parse_record(comment))


def read_record(path: str | os.PathLike[str]) -> dict[str, object] | None:
    """Return the record that noiseform left in a file, or None. Raises what :func:`read` raises."""
    with open_regular(path) as file:
        _, comment = decode(file, os.fspath(path))
    return parse_record(comment)


def read_mask(path: str | os.PathLike[str]) -> Tensor:
    """Return the property ``mask`` (count,) of the vertices of a PLY file.

    Raises:
        MediaError: the file is none, is damaged, or its vertices have no such property.
    """
    where = f"cannot read: {printable(path)}"
    with open_regular(path) as file, decoding_errors(where, "point cloud", smaller="make it smaller"):
        found = _parsed(file, where)
        values = found.values if isinstance(found, Ply) else {}
        if _MASK not in values:
            raise MediaError(
                f"{where}: its points have no property {_MASK}; give a PLY file with one, 1 where a point is made anew"
            )
        return torch.from_numpy(values[_MASK])


def decode(file: BinaryIO, name: str) -> tuple[Tensor, str]:
    """Return the points (3, count) in an open file, and its comment; ``name`` stands in the errors.

    Raises: as :func:`read`.
    """
    where = f"cannot read: {printable(name)}"
    with decoding_errors(where, "point cloud", smaller="make it smaller"):
        found = _parsed(file, where)
        if not isinstance(found, Ply):
            return _checked(*found, where=where)
        missing = [axis for axis in _AXES if axis not in found.values]
        if missing:
            raise MediaError(f"{where}: its vertices have no {', '.join(missing)}; write x, y and z of each")
        return _checked(np.stack([found.values[axis] for axis in _AXES]), found.comment, where=where)


def _parsed(file: BinaryIO, where: str) -> Ply | tuple[np.ndarray, str]:
    data = file.read(FILE_LIMIT + 1)
    if len(data) > FILE_LIMIT:
        raise MediaError(f"{where}: more than {FILE_LIMIT} bytes; make it smaller")
    if data.startswith((MAGIC + b"\n", MAGIC + b"\r\n")):
        return parse(data, where)
    return _lines(data, where)


def _lines(data: bytes, where: str) -> tuple[np.ndarray, str]:
    """Return points (3, count) of text with x, y and z in each line, whatever follows them, and its comment."""
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise MediaError(f"{where}: neither PLY nor text; give .ply, or .xyz with x y z in each line") from error
    comment, rows = "", []
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            comment = comment or line.removeprefix("# ")
            continue
        words = line.replace(",", " ").split()
        try:
            if words:
                x, y, z, *_ = map(float, words[:3])
                rows.append((x, y, z))
        except ValueError as error:
            if not rows and not comment and words[:3] == list(_AXES):  # a heading
                continue
            raise MediaError(
                f"{where}: line {number} is {line!r:.40}, which is no point; give x y z in each line"
            ) from error
    return np.array(rows).reshape(-1, 3).T, comment


def _checked(points: np.ndarray, comment: str, *, where: str) -> tuple[Tensor, str]:
    """Return points as float32, if there are any and all are somewhere."""
    if not points.size:
        raise MediaError(f"{where}: it holds no points; make it again")
    lost = int((~np.isfinite(points)).any(0).sum())
    if lost:
        raise MediaError(f"{where}: {lost} of {points.shape[1]} points have a coordinate that is not finite; drop them")
    return torch.from_numpy(points.astype(np.float32)), comment
