"""Where the files of a data set lie: a folder, or a tar archive that is read in place and never unpacked."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from ..errors import MediaError
from ..naming import printable
from ..storage.regular_file import open_regular
from ..storage.temporary import TEMPORARY_PREFIX

__all__ = ["Archive", "Entry", "Folder", "Source", "open_source"]

MEMBER_LIMIT = 256 * 2**20
"""Largest single file taken from an archive, in bytes."""

ARCHIVE_LIMIT = 2 * 2**30
"""Most bytes that a compressed archive may unfold to: it is read once, and the files asked for stay in memory."""

NAME_LIMIT = 4096
"""Longest name of a file in an archive, in characters."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a source.

    Attributes:
        name: its name relative to the source, with ``/`` between the parts.
        size: its length in bytes.
        open: returns it opened for reading; raises MediaError where it has vanished or is no regular file any more.
    """

    name: str
    size: int
    open: Callable[[], BinaryIO]


class Source(ABC):
    """A set of files with names.

    Attributes:
        place: the folder or archive, as the user named it.
        unread: name and reason of everything that was passed over, such as links and devices.
    """

    place: Path
    unread: list[tuple[str, str]]

    @abstractmethod
    def entries(self, wanted: Callable[[str], bool]) -> list[Entry]:
        """Return the files whose names are wanted, sorted by name."""

    def beside(self, name: str) -> Entry | None:
        """Return the file of this name that lies beside the source, for those that are one file themselves."""
        return None


class Folder(Source):
    """The regular files of a folder and of the folders below; links are never followed."""

    def __init__(self, place: str | os.PathLike[str]) -> None:
        self.place = Path(place)
        self.unread = []

    def entries(self, wanted: Callable[[str], bool]) -> list[Entry]:
        """Return the files whose names are wanted, sorted by name. Raises MediaError where the folder is unreadable."""
        self.unread = []
        found = [
            Entry(name, size, lambda path=path, name=name: open_regular(path, follow=False, name=name))  # type: ignore[misc]
            for name, path, size in self._walk()
            if wanted(name)
        ]
        return sorted(found, key=lambda entry: os.fsencode(entry.name))

    def _walk(self) -> Iterator[tuple[str, str, int]]:
        pending = [(os.fspath(self.place), "")]
        while pending:
            folder, prefix = pending.pop()
            try:
                with os.scandir(folder) as listing:
                    inside = list(listing)
            except OSError as error:
                if not prefix:
                    raise MediaError(
                        f"cannot read: {printable(folder)}: {(error.strerror or 'no folder').lower()}; "
                        "name a folder or a tar archive of media files"
                    ) from error
                self.unread.append((prefix, "folder cannot be read"))
                continue
            for item in inside:
                name = prefix + item.name
                if item.is_dir(follow_symlinks=False):
                    pending.append((item.path, name + "/"))
                elif item.is_file(follow_symlinks=False):
                    if not item.name.startswith(TEMPORARY_PREFIX):
                        yield name, item.path, _size(item)
                else:
                    self.unread.append((name, "link" if item.is_symlink() else "no regular file"))


def _size(item: os.DirEntry[str]) -> int:
    try:
        return item.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


class _Header(tarfile.TarInfo):
    """The header of a file in an archive; tarfile itself takes a broken header for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Return the header in a block of the archive. Raises ValueError where there is none, and no end mark."""
        if len(buf) == tarfile.BLOCKSIZE and not any(buf):
            return super().frombuf(buf, encoding, errors)  # the mark of the end: tarfile's own business
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            raise ValueError("cut short, or damaged in the middle") from error


class Archive(Source):
    """The regular files of a ``.tar``, ``.tar.gz``, ``.tar.bz2`` or ``.tar.xz``, read in place.

    Nothing is ever written to the disk, so names such as ``../../x`` are only names. Of an uncompressed archive the
    files are read where they lie; a compressed one is read once, from front to end, into memory.
    """

    def __init__(self, place: str | os.PathLike[str]) -> None:
        self.place = Path(place)
        self.unread = []

    def entries(self, wanted: Callable[[str], bool]) -> list[Entry]:
        """Return the files whose names are wanted, sorted by name; of two with one name the later.

        Raises:
            MediaError: the archive is damaged, too large to be read in memory, or holds an absurdly large file.
        """
        self.unread = []
        found: dict[str, Entry] = {}
        with open_regular(self.place) as file:
            plain = self._plain(file)
            try:
                with tarfile.open(fileobj=file, mode="r:" if plain else "r|*", tarinfo=_Header) as archive:
                    for member in archive:
                        entry = self._entry(archive, member, plain, wanted)
                        if entry is not None:
                            found[entry.name] = entry
            except MediaError:
                raise
            except Exception as error:  # tarfile, zlib, lzma and bz2 each have errors of their own
                raise MediaError(f"cannot read: {printable(self.place)}: {self._why(file, error)}") from error
        return sorted(found.values(), key=lambda entry: os.fsencode(entry.name))

    def beside(self, name: str) -> Entry | None:
        """Return the file of this name in the archive's folder, if there is one."""
        path = self.place.parent / name
        if "/" in name or not path.is_file():
            return None
        return Entry(name, path.stat().st_size, lambda: open_regular(path))

    def _why(self, file: BinaryIO, error: Exception) -> str:
        """Say what an archive that cannot be read is, and what to do about it."""
        file.seek(0)
        if self._plain(file) or file.read(6).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ")):
            return f"damaged or no tar archive ({printable(str(error))}); fetch or make it again"
        return "is a file, not a folder or a tar archive; name the folder it lies in"

    @staticmethod
    def _plain(file: BinaryIO) -> bool:
        """Whether the archive is not compressed: the mark of tar stands at byte 257."""
        head = file.read(512)
        file.seek(0)
        return head[257:262] == b"ustar"

    def _entry(
        self, archive: tarfile.TarFile, member: tarfile.TarInfo, plain: bool, wanted: Callable[[str], bool]
    ) -> Entry | None:
        archive.members = []  # type: ignore[attr-defined]  # not needed, and would grow with the archive
        if member.isdir():
            return None
        if not member.isreg() or member.issparse():
            self.unread.append((member.name[:NAME_LIMIT], "link" if member.issym() or member.islnk() else "no file"))
            return None
        if not plain and member.offset_data + member.size > ARCHIVE_LIMIT:
            raise MediaError(
                f"cannot read: {printable(self.place)}: unfolds to more than {ARCHIVE_LIMIT} bytes; "
                "unpack it and name the folder"
            )
        name = member.name.removeprefix("./")
        if len(name) > NAME_LIMIT:
            self.unread.append((name[:NAME_LIMIT], f"name longer than {NAME_LIMIT} characters"))
            return None
        if not wanted(name):
            return None
        if member.size > MEMBER_LIMIT:
            self.unread.append((name, f"{member.size} bytes, more than {MEMBER_LIMIT}"))
            return None
        if plain:
            first, size = member.offset_data, member.size
            return Entry(name, size, lambda: _slice(self.place, first, size))
        content = archive.extractfile(member)
        data = content.read() if content is not None else b""
        return Entry(name, len(data), lambda: io.BytesIO(data))


def _slice(place: Path, first: int, size: int) -> BinaryIO:
    with open_regular(place) as file:
        file.seek(first)
        return io.BytesIO(file.read(size))


def open_source(place: str | os.PathLike[str]) -> Source:
    """Return the source at ``place``: a folder, or an archive by its content.

    Raises:
        MediaError: there is nothing there, or it is neither.
    """
    try:
        mode = os.stat(place).st_mode
    except (OSError, ValueError) as error:
        raise MediaError(
            f"cannot read: {printable(place)}: no such folder or archive; name a folder or a tar archive of media files"
        ) from error
    return Folder(place) if stat.S_ISDIR(mode) else Archive(place)
