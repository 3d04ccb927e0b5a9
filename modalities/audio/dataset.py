"""Data sets of sounds: from files to tensors of one shape, with the conditions that describe them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import BinaryIO

import torch

from ...core.data.dataset import DataConfig, Labelled, list_items, refuse_too_many
from ...core.data.source import open_source
from ...core.errors import ConfigError, MediaError, NoiseformError
from ...core.media import MediaSpec
from ...core.naming import printable
from .reading import decode

__all__ = ["AudioDataset"]

ENDINGS = ("*.wav", "*.flac", "*.ogg", "*.mp3")
"""The files taken where the recipe names none."""

CACHE_LIMIT = 2**30
"""Most bytes of decoded sound that are kept in memory."""


class AudioDataset:
    """Sounds of a folder or a tar archive, as tensors ``(channels, samples)`` of one shape, with their labels.

    Every file is decoded once at the start, which finds the unusable ones, and kept in memory up to ``cache_limit``;
    what does not fit is decoded again when it is asked for.

    Example::

        data = AudioDataset("recordings.tar.gz", MediaSpec((1, 8000), (8000.0,), -1.0, 1.0), DataConfig(labels="none"))
        sound = data.item(0, start=0.5)

    Attributes:
        fields: names of the fields of the labels.
        skipped: name and reason of every file that could not be used, in training too.
        unread: name and reason of what is no regular file (links, devices).
    """

    def __init__(
        self,
        place: str | os.PathLike[str],
        spec: MediaSpec,
        config: DataConfig | None = None,
        *,
        cache_limit: int = CACHE_LIMIT,
    ) -> None:
        """List, decode and check the files.

        Args:
            place: a folder or a tar archive.
            spec: shape ``(channels, samples)`` and sample rate of the items.
            config: which files, and where their labels come from.
            cache_limit: most bytes of decoded sound kept in memory.

        Raises:
            ConfigError: ``spec`` is none of sound, or ``config`` names what is not there.
            MediaError: there is no file, all are bad, or more than ``config.max_bad`` of them.
        """
        self.config = config or DataConfig()
        self.place = place
        self._channels, self._samples, self._rate = _sound_shape(spec)
        listing = list_items(open_source(place), self.config, ENDINGS)
        self.fields = listing.fields
        self.unread = list(listing.unread)
        self.skipped = list(listing.skipped)
        self._total = len(listing.items) + len(listing.skipped)
        self._items: list[Labelled] = []
        self._kept: list[torch.Tensor | None] = []
        self._replaced: dict[int, int] = {}
        room = cache_limit
        for item in listing.items:
            try:
                samples = self._decode(item)
            except MediaError as error:
                self._skip(item, error)
                continue
            size = samples.numel() * samples.element_size()
            room -= size
            kept = room >= 0
            # What is kept decoded needs its file no more, which may be held in memory too.
            self._items.append(replace(item, entry=replace(item.entry, open=_released)) if kept else item)
            self._kept.append(samples if kept else None)
        refuse_too_many(place, len(self.skipped), self._total, self.config.max_bad, self.skipped)

    def __len__(self) -> int:
        return len(self._items)

    def item(self, index: int, *, start: float) -> torch.Tensor:
        """Return one sound, float32 ``(channels, samples)``, exactly of the shape asked for.

        A shorter sound is followed by silence. Of a longer one a window is taken: where ``config.window`` is
        ``random`` at the fraction ``start`` of the slack, otherwise at its start or in its middle.

        A file that has vanished or changed since the start is skipped and counted, and the next good one stands in
        its place from then on; ask for ``conditions(index)`` after ``item(index)``.

        Args:
            index: 0 to ``len(self) - 1``.
            start: in [0, 1), drawn by the caller.

        Raises:
            MediaError: more than ``config.max_bad`` of the files have become bad.
        """
        samples = self._samples_of(index)
        slack = samples.shape[1] - self._samples
        if slack < 0:
            return torch.nn.functional.pad(samples, (0, -slack))
        places = {"random": min(int(start * (slack + 1)), slack), "start": 0, "centre": slack // 2}
        first = places[self.config.window]
        return samples[:, first : first + self._samples].clone()

    def conditions(self, index: int) -> dict[str, object]:
        """Return what describes item ``index``: ``{"labels": (...)}``, one for each field."""
        return {"labels": self._items[self._standing(index)].labels}

    def name(self, index: int) -> str:
        """Return the name of the file of item ``index`` inside the data."""
        return self._items[self._standing(index)].entry.name

    @property
    def vocabulary(self) -> tuple[tuple[str, ...], ...]:
        """For each field the labels that occur, sorted."""
        return tuple(tuple(sorted({item.labels[field] for item in self._items})) for field in range(len(self.fields)))

    @property
    def fingerprint(self) -> str:
        """sha256 over names, sizes and labels of the items: equal where the data are listed alike."""
        digest = hashlib.sha256()
        for item in self._items:
            digest.update(repr((os.fsencode(item.entry.name), item.entry.size, item.labels)).encode())
        return digest.hexdigest()

    def _samples_of(self, index: int) -> torch.Tensor:
        """Return the decoded sound of an item, or of the one that stands in for it."""
        for _ in range(len(self._items)):
            here = self._standing(index)
            kept = self._kept[here]
            if kept is not None:
                return kept
            try:
                return self._decode(self._items[here])
            except MediaError as error:
                self._skip(self._items[here], error)
                refuse_too_many(self.place, len(self.skipped), self._total, self.config.max_bad, self.skipped[-1:])
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

    def _decode(self, item: Labelled) -> torch.Tensor:
        with item.entry.open() as file:
            audio = decode(file, item.entry.name, sample_rate=self._rate, channels=self._channels)
        return audio.samples

    def _skip(self, item: Labelled, error: NoiseformError) -> None:
        self.skipped.append((item.entry.name, str(error)))


def _sound_shape(spec: MediaSpec) -> tuple[int, int, int]:
    """Return channels, samples and sample rate of a specification of sound."""
    rate = spec.rates[0] if len(spec.rates) == 1 else None
    if len(spec.shape) != 2 or rate is None or rate != int(rate) or min(spec.shape) < 1:
        raise ConfigError(
            f"wrong media: shape {spec.shape} with rates {spec.rates}; sound has (channels, samples) and one whole rate"
        )
    return spec.shape[0], spec.shape[1], int(rate)


def _released() -> BinaryIO:
    raise AssertionError("a sound that is kept decoded is not opened again")
