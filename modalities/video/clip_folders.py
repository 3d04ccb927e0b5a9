"""Folders of frames inside a data set, each presented as one file.

The file is made when it is opened, and is an uncompressed tar archive of the frames in their order.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from ...core.data.source import Entry, Source
from ...core.errors import MediaError
from ...core.naming import printable
from .colour import with_channels
from .decoding import Limits
from .frame_folder import ENDING, decoded, in_order

__all__ = ["ClipFolders", "is_packed", "unpacked"]

PACK_LIMIT = 512 * 2**20
"""Largest folder of frames, in bytes."""


class ClipFolders(Source):
    """A source in which each folder named ``….frames`` is one file, and the files in it are none.

    Args:
        inner: the source with the files.
    """

    def __init__(self, inner: Source) -> None:
        self._inner = inner

    @property
    def place(self) -> Path:  # type: ignore[override]
        """The folder or archive, as the user named it."""
        return self._inner.place

    @property
    def unread(self) -> list[tuple[str, str]]:  # type: ignore[override]
        """Name and reason of everything that was passed over."""
        return self._inner.unread

    def entries(self, wanted: Callable[[str], bool]) -> list[Entry]:
        """Return the files, and folders of frames, whose names are wanted, sorted by name."""
        frames: dict[str, list[Entry]] = {}
        found = []
        for entry in self._inner.entries(lambda name: _is_frame(name) or wanted(name)):
            if _is_frame(entry.name):
                frames.setdefault(entry.name.rpartition("/")[0], []).append(entry)
            elif wanted(entry.name):
                found.append(entry)
        for name, members in frames.items():
            if wanted(name):
                size = sum(member.size for member in members)
                found.append(Entry(name, size, lambda name=name, members=members: _packed(name, members)))  # type: ignore[misc]
        return sorted(found, key=lambda entry: entry.name.encode("utf-8", "surrogateescape"))

    def beside(self, name: str) -> Entry | None:
        """Return the file of this name that lies beside the source."""
        return self._inner.beside(name)


def is_packed(file: BinaryIO) -> bool:
    """Whether an open file is a folder of frames, packed."""
    head = file.read(512)
    file.seek(0)
    return head[257:262] == b"ustar"


def unpacked(file: BinaryIO, where: str, background: Literal["white", "black"]) -> Iterator[np.ndarray[Any, Any]]:
    """Yield the frames of a packed folder, uint8 (height, width, 3). Raises MediaError where one is bad."""
    limits = Limits()
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for number, member in enumerate(archive):
            if number >= limits.frames:
                raise MediaError(f"{where}: more than {limits.frames} frames; cut it into pieces")
            content = archive.extractfile(member)
            if content is None:
                raise MediaError(f"{where}: {printable(member.name)} is no file; make the frames again")
            with content as frame:
                inside = f"{where}: {printable(member.name)}"
                pixels, _ = decoded(frame, inside, limits.pixels, background)  # type: ignore[arg-type]
            yield with_channels(pixels, 3).permute(1, 2, 0).numpy()


def _is_frame(name: str) -> bool:
    folder = name.rpartition("/")[0]
    return folder.lower().endswith(ENDING) and name.lower().endswith(".png")


def _packed(name: str, members: list[Entry]) -> BinaryIO:
    """Return a folder of frames as one open file."""
    if sum(member.size for member in members) > PACK_LIMIT:
        raise MediaError(f"cannot read: {printable(name)}: more than {PACK_LIMIT} bytes; take fewer or smaller frames")
    by_name = {member.name: member for member in members}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for one in in_order(by_name):
            with by_name[one].open() as file:
                data = file.read(PACK_LIMIT)
            header = tarfile.TarInfo(one.rpartition("/")[2])
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    buffer.seek(0)
    return buffer
