"""Many pictures on one sheet, each with its caption."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from ...core.errors import ConfigError
from ...core.naming import printable
from ...core.raster.pixels import eight_bit, enlargement, to_pillow
from ...core.storage.atomic import whole_file
from .notebook import EDGE
from .picture import Image

__all__ = ["sheet"]

_SHEET = 4096  # pixels a side, about, that the pictures on a sheet take at most: what every viewer shows
_PAPER = (255, 255, 255)
_INK = (38, 36, 48)
_BOARD = ((255, 255, 255), (226, 226, 230))  # what shows through transparent pictures
_GAP = 10
_MARGIN = 12
_LINE = 15  # height of a line of a caption, of which there are at most two
_NARROWEST = 72  # a cell, so that a caption has room


def sheet(
    images: Sequence[Image],
    captions: Sequence[str],
    path: str | os.PathLike[str] | None = None,
    *,
    columns: int | None = None,
    title: str = "",
    overwrite: bool = False,
) -> PillowImage.Image:
    """Return several pictures on one sheet, all on the same scale, each with its caption below.

    Tiny pictures are enlarged by a whole factor, so that each pixel stays a square; where the sheet would be huge they
    are reduced by one. Transparent ones lie on a board of white and grey squares.

    Args:
        images: the pictures, row by row.
        captions: one short line for each.
        path: where the sheet is written as PNG, if anywhere.
        columns: how many stand in a row; about as many as in a column, where None.
        title: a line above all.
        overwrite: replace a file that stands at ``path``.

    Raises:
        ConfigError: no pictures, or not one caption for each; or ``path`` cannot be written.
        ResourceError: the disk is full.
    """
    if not images or len(images) != len(captions):
        raise ConfigError(f"no sheet: {len(images)} pictures with {len(captions)} captions; give one caption for each")
    columns = max(1, min(len(images), columns or math.ceil(math.sqrt(len(images)))))
    rows = -(-len(images) // columns)
    tall, wide = max(image.height for image in images), max(image.width for image in images)
    enlarged = enlargement(tall, wide, EDGE)
    reduced = max(1, -(-tall * rows // _SHEET), -(-wide * columns // _SHEET))
    scaled = [_scaled(image, enlarged, reduced) for image in images]
    font = ImageFont.load_default(12)
    wide, tall = max(_NARROWEST, *(one.width for one in scaled)), max(one.height for one in scaled)
    lines = [_lines(printable(caption[:200]), wide, font) for caption in captions]
    below = 8 + _LINE * max(map(len, lines))
    top = _MARGIN + (28 if title else 0)
    size = 2 * _MARGIN + columns * (wide + _GAP) - _GAP, top + rows * (tall + below + _GAP) - _GAP + _MARGIN
    drawn = PillowImage.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(drawn)
    if title:
        draw.text((_MARGIN, 10), title, _INK, ImageFont.load_default(18))
    for index, one in enumerate(scaled):
        row, column = divmod(index, columns)
        x, y = _MARGIN + column * (wide + _GAP), top + row * (tall + below + _GAP)
        drawn.paste(one, (x + (wide - one.width) // 2, y + tall - one.height))
        for number, line in enumerate(lines[index]):
            draw.text((x + wide / 2, y + tall + 4 + _LINE * number), line, _INK, font, anchor="ma")
    if path is not None:
        with whole_file(path, overwrite=overwrite) as file:
            drawn.save(file, "PNG", optimize=True)
    return drawn


def _scaled(image: Image, enlarged: int, reduced: int) -> PillowImage.Image:
    """Return a picture as RGB, enlarged and reduced by whole factors."""
    picture = to_pillow(eight_bit(image.pixels))
    if reduced > 1:
        picture = picture.reduce(reduced)
    if enlarged > 1:
        size = picture.width * enlarged, picture.height * enlarged
        picture = picture.resize(size, PillowImage.Resampling.NEAREST)
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    board = _board(picture.width, picture.height)
    board.paste(picture, (0, 0), picture)
    return board


def _board(width: int, height: int, edge: int = 8) -> PillowImage.Image:
    """Return a board of squares."""
    board = PillowImage.new("RGB", (width, height), _BOARD[0])
    draw = ImageDraw.Draw(board)
    for y in range(0, height, edge):
        for x in range(edge * (y // edge % 2), width, 2 * edge):
            draw.rectangle((x, y, x + edge - 1, y + edge - 1), _BOARD[1])
    return board


def _lines(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    """Return a caption in one line or two, shortened where these do not hold it."""
    words = text.split(" ")
    first = words.pop(0)
    while words and font.getlength(f"{first} {words[0]}") <= width:
        first += " " + words.pop(0)
    return [_shortened(line, width, font) for line in (first, " ".join(words)) if line] or [""]


def _shortened(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Return a line that is no wider than ``width`` pixels."""
    while text and font.getlength(text) > width:
        text = text[:-2] + "…"
    return text
