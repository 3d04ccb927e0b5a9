"""The checks of a modality's data sets: the files of a folder as items of one shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ....data.dataset import DataConfig
from ....errors import ConfigError, MediaError
from ....media import MediaSpec
from ....pipeline.modality import DataSet
from ...answers import called
from ...finding import holds, refused, same, skip
from ...inherited.modality_trial import PLAIN, ModalityTrial, close
from ...tried_on.folder import room

__all__ = ["DataChecks"]

LENIENT = DataConfig(labels="none", max_bad=0.9)
"""A data set that may have bad files."""

STARTS = (0.0, 0.5, math.nextafter(1, 0))
"""Where parts of large items are asked for."""


class DataChecks(ModalityTrial):
    """Data sets: the files of a folder, as items of one shape."""

    def test_a_folder_is_a_data_set(self) -> None:
        """Every file of a folder is an item of the example's shape, with the values that were written, each time."""
        made, spec = self.begun()
        with room() as folder:
            names = self._fill(made, spec, folder, ["0", "1", "2"])
            data = made.dataset(str(folder), spec, PLAIN)
            holds(len(data) == 3, f"a folder of 3 files is a data set of {len(data)} items")
            holds(not data.skipped, f"files that were written a moment ago are skipped: {data.skipped!r:.200}")
            found = [Path(data.name(index)).name for index in range(3)]
            holds(sorted(found) == names, f"its items are called {found}, expected the names of their files, {names}")
            for index, name in enumerate(found):
                item = data.item(index, start=0.0)
                _is_item(item, spec, f"item {index}")
                ending, told = made.endings[0], f"item {index}, which is called {name!r}, beside what was written"
                close(item, self.item(spec, names.index(name)), self.tolerance(ending, spec), told)
                same(data.item(index, start=0.0), item, f"item {index} asked for twice")

    def test_items_are_the_callers(self) -> None:
        """What is written into an item changes nothing of the data set: the same item comes again."""
        made, spec = self.begun()
        with room() as folder:
            self._fill(made, spec, folder, ["0", "1"])
            data = made.dataset(folder, spec, PLAIN)
            before = data.item(0, start=0.0).clone()
            data.item(0, start=0.0).fill_(spec.high)
            cure = "give a copy, as tensor.clone() does"
            same(data.item(0, start=0.0), before, f"item 0, asked for again after it was written into ({cure})")

    def test_items_are_read_by_another_thread(self) -> None:
        """Where one trains on a GPU, a thread reads items that did not make the data set."""
        made, spec = self.begun()
        with room() as folder:
            self._fill(made, spec, folder, ["0"])
            data = made.dataset(folder, spec, PLAIN)
            with ThreadPoolExecutor(1) as reader:
                there = called("item, in another thread,", reader.submit(data.item, 0, start=0.0).result)
            same(there, data.item(0, start=0.0), "item 0, read by another thread")

    def test_items_of_other_sizes(self) -> None:
        """A file of twice the size is cut or resized to the shape, wherever the part begins, or it is skipped."""
        made, spec = self.begun()
        with room() as folder:
            self._fill(made, spec, folder, ["0"])
            self._write_large(made, spec.times([2] * (len(spec.shape) - 1)), folder)
            data = made.dataset(folder, spec, LENIENT)
            holds(len(data) + len(data.skipped) == 2, f"of 2 files {len(data)} are items, {len(data.skipped)} skipped")
            for index in range(len(data)):
                for start in STARTS:
                    _is_item(data.item(index, start=start), spec, f"{data.name(index)} from {start:.3g}")

    def test_every_part_of_a_large_item_is_seen(self) -> None:
        """``start`` says which part is taken of an item that is too large; with ``window`` it is always the same."""
        made, spec = self.begun()
        if self.fits_whole:
            skip("it claims that items which are too large are taken whole")
        with room() as folder:
            self._fill(made, spec, folder, ["0"])
            # At the same rates, so that it is longer; each axis by another factor, so that a picture has to be cut.
            space = (size * factor for factor, size in enumerate(spec.shape[1:], 2))
            name = self._write_large(made, replace(spec, shape=(spec.shape[0], *space)), folder)
            data = made.dataset(folder, spec, LENIENT)
            parts = _parts(data, name)
            if not parts:
                skip("it takes no item that is larger than the shape")
            cure = "begin where `start` says, or claim fits_whole"
            off = (parts[0] - parts[-1]).abs().max().item()
            holds(off > 1e-3 * (spec.high - spec.low), f"the parts of a large item from 0 and from 1 are one; {cure}")
            try:
                data = made.dataset(folder, spec, LENIENT.model_copy(update={"window": "start"}))
            except ConfigError:
                return  # which is honest: it knows no such choice
            told = "with window = 'start' the part of a large item"
            for start, part in zip(STARTS, _parts(data, name), strict=True):
                close(part, parts[0], 1e-6, f"{told} from {start:.3g}; take `window` into account, or refuse it")

    def test_folders_are_labels(self) -> None:
        """Where items have labels, those are the names of the folders that their files lie in."""
        made, spec = self.begun()
        with room() as folder:
            for label in ("left", "right"):
                (folder / label).mkdir()
            self._fill(made, spec, folder / "left", ["0", "1"])
            self._fill(made, spec, folder / "right", ["2"], first=2)
            try:
                data = made.dataset(folder, spec, DataConfig(labels="folder"))
            except MediaError:
                skip("its data sets read no folders inside a folder")
            if not data.vocabulary:
                skip("its items have no labels")
            vocabulary = tuple(tuple(field) for field in data.vocabulary)
            holds(vocabulary == (("left", "right"),), f"vocabulary: expected (('left', 'right'),), got {vocabulary}")
            for index in range(len(data)):
                number = _nearest(data.item(index, start=0.0), [self.item(spec, n) for n in range(3)])
                expected, told = ("left", "left", "right")[number], data.conditions(index).get("labels")
                holds(tuple(told or ()) == (expected,), f"an item in the folder {expected!r} has the labels {told!r}")

    def test_conditions_are_told(self) -> None:
        """``conditions`` are a mapping with labels as a tuple of texts, and a text, where there are any."""
        made, spec = self.begun()
        with room() as folder:
            self._fill(made, spec, folder, ["0", "1"])
            data = made.dataset(folder, spec, PLAIN)
            for index in range(2):
                told = data.conditions(index)
                holds(hasattr(told, "keys"), f"conditions({index}): expected a mapping, got {type(told).__name__}")
                labels, text = told.get("labels", ()), told.get("text", "")
                texts = isinstance(labels, tuple) and all(isinstance(one, str) for one in labels)
                holds(texts, f"labels: expected a tuple of texts, got {labels!r:.80}")
                holds(
                    len(labels) == len(data.vocabulary), f"{len(labels)} labels in {len(data.vocabulary)} vocabularies"
                )
                holds(isinstance(text, str), f"text: expected text, got {text!r:.80}")

    def test_the_fingerprint_tells_changes(self) -> None:
        """It is the same for the same files, and another once one of them changes, comes or goes."""
        made, spec = self.begun()
        with room() as folder:
            names = self._fill(made, spec, folder, ["0", "1"])

            def fingerprint() -> object:
                return made.dataset(folder, spec, PLAIN).fingerprint

            first = fingerprint()
            holds(isinstance(first, str) and first, f"fingerprint: expected a hash as text, got {first!r:.80}")
            holds(fingerprint() == first, "two data sets of the same files have different fingerprints")
            # Another item with a record, so that the file's size changes in every format.
            other = made.wrap(self.item(spec, 7), spec, {"noiseform": "another"})
            made.write(other, folder / names[1], record=True, overwrite=True)
            second = fingerprint()
            holds(second != first, "a file was replaced, and the fingerprint stays the same")
            self._fill(made, spec, folder, ["2"])
            holds(fingerprint() != second, "a file came, and the fingerprint stays the same")

    def test_damaged_files_are_skipped(self) -> None:
        """Damaged files are left out and told, name and reason; where nothing is left, that is a MediaError."""
        made, spec = self.begun()
        if made.endings[0] in getattr(made, "folders", ()):
            skip("its items are folders")
        with room() as folder:
            ending = made.endings[0]
            (folder / f"empty{ending}").write_bytes(b"")
            (folder / f"other{ending}").write_bytes(bytes(range(256)) * 4)
            with refused(MediaError, "a folder of nothing but damaged files"):
                made.dataset(folder, spec, LENIENT)
            self._fill(made, spec, folder, ["0"])
            data = made.dataset(folder, spec, LENIENT)
            holds(len(data) == 1, f"1 good file and 2 damaged ones are a data set of {len(data)} items")
            told = {Path(name).name: reason for name, reason in data.skipped}
            expected = {f"empty{ending}", f"other{ending}"}
            holds(told.keys() == expected, f"skipped: expected {sorted(expected)}, got {sorted(told)}")
            for name, reason in told.items():
                holds(
                    reason and "\n" not in reason, f"skipped: {name}: expected a reason in one line, got {reason!r:.80}"
                )

    def test_places_without_data_are_refused(self) -> None:
        """An empty folder, and one that is not there, give a MediaError."""
        made, spec = self.begun()
        with room() as folder:
            with refused(MediaError, "an empty folder as data"):
                made.dataset(folder, spec, PLAIN)
            with refused(MediaError, "a folder that is not there as data"):
                made.dataset(folder / "missing", spec, PLAIN)

    def _write_large(self, made: Any, large: MediaSpec, folder: Path) -> str:
        """Write an item that is larger than the others, and return the name of its file."""
        name = f"large{made.endings[0]}"
        made.write(made.wrap(self.item(large), large, None), folder / name, record=False, overwrite=False)
        return name

    def _fill(self, made: Any, spec: MediaSpec, folder: Path, stems: Sequence[str], *, first: int = 0) -> list[str]:
        """Write a wave for each of some names, and return the names of the files."""
        names = [f"{stem}{made.endings[0]}" for stem in stems]
        for number, name in enumerate(names, first):
            made.write(made.wrap(self.item(spec, number), spec, None), folder / name, record=False, overwrite=False)
        return names


def _parts(data: DataSet, name: str) -> list[Tensor]:
    """Return what a data set gives of the file of that name for each of STARTS; nothing where it has skipped it."""
    numbers = [index for index in range(len(data)) if Path(data.name(index)).name == name]
    return [data.item(index, start=start) for index in numbers for start in STARTS]


def _is_item(item: object, spec: MediaSpec, what: str) -> None:
    """Hold an item of a data set to the shape and the range of the example."""
    holds(isinstance(item, Tensor), f"{what}: expected a tensor, got {type(item).__name__}")
    assert isinstance(item, Tensor)
    holds(item.shape == spec.shape, f"{what}: expected shape {spec.shape}, got {tuple(item.shape)}")
    holds(item.is_floating_point(), f"{what}: expected floating-point numbers, got {item.dtype}")
    low, high = item.min().item(), item.max().item()
    holds(bool(torch.isfinite(item).all()), f"{what}: some values are not finite")
    inside = spec.low - 1e-4 <= low and high <= spec.high + 1e-4
    holds(inside, f"{what}: values from {low:.4g} to {high:.4g}, where the range is {spec.low:g} to {spec.high:g}")


def _nearest(item: Tensor, others: Sequence[Tensor]) -> int:
    """Return which of some items this one is like."""
    return min(range(len(others)), key=lambda number: (item - others[number]).abs().mean().item())
