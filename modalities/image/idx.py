"""IDX files, the format of MNIST and its successors: all pictures in one file, their labels in another.

A file begins with two zero bytes, the type of its values, the number of its axes, and the length of each axis as a
big-endian 32-bit number; the values follow. Source: LeCun, Cortes and Burges, "The MNIST database", file formats.
"""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import math
import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import torch

from ...core.data.dataset import DataConfig, matcher
from ...core.errors import ConfigError, MediaError, ResourceError
from ...core.media import MediaSpec
from ...core.naming import printable
from ...core.raster.pixels import to_pillow
from ...core.storage.regular_file import open_regular
from .geometry import Geometry

__all__ = ["IdxDataset", "holds_idx", "read_idx"]

BYTE_LIMIT = 2**31
"""Most values of a file: all of them are held in memory, a byte each."""

SIDE_LIMIT = 8192
"""Most rows, and most columns, of a picture."""

_IMAGES = ("*images[-.]idx3-ubyte", "*images[-.]idx3-ubyte.gz")
_TYPES = {8: "unsigned bytes", 9: "signed bytes", 11: "short", 12: "int", 13: "float", 14: "double"}
_BLOCK = 2**22


class IdxDataset:
    """The pictures of an IDX file, as tensors ``(channels, height, width)`` of one shape, with their labels.

    All of them stay in memory as they are in the file, a byte a pixel.

    Example::

        data = IdxDataset("fashion_mnist", MediaSpec((1, 28, 28), (None, None), 0.0, 1.0))
        picture = data.item(0, start=0.5)

    Attributes:
        fields: names of the fields of the labels.
        skipped: name and reason of what could not be used: nothing, since a damaged file is refused as a whole.
    """

    def __init__(self, place: str | os.PathLike[str], spec: MediaSpec, config: DataConfig | None = None) -> None:
        """Read the files.

        Args:
            place: a folder with a file such as ``train-images-idx3-ubyte`` or ``.gz``, or that file. The labels are
                in the file of the same name with ``labels`` and ``idx1``.
            spec: shape ``(channels, height, width)`` of the items.
            config: ``include`` chooses among several files of pictures; ``exclude`` leaves out pictures by their
                names, such as ``*/5????`` for those from 50,000 on.

        Raises:
            ConfigError: ``spec`` is not an image spec, or ``config`` asks for labels from elsewhere.
            MediaError: the files are damaged, do not belong together, or there is no one file to choose.
        """
        config = config or DataConfig()
        if config.labels not in ("folder", "none"):
            raise ConfigError(
                f"wrong data: labels = {config.labels!r}: IDX pictures have labels of their own; use 'folder' or 'none'"
            )
        config.refuse(("captions", "stride"), "IDX data")
        self._geometry = Geometry.of(spec, config)
        images = _images_file(Path(place), config.include)
        with open_regular(images) as file:
            self._pixels = read_idx(file, str(images), axes=3)
        kept = _kept(images.name, len(self._pixels), config.exclude)
        if not kept:
            raise MediaError(f"no data: {printable(images)}: exclude leaves out all {len(self._pixels)} pictures")
        self._kept = kept
        self._file = images.name
        self.fields: tuple[str, ...] = ()
        self._labels: list[tuple[str, ...]] = [()] * len(kept)
        if config.labels == "folder":
            self.fields = ("label",)
            self._labels = _labels_of(images, len(self._pixels), kept, config)
        self.skipped: list[tuple[str, str]] = []

    def __len__(self) -> int:
        return len(self._kept)

    def item(self, index: int, *, start: float) -> torch.Tensor:
        """Return one picture, float32 ``(channels, height, width)`` in [0, 1], exactly of the shape asked for.

        Args:
            index: 0 to ``len(self) - 1``.
            start: in [0, 1), drawn by the caller: which part is taken of one that is too large, and its mirroring.
        """
        pixels = self._pixels[self._kept[index]][None]
        if not self._geometry.is_exact(pixels):
            pixels = self._geometry.fitted(to_pillow(pixels))
        return self._geometry.item(pixels, start)

    def conditions(self, index: int) -> dict[str, object]:
        """Return what describes item ``index``: ``{"labels": (...)}``."""
        return {"labels": self._labels[index]}

    def name(self, index: int) -> str:
        """Return the name of item ``index``: the file's, and the number of the picture in it."""
        return f"{self._file}/{self._kept[index]:05d}"

    @property
    def vocabulary(self) -> tuple[tuple[str, ...], ...]:
        """For each field the labels that occur, sorted."""
        return tuple(tuple(sorted({labels[field] for labels in self._labels})) for field in range(len(self.fields)))

    @property
    def fingerprint(self) -> str:
        """sha256 over pixels, numbers and labels of the items."""
        digest = hashlib.sha256(repr((tuple(self._pixels.shape), self._kept, self._labels)).encode())
        digest.update(self._pixels.numpy().data)
        return digest.hexdigest()


def holds_idx(place: str | os.PathLike[str]) -> bool:
    """Whether ``place`` is an IDX file, by its content, or a folder that holds one with pictures, by its name."""
    if os.path.isdir(place):
        return bool(_candidates(Path(place)))
    try:
        with open_regular(place) as file:
            head = _unpacked(file).read(4)
    except (MediaError, OSError, EOFError, zlib.error):
        return False
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in _TYPES and 1 <= head[3] <= 4


def read_idx(file: BinaryIO, name: str, *, axes: int) -> torch.Tensor:
    """Return the values of an IDX file of unsigned bytes, gzipped or not, as uint8.

    Args:
        file: open for reading bytes.
        name: for messages.
        axes: how many it must have: 3 for pictures (count, height, width), 1 for labels (count,).

    Raises:
        MediaError: it is no such file, absurdly large, or holds more or less than its header says.
        ResourceError: there is too little memory for it.
    """
    where = f"cannot read: {printable(name)}"
    try:
        unpacked = _unpacked(file)
        head = unpacked.read(4 + 4 * axes)
        shape = _shape(head, axes, where)
        size = math.prod(shape)
        values = bytearray()  # grows with what is there, whatever the header says
        while len(values) <= size and (block := unpacked.read(min(_BLOCK, size + 1 - len(values)))):
            values += block
    except MemoryError as error:
        raise ResourceError(f"{where}: too little memory for it; take a part of it") from error
    except (OSError, EOFError, zlib.error) as error:
        raise MediaError(f"{where}: damaged ({printable(str(error))}); fetch it again") from error
    if len(values) != size:
        what = f"more than {size}" if len(values) > size else f"{len(values)} of {size}"
        raise MediaError(f"{where}: holds {what} values that its header tells of; fetch it again")
    return torch.frombuffer(values, dtype=torch.uint8).reshape(shape)


def _shape(head: bytes, axes: int, where: str) -> tuple[int, ...]:
    """Return the lengths of the axes by a file's header, checked."""
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES:
        raise MediaError(f"{where}: no IDX file; name one such as train-images-idx3-ubyte.gz")
    if head[2] != 8 or head[3] != axes:
        raise MediaError(
            f"{where}: IDX of {_TYPES[head[2]]} with {head[3]} axes, expected unsigned bytes with {axes}; "
            "name pictures by idx3 and labels by idx1"
        )
    if len(head) < 4 + 4 * axes:
        raise MediaError(f"{where}: cut short within its header; fetch it again")
    shape = struct.unpack(f">{axes}I", head[4:])
    if not math.prod(shape):
        raise MediaError(f"{where}: holds nothing (axes {shape}); fetch it again")
    if math.prod(shape) > BYTE_LIMIT or max(shape[1:], default=0) > SIDE_LIMIT:
        raise MediaError(f"{where}: axes {shape}: more than {BYTE_LIMIT} values or {SIDE_LIMIT} a side; split it")
    return shape


def _unpacked(file: BinaryIO) -> BinaryIO:
    """Return the file, or what unzips it where its content is gzip's."""
    magic = file.read(2)
    file.seek(0)
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if magic == b"\x1f\x8b" else file


def _candidates(folder: Path, include: tuple[str, ...] = ()) -> list[Path]:
    """Return the files of pictures in a folder, those not gzipped before their gzipped doubles."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False))
    except OSError:
        return []
    found = [name for name in names if any(fnmatch.fnmatch(name.lower(), glob) for glob in _IMAGES)]
    wanted = matcher(include or ("*",))
    return [folder / name for name in found if wanted(name) and name.removesuffix(".gz") not in {*found} - {name}]


def _images_file(place: Path, include: tuple[str, ...]) -> Path:
    """Return the one file of pictures at a place."""
    if not place.is_dir():
        return place
    found = _candidates(place, include)
    if len(found) != 1:
        names = ", ".join(printable(path.name) for path in found) or "none"
        raise MediaError(f"no data: {printable(place)}: one file of IDX pictures is wanted, found {names}; set include")
    return found[0]


def _kept(file: str, count: int, exclude: tuple[str, ...]) -> list[int]:
    """Return the numbers of the pictures that ``exclude`` leaves."""
    if not exclude:
        return list(range(count))
    excluded = matcher(exclude)
    return [number for number in range(count) if not excluded(f"{file}/{number:05d}")]


def _labels_of(images: Path, count: int, kept: list[int], config: DataConfig) -> list[tuple[str, ...]]:
    """Return the labels of the pictures kept, from the file that belongs to theirs."""
    if "images" not in images.name:
        raise MediaError(
            f"no data: {printable(images)}: its name has no 'images' that 'labels' could stand for; set labels = 'none'"
        )
    before, _, after = images.name.rpartition("images")
    name = before + "labels" + after.replace("idx3", "idx1")
    others = name.removesuffix(".gz"), name.removesuffix(".gz") + ".gz"
    path = next((images.with_name(one) for one in (name, *others) if images.with_name(one).is_file()), None)
    if path is None:
        raise MediaError(
            f"no data: {printable(images.with_name(name))}: no labels; put them there or set labels = 'none'"
        )
    with open_regular(path) as file:
        values = read_idx(file, str(path), axes=1).tolist()
    if len(values) != count:
        raise MediaError(f"bad data: {printable(path)}: {len(values)} labels for {count} pictures; fetch both again")
    texts = [(config.rename.get(str(value), str(value)),) for value in range(256)]
    return [texts[values[number]] for number in kept]
