"""Items out of files: decoded once, kept as far as memory goes, and replaced when their files go bad."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import BinaryIO

from torch import Tensor

from ..errors import MediaError, NoiseformError
from ..naming import printable
from .dataset import DataConfig, Labelled, list_items, refuse_too_many
from .decoding_process import DecodingProcess
from .source import Source, open_source

__all__ = ["CACHE_LIMIT", "FileDataset"]

CACHE_LIMIT = 2**30
"""Most bytes of decoded items that are kept in memory."""


class FileDataset(ABC):
    """The files of a folder or a tar archive, decoded, with what describes them.

    Every file is decoded once at the start, in a process of its own, which finds the unusable ones, even those that
    hang or crash a decoder. What was decoded is kept in memory up to ``cache_limit``; what does not fit is decoded
    again when it is asked for, in this process. A file that has vanished or changed since is skipped and counted, and
    the next good one stands in its place from then on; ask for ``conditions(index)`` after its item.

    A modality says how a file is decoded and how an item is cut from that, before it calls this constructor.

    Attributes:
        fields: names of the fields of the labels.
        skipped: name and reason of every file that could not be used, in training too.
        unread: name and reason of what is no regular file (links, devices).
    """

    def __init__(
        self, place: str | os.PathLike[str], config: DataConfig, endings: tuple[str, ...], cache_limit: int
    ) -> None:
        """List, decode and check the files.

        Args:
            place: a folder or a tar archive.
            config: which files, and where what describes them comes from.
            endings: globs of the modality's files.
            cache_limit: most bytes of decoded items kept in memory.

        Raises:
            ConfigError: ``config`` names what is not there.
            MediaError: there is no file, all are bad, or more than ``config.max_bad`` of them.
        """
        self.config = config
        self.place = place
        listing = list_items(self.source(place), config, endings)
        self.fields = listing.fields
        self.unread = list(listing.unread)
        self.skipped = list(listing.skipped)
        self._total = len(listing.items) + len(listing.skipped)
        self._items: list[Labelled] = []
        self._kept: list[Tensor | None] = []
        self._replaced: dict[int, int] = {}
        room = cache_limit
        with DecodingProcess(lambda number: self._decoded(listing.items[number])) as decode:
            for number, item in enumerate(listing.items):
                try:
                    decoded = decode(number)
                except MediaError as error:
                    self._skip(item, error)
                    continue
                room -= decoded.numel() * decoded.element_size()
                kept = room >= 0
                # What is kept decoded needs its file no more, which may be held in memory too.
                self._items.append(replace(item, entry=replace(item.entry, open=_released)) if kept else item)
                self._kept.append(decoded if kept else None)
        refuse_too_many(place, len(self.skipped), self._total, config.max_bad, self.skipped)

    def source(self, place: str | os.PathLike[str]) -> Source:
        """Return where the files lie; a modality may see several files as one."""
        return open_source(place)

    @abstractmethod
    def decode(self, file: BinaryIO, name: str) -> Tensor:
        """Return what is kept of a file, in the channels and units of the items. Raises MediaError where it is bad."""

    @abstractmethod
    def item(self, index: int, *, start: float) -> Tensor:
        """Return an item (channels, \\*space); ``start`` in [0, 1) says which part of one that is too large."""

    def __len__(self) -> int:
        return len(self._items)

    def conditions(self, index: int) -> dict[str, object]:
        """Return what describes item ``index``: ``{"labels": (...)}``, one for each field, and ``"text"`` if any."""
        item = self._items[self._standing(index)]
        return {"labels": item.labels} if item.text is None else {"labels": item.labels, "text": item.text}

    def name(self, index: int) -> str:
        """Return the name of the file of item ``index`` inside the data."""
        return self._items[self._standing(index)].entry.name

    @property
    def vocabulary(self) -> tuple[tuple[str, ...], ...]:
        """For each field the labels that occur, sorted."""
        return tuple(tuple(sorted({item.labels[field] for item in self._items})) for field in range(len(self.fields)))

    @property
    def fingerprint(self) -> str:
        """sha256 over names, sizes, labels and captions of the items: equal where the data are listed alike."""
        digest = hashlib.sha256()
        for item in self._items:
            text = () if item.text is None else (item.text,)
            digest.update(repr((os.fsencode(item.entry.name), item.entry.size, item.labels, *text)).encode())
        return digest.hexdigest()

    def kept(self, index: int) -> Tensor:
        """Return what was decoded of item ``index``, or of the one that stands in for it; not to be changed.

        Raises:
            MediaError: more than ``config.max_bad`` of the files have become bad.
        """
        for _ in range(len(self._items)):
            here = self._standing(index)
            kept = self._kept[here]
            if kept is not None:
                return kept
            try:
                return self._decoded(self._items[here])
            except MediaError as error:
                self._skip(self._items[here], error)
                refuse_too_many(self.place, len(self.skipped), self._total, self.config.max_bad, self.skipped[::-1])
                self._replaced[here] = (here + 1) % len(self._items)
        raise MediaError(f"bad data: {printable(self.place)}: no file is left that can be read; restore them")

    def _standing(self, index: int) -> int:
        """Return the index of the item that stands in for ``index``, itself as long as it is good."""
        index = range(len(self._items))[index]
        for _ in range(len(self._items)):
            if index not in self._replaced:
                break
            index = self._replaced[index]
        return index

    def _decoded(self, item: Labelled) -> Tensor:
        with item.entry.open() as file:
            return self.decode(file, item.entry.name)

    def _skip(self, item: Labelled, error: NoiseformError) -> None:
        self.skipped.append((item.entry.name, str(error)))


def _released() -> BinaryIO:
    raise AssertionError("an item that is kept decoded is not opened again")
