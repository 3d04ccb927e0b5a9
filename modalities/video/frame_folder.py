"""Films as folders of PNG files, one for each frame; the first of them tells the rate and holds the record.

The files are ``frame-00000.png``, ``frame-00001.png``, … Their order is that of their names, in which runs of digits
count as numbers, so folders that other programs wrote are read too. The rate stands in the text chunk ``Frame rate`` of
the first file, as ``16`` or ``30000/1001``, the record in its ``Comment``, where that of a picture is too.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import torch
from PIL import Image as PillowImage
from PIL import PngImagePlugin
from torch import Tensor

from ...core.errors import ConfigError, MediaError
from ...core.naming import printable
from ...core.raster.pixels import eight_bit
from ...core.storage.atomic import publish_folder, replace_folder, temporary_folder, whole_file
from ...core.storage.regular_file import open_regular
from .colour import with_channels
from .decoding import Limits, failures
from .timing import RATES, as_fraction

__all__ = ["ENDING", "Frames", "decoded", "in_order", "read", "read_comment", "write"]

ENDING = ".frames"
"""How the name of a folder ends that is written as a film, or is one item of a data set."""

FILE_LIMIT = 64 * 2**20
"""Largest file of a frame, in bytes."""

_RATE = "Frame rate"
_NAME = re.compile(r"frame-\d{5,}\.png")


@dataclass(frozen=True)
class Frames:
    """What a folder holds.

    Attributes:
        frames: uint8 (time, channels, height, width) with 1 or 3 channels.
        fps: frames per second, or None where the folder does not tell.
        comment: the text in which noiseform keeps its record, or an empty one.
    """

    frames: Tensor
    fps: float | None
    comment: str


def in_order(names: Iterable[str]) -> list[str]:
    """Return names sorted with runs of digits as numbers: ``2.png`` before ``10.png``."""
    return sorted(names, key=lambda name: [(len(part), part) if part.isdigit() else (0, part) for part in _cut(name)])


def read(
    place: str | os.PathLike[str], limits: Limits, max_values: int, background: Literal["white", "black"]
) -> Frames:
    """Return the frames in a folder.

    Raises:
        MediaError: there are none, one is damaged or of another size, or they are too large or too many.
    """
    where = f"cannot read: {printable(place)}"
    pictures: list[Tensor] = []
    texts: dict[str, str] = {}
    values = 0
    for name in _names(place, where, limits.frames):
        path = Path(place) / name
        with open_regular(path) as file:
            picture, told = decoded(file, f"cannot read: {printable(path)}", limits.pixels, background)
        texts = texts or told
        if pictures:
            if picture.shape[1:] != pictures[0].shape[1:]:
                sizes = (f"{one.shape[2]} x {one.shape[1]}" for one in (picture, pictures[0]))
                raise MediaError(
                    f"{where}: {printable(name)}: {' pixels, the first frame '.join(sizes)}; make them one size"
                )
            if len(picture) != len(pictures[0]):
                picture, pictures = with_channels(picture, 3), [with_channels(one, 3) for one in pictures]
        values += picture.numel()
        if values > max_values:
            raise MediaError(f"{where}: more than {max_values} values in its frames; take fewer")
        pictures.append(picture)
    return Frames(torch.stack(pictures), _rate(texts.get(_RATE, ""), where), texts.get("Comment", ""))


def read_comment(place: str | os.PathLike[str]) -> str:
    """Return the comment of the first frame in a folder. Raises MediaError where there is none, or it is damaged."""
    where = f"cannot read: {printable(place)}"
    path = Path(place) / _names(place, where, Limits().frames)[0]
    with open_regular(path) as file:
        return decoded(file, where, Limits().pixels)[1].get("Comment", "")


def decoded(
    file: BinaryIO, where: str, max_pixels: int, background: Literal["white", "black"] = "white"
) -> tuple[Tensor, dict[str, str]]:
    """Return a frame, uint8 (channels, height, width) with 1 or 3 channels, and the texts in its file."""
    with failures(where):
        data = file.read(FILE_LIMIT + 1)
        if len(data) > FILE_LIMIT:
            raise MediaError(f"{where}: more than {FILE_LIMIT} bytes; make it smaller")
        if not data.startswith(b"\x89PNG\r\n\x1a\n"):
            raise MediaError(f"{where}: no PNG file; make the frames PNG files")
        if b"IEND\xae\x42\x60\x82" not in data[-4096:]:
            raise MediaError(f"{where}: cut short; fetch or make it again")
        image: PillowImage.Image = PngImagePlugin.PngImageFile(io.BytesIO(data))
        width, height = image.size
        if not 0 < width * height <= max_pixels:
            raise MediaError(f"{where}: {width} x {height} pixels, expected 1 to {max_pixels}; make it smaller")
        texts = {key: value for key, value in image.info.items() if isinstance(key, str) and isinstance(value, str)}
        image.load()
        if image.mode == "I;16":
            image = PillowImage.fromarray((np.array(image, dtype=np.uint16) >> 8).astype(np.uint8))
        if "transparency" in image.info or image.mode in ("LA", "RGBA", "PA"):
            image = image.convert("RGBA")
            canvas = PillowImage.new("RGB", image.size, background)
            canvas.paste(image, mask=image.getchannel("A"))
            image = canvas
        array = np.array(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    values = torch.from_numpy(array)
    return (values[None] if values.ndim == 2 else values.permute(2, 0, 1).contiguous()), texts


def write(
    frames: Tensor, fps: float, path: str | os.PathLike[str], *, comment: str = "", overwrite: bool = False
) -> None:
    """Write frames (time, channels, height, width) in [0, 1] to a folder, whole or not at all.

    Raises:
        ConfigError: something stands there that must not be replaced.
        ResourceError: the disk is full.
    """
    target = Path(path)
    if overwrite and target.is_dir() and not all(_NAME.fullmatch(name) for name in os.listdir(target)):
        raise ConfigError(
            f"cannot write: {printable(path)}: the folder holds other things than frames; choose another name"
        )
    if not overwrite and os.path.lexists(target):
        raise ConfigError(
            f"cannot write: {printable(path)}: it exists; choose another name, or replace it with overwrite"
        )
    with temporary_folder(target) as folder:
        for number, frame in enumerate(frames):
            text = PngImagePlugin.PngInfo()
            if number == 0:
                text.add_text(_RATE, str(as_fraction(fps)))
                if comment:
                    text.add_text("Comment", comment)
            values = eight_bit(frame)
            picture = PillowImage.fromarray(
                np.ascontiguousarray((values[0] if len(values) == 1 else values.permute(1, 2, 0)).numpy())
            )
            buffer = io.BytesIO()
            picture.save(buffer, "PNG", pnginfo=text)
            with whole_file(folder / f"frame-{number:05d}.png") as file:
                file.write(buffer.getvalue())
        if overwrite and os.path.lexists(target):
            replace_folder(folder, target)
        else:
            publish_folder(folder, target)


def _names(place: str | os.PathLike[str], where: str, most: int) -> list[str]:
    """Return the names of the PNG files in a folder, in order."""
    try:
        with os.scandir(place) as entries:
            names = [entry.name for entry in entries if entry.name.lower().endswith(".png") and entry.is_file()]
    except OSError as error:
        raise MediaError(f"{where}: {(error.strerror or 'no folder').lower()}; name a folder of frames") from error
    if not names:
        raise MediaError(f"{where}: the folder holds no PNG files; name a folder of frames")
    if len(names) > most:
        raise MediaError(f"{where}: {len(names)} frames, at most {most} are read; take fewer")
    return in_order(names)


def _rate(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        rate = float(Fraction(text[:32]))
    except (ValueError, ZeroDivisionError) as error:
        raise MediaError(f"{where}: its frame rate is damaged; make the frames again") from error
    if not RATES[0] <= rate <= RATES[1]:
        raise MediaError(f"{where}: {rate:g} frames per second; {RATES[0]:g} to {RATES[1]:g} can be read")
    return rate


def _cut(name: str) -> Iterator[str]:
    """Yield the runs of digits, without leading zeros, and what stands between them."""
    for part in re.split(r"(\d+)", name):
        yield part.lstrip("0") or "0" if part.isdigit() else part
