"""What a modality is to the core: how its media become tensors, files and pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor

from ..data.dataset import DataConfig
from ..errors import PluginError
from ..media import MediaSpec

__all__ = ["DataSet", "Media", "Modality", "endings_of", "spec_of", "warnings_of", "wrapped"]


class Media(Protocol):
    """One item that a person sees or hears: ``Audio``, ``Image``, ``Video``, or a plugin's own."""

    @property
    def record(self) -> Mapping[str, object] | None:
        """How it was made, or None."""


class DataSet(Protocol):
    """Items of training data, all of one shape.

    Attributes:
        skipped: name and reason of what could not be used, in training too.
    """

    skipped: list[tuple[str, str]]

    def __len__(self) -> int: ...

    def item(self, index: int, *, start: float) -> Tensor:
        """Return an item (channels, \\*space), the caller's own; ``start`` in [0, 1): which part of a larger one.

        Where training runs on another device than the CPU, items and what describes them are read in other threads than
        the one that made the data set, never in two at once.
        """

    def conditions(self, index: int) -> Mapping[str, object]:
        """Return what describes the item, such as ``{"labels": ("seven", "george")}``."""

    def name(self, index: int) -> str:
        """Return the name of its file, for messages."""

    @property
    def vocabulary(self) -> tuple[tuple[str, ...], ...]:
        """Return the labels that occur, for each field of labels."""

    @property
    def fingerprint(self) -> str:
        """Return a hash that changes when the data does."""


class Modality(Protocol):
    """A kind of media.

    Attributes:
        name: as in ``noiseform generate NAME``.
        endings: endings of its files, the default one first.
        folders: those of them that are folders, each of which is one item. A modality without such need not have it.

    One whose ``[media]`` table is a pydantic model names that as ``media_table``, so that editors can check the table.
    One whose items have a length in time also has ``lasting(media, seconds)``, which returns a ``[media]`` table of
    that length. One whose items can be brought to other sizes and rates, as cascades need it, has
    ``resampled(media, given, wanted)``, which returns media (batch, \\*wanted.shape) for media (batch, \\*given.shape),
    free of aliasing and linear, so that values may overshoot. One whose files can be read has ``read(path)``, which
    returns an item, and ``take(item, spec, fit=...)``, which returns its tensor with the channels of ``spec`` and what
    that is then: with ``fit`` at the size and the rates of ``spec`` too, but of its own length in time, and by
    positions alone, whatever the values are, since masks are brought there likewise. What an item has beside that, as a
    film has sound, ``kept(made, given)`` hands on to what was made of it. An item whose attribute ``channels`` tells
    their number is told of where a model has others. The file of a mask is read as one of its items, of one channel;
    where it may also be something else, as a picture is a mask of all frames of a film,
    ``read_mask(path, spec)`` returns what is in it, above one half where something is made anew, of the axes of space
    of ``spec`` or of the last of them. One that knows other words for a part of an item than ranges and boxes has
    ``region(text)``, which returns what makes a mask (\\*space) of an item's tensor, or None where the text says none.
    """

    name: str
    endings: tuple[str, ...]
    folders: tuple[str, ...] = ()

    def spec(self, media: Mapping[str, object]) -> MediaSpec:
        """Return shape and units for the ``[media]`` table of a pipeline.

        Raises:
            ConfigError: a key is unknown, missing or out of bounds.
        """

    def wrap(self, tensor: Tensor, spec: MediaSpec, record: Mapping[str, object] | None) -> Media:
        """Return a tensor of ``spec.shape`` as a medium."""

    def dataset(self, place: str | os.PathLike[str], spec: MediaSpec, config: DataConfig) -> DataSet:
        """Return the training data of a folder or archive."""

    def write(self, item: Media, path: str | os.PathLike[str], *, record: bool, overwrite: bool) -> None:
        """Write a file, whole or not at all; its ending chooses the format."""

    def check_output(self, path: str | os.PathLike[str], spec: MediaSpec) -> None:
        """Raise ConfigError before any work is done if a file of this name and shape could not be written."""

    def read_record(self, path: str | os.PathLike[str]) -> Mapping[str, object] | None:
        """Return the record inside a file, or None."""

    def sheet(
        self, items: Sequence[Media], captions: Sequence[str], path: str | os.PathLike[str], *, overwrite: bool
    ) -> None:
        """Write one picture (PNG) that shows several items."""

    def warnings(self, item: Media) -> list[str]:
        """Return what looks wrong with an item, such as silence, with the figure that says so."""


def spec_of(modality: Modality, media: Mapping[str, object]) -> MediaSpec:
    """Return shape and units for a ``[media]`` table, held against the contract as what the following return.

    Raises:
        PluginError: the modality gives something else.
    """
    spec: object = modality.spec(media)
    if isinstance(spec, MediaSpec):
        return spec
    raise _wrong(modality, "spec", spec, "a MediaSpec")


def wrapped(modality: Modality, tensor: Tensor, spec: MediaSpec, record: Mapping[str, object] | None) -> Media:
    """Return a tensor as a medium."""
    item = modality.wrap(tensor, spec, record)
    if hasattr(item, "record"):
        return item
    raise _wrong(modality, "wrap", item, "a medium, which has a `record`")


def warnings_of(modality: Modality, item: Media) -> list[str]:
    """Return what looks wrong with an item."""
    given: object = modality.warnings(item)
    if isinstance(given, list | tuple) and all(isinstance(one, str) for one in given):
        return list(given)
    raise _wrong(modality, "warnings", given, "a list of texts")


def endings_of(modality: Modality) -> tuple[str, ...]:
    """Return the endings of a modality's files."""
    given: object = modality.endings
    if isinstance(given, list | tuple) and given and all(isinstance(e, str) and e.startswith(".") for e in given):
        return tuple(given)
    raise _wrong(modality, "endings", given, 'endings such as (".wav", ".flac")')


def _wrong(modality: Modality, method: str, given: object, expected: str) -> PluginError:
    return PluginError(f"modality {modality.name!r}: {method} gave {given!r:.80}, expected {expected}; fix the part")
