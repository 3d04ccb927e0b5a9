"""Clouds seen: in perspective from a little above, near points dark and large, far ones light and small."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence

import numpy as np
from noiseform import ConfigError
from noiseform.core.naming import printable
from noiseform.core.storage.atomic import whole_file
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .cloud import Cloud

__all__ = ["as_png", "drawn", "sheet"]

_CELL = 220  # pixels a side of one cloud, where a sheet has room for that
_LARGEST = 4096  # pixels a side that the clouds on a sheet take at most: what every viewer shows
_FINER = 3  # drawn so many times as large and reduced, since Pillow's discs have jagged edges
_GAP, _LINE = 8, 18
_PAPER, _INK, _SHADOW = (255, 255, 255), (38, 36, 48), (232, 232, 236)
_NEAR, _FAR = np.array([16, 52, 110.0]), np.array([186, 207, 233.0])
_AZIMUTH, _ELEVATION = math.radians(35), math.radians(24)
_DISTANCE = 4.5  # from the middle, in units of the cloud's
_SIDE = 1.05  # half of what is seen of the plane through the middle; the corners of a cube lie outside
_DISC = 0.022  # radius of a point at that distance


def sheet(
    clouds: Sequence[Cloud],
    captions: Sequence[str],
    path: str | os.PathLike[str] | None = None,
    *,
    columns: int | None = None,
    overwrite: bool = False,
) -> Image.Image:
    """Return several clouds on one sheet, all seen from one place, each with its caption below.

    Args:
        clouds: row by row.
        captions: one short line for each.
        path: where the sheet is written as PNG, if anywhere.
        columns: how many stand in a row; about as many as in a column, where None.
        overwrite: replace a file that stands at ``path``.

    Raises:
        ConfigError: no clouds, or not one caption for each; or ``path`` cannot be written.
        ResourceError: the disk is full.
    """
    if not clouds or len(clouds) != len(captions):
        raise ConfigError(f"no sheet: {len(clouds)} clouds with {len(captions)} captions; give one caption for each")
    columns = columns or math.ceil(math.sqrt(len(clouds)))
    rows = -(-len(clouds) // columns)
    cell = max(24, min(_CELL, _LARGEST // columns))
    step = cell + _GAP, cell + _LINE + _GAP
    picture = Image.new("RGB", (columns * step[0] + _GAP, rows * step[1] + _GAP), _PAPER)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
    for number, (cloud, caption) in enumerate(zip(clouds, captions, strict=True)):
        row, column = divmod(number, columns)
        left, top = _GAP + column * step[0], _GAP + row * step[1]
        picture.paste(drawn(cloud, cell), (left, top))
        text = _shortened(printable(caption), cell, font)
        draw.text((left + cell / 2, top + cell + 2), text, _INK, font, anchor="ma")
    if path is not None:
        with whole_file(path, overwrite=overwrite) as file:
            picture.save(file, "PNG", optimize=True)
    return picture


def as_png(cloud: Cloud) -> bytes:
    """Return a picture of a cloud as the bytes of a PNG file."""
    buffer = io.BytesIO()
    drawn(cloud, 2 * _CELL).save(buffer, "PNG")
    return buffer.getvalue()


def drawn(cloud: Cloud, size: int) -> Image.Image:
    """Return a picture of a cloud, so many pixels a side; what lies far outside of [-1, 1] is not in it."""
    fine = size * _FINER
    picture = Image.new("RGB", (fine, fine), _PAPER)
    draw = ImageDraw.Draw(picture)
    points = cloud.points.detach().cpu().double().numpy()
    points = points[:, np.isfinite(points).all(0)]
    if points.shape[1]:
        floor = points.copy()
        floor[2] = points[2].min()
        for x, y, depth in zip(*_seen(floor), strict=True):
            _disc(draw, x, y, depth, fine, _SHADOW)
        x, y, depth = _seen(points)
        shade = np.clip((depth - _DISTANCE + 1.1) / 2.2, 0, 1)[:, None]
        colours = (_NEAR + shade * (_FAR - _NEAR)).astype(int)
        for place in np.argsort(-depth, kind="stable"):  # the nearest last, over the others
            _disc(draw, x[place], y[place], depth[place], fine, tuple(colours[place]))
    return picture.resize((size, size), Image.Resampling.BOX)


def _seen(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return where points (3, count) are seen, in [-1, 1] to the right and downwards, and how far away."""
    a, e = _AZIMUTH, _ELEVATION
    towards = np.array([-math.cos(e) * math.cos(a), -math.cos(e) * math.sin(a), -math.sin(e)])
    right = np.array([-math.sin(a), math.cos(a), 0.0])
    up = np.cross(right, towards)
    depth = np.maximum(_DISTANCE + towards @ points, 0.1)  # what lies behind the viewer is put before his eyes
    scale = _DISTANCE / (_SIDE * depth)
    return scale * (right @ points), -scale * (up @ points), depth


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, depth: float, size: int, colour: tuple[int, ...]) -> None:
    half = size / 2
    centre_x, centre_y, radius = half * (1 + x), half * (1 + y), half * _DISC * _DISTANCE / (_SIDE * depth)
    if max(abs(x), abs(y)) < 2:
        draw.ellipse((centre_x - radius, centre_y - radius, centre_x + radius, centre_y + radius), colour)


def _shortened(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Return a line that is no wider than ``width`` pixels."""
    while text and font.getlength(text) > width:
        text = text[:-2] + "…"
    return text
