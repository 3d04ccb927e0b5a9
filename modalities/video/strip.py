"""Films as strips of frames, one below the other, each with its caption: what can be looked at without a player."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from ...core.errors import ConfigError
from ...core.naming import printable
from ...core.raster.pixels import eight_bit, enlargement, to_pillow
from ...core.storage.atomic import whole_file
from .colour import with_channels
from .film import Video

__all__ = ["sheet"]

MOST = 16
"""Most frames of a strip; of a longer film so many are taken, evenly, the first and the last among them."""

_EDGE = 64  # smaller frames are enlarged to about this edge
_SIDE = 8192  # pixels a side, about, that a sheet has at most
_PAPER = (255, 255, 255)
_INK = (38, 36, 48)
_FAINT = (120, 118, 130)
_GAP = 2
_MARGIN = 12
_LINE = 18


def sheet(
    films: Sequence[Video],
    captions: Sequence[str],
    path: str | os.PathLike[str] | None = None,
    *,
    frames: int = MOST,
    title: str = "",
    overwrite: bool = False,
) -> PillowImage.Image:
    """Return several films on one sheet, each a row of frames under its caption and the time that it spans.

    Tiny frames are enlarged by a whole factor, so that each pixel stays a square; where the sheet would be huge they
    are reduced by one.

    Args:
        films: from top to bottom.
        captions: one short line for each.
        path: where the sheet is written as PNG, if anywhere.
        frames: most frames of a row.
        title: a line above all.
        overwrite: replace a file that stands at ``path``.

    Raises:
        ConfigError: no films, or not one caption for each; or ``path`` cannot be written.
        ResourceError: the disk is full.
    """
    if not films or len(films) != len(captions):
        raise ConfigError(f"no sheet: {len(films)} films with {len(captions)} captions; give one caption for each")
    tall, wide = max(film.height for film in films), max(film.width for film in films)
    count = max(min(frames, len(film.frames)) for film in films)
    enlarged = enlargement(tall, wide, _EDGE)
    reduced = max(1, -(-wide * count // _SIDE), -(-tall * len(films) // _SIDE))
    rows = [_row(film, frames, enlarged, reduced) for film in films]
    font, small = ImageFont.load_default(12), ImageFont.load_default(11)
    top = _MARGIN + (28 if title else 0)
    size = 2 * _MARGIN + max(200, *(row.width for row in rows)), top + sum(row.height + _LINE + 8 for row in rows) + 4
    drawn = PillowImage.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(drawn)
    if title:
        draw.text((_MARGIN, 10), title, _INK, ImageFont.load_default(18))
    y = top
    for film, caption, row in zip(films, captions, rows, strict=True):
        told = f"{len(film.frames)} frames, {film.seconds:.2f} s"
        draw.text((size[0] - _MARGIN, y), told, _FAINT, small, anchor="ra")
        room = size[0] - 2 * _MARGIN - draw.textlength(told, small) - 8
        line = printable(caption)
        while line and draw.textlength(line, font) > room:
            line = line[:-2] + "…" if len(line) > 2 else ""
        draw.text((_MARGIN, y), line, _INK, font)
        drawn.paste(row, (_MARGIN, y + _LINE))
        y += row.height + _LINE + 8
    if path is not None:
        with whole_file(path, overwrite=overwrite) as file:
            drawn.save(file, "PNG", optimize=True)
    return drawn


def _row(film: Video, most: int, enlarged: int, reduced: int) -> PillowImage.Image:
    """Return frames of a film side by side."""
    count = min(most, len(film.frames))
    chosen = torch.linspace(0, len(film.frames) - 1, count).round().long()
    wide, tall = -(-film.width // reduced) * enlarged, -(-film.height // reduced) * enlarged
    row = PillowImage.new("RGB", (count * (wide + _GAP) - _GAP, tall), _PAPER)
    for number, frame in enumerate(film.frames[chosen]):
        picture = to_pillow(with_channels(eight_bit(frame), 3))
        if reduced > 1:
            picture = picture.reduce(reduced)
        if enlarged > 1:
            picture = picture.resize((wide, tall), PillowImage.Resampling.NEAREST)
        row.paste(picture, (number * (wide + _GAP), 0))
    return row
