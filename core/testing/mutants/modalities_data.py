"""Data sets of a modality that are wrong in one way each, of curves in JSON files."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from torch.nn import functional

from ...errors import ConfigError, MediaError
from .curves import CurveData, Curves

__all__ = ["DATA_SETS", "FittedWhole", "Particular"]


def _with(data: type[CurveData]) -> Callable[..., object]:
    """Return what makes the original with other data sets."""

    class Others(Curves):
        def dataset(self, place, spec, config):  # type: ignore[no-untyped-def]
            return data(self, Path(place), spec, config)

    return Others


class _Whole(CurveData):
    """Takes of a curve that is too long all of it, drawn together."""

    def item(self, index, *, start):  # type: ignore[no-untyped-def]
        return functional.interpolate(self._found[index][1].values[None], self._spec.shape[1], mode="linear")[0]


FittedWhole = _with(_Whole)
"""Curves whose data sets choose no part of what is too long: an original."""


class _NoChoice(CurveData):
    def __init__(self, modality, folder, spec, config):  # type: ignore[no-untyped-def]
        config.refuse(("window", "stride", "fit", "flip", "background"), "curves")
        super().__init__(modality, folder, spec, config)


class Particular(_with(_NoChoice)):  # type: ignore[misc]
    """Curves of two channels alone, whose masks are no curves and whose data sets take no window: an original."""

    def check_output(self, path, spec):  # type: ignore[no-untyped-def]
        super().check_output(path, spec)
        if spec.shape[0] != 2:
            raise ConfigError(f"cannot write: {path}: {spec.shape[0]} channels; give two")

    def read_mask(self, path, spec):  # type: ignore[no-untyped-def]
        raise MediaError(f"cannot read: {path}: no mask; give a list of numbers")


class _FirstOnly(CurveData):
    def paths(self, folder, endings):  # type: ignore[no-untyped-def]
        return super().paths(folder, endings)[:2]


class _NextItem(CurveData):
    def item(self, index, *, start):  # type: ignore[no-untyped-def]
        return super().item((index + 1) % len(self), start=start)


class _WholeItems(CurveData):
    def item(self, index, *, start):  # type: ignore[no-untyped-def]
        return self._found[index][1].values


class _BeyondTheEnd(CurveData):
    """Rounds the place of a window up."""

    def item(self, index, *, start):  # type: ignore[no-untyped-def]
        values, steps = self._found[index][1].values, self._spec.shape[1]
        first = round(start * (values.shape[1] - steps + 1))
        return values[:, first : first + steps]


class _AlwaysTheStart(CurveData):
    """Trains on the first steps of every file for ever."""

    def item(self, index, *, start):  # type: ignore[no-untyped-def]
        return super().item(index, start=0.0)


class _NoWindow(CurveData):
    """Draws a part where its start is asked for."""

    def __init__(self, modality, folder, spec, config):  # type: ignore[no-untyped-def]
        super().__init__(modality, folder, spec, config.model_copy(update={"window": "random"}))


class _ItsOwnMemory(CurveData):
    def item(self, index, *, start):  # type: ignore[no-untyped-def]
        whole = self._found[index][1].values
        return whole if whole.shape == self._spec.shape else super().item(index, start=start)


class _OneThread(CurveData):
    """Keeps a connection to a database, which answers none but the thread that opened it."""

    def __init__(self, *given):  # type: ignore[no-untyped-def]
        super().__init__(*given)
        self._known = sqlite3.connect(":memory:")

    def item(self, index, *, start):  # type: ignore[no-untyped-def]
        self._known.execute("select 1")
        return super().item(index, start=start)


class _OtherLabels(CurveData):
    def conditions(self, index):  # type: ignore[no-untyped-def]
        return super().conditions(0)


class _LabelIsText(CurveData):
    def conditions(self, index):  # type: ignore[no-untyped-def]
        return {**super().conditions(index), "labels": "none"}


class _CountIsTheFingerprint(CurveData):
    @property
    def fingerprint(self):  # type: ignore[no-untyped-def]
        return str(len(self))


class _NewFingerprint(CurveData):
    @property
    def fingerprint(self):  # type: ignore[no-untyped-def]
        return os.urandom(8).hex()


class _SilentlySkips(CurveData):
    def __init__(self, *given):  # type: ignore[no-untyped-def]
        super().__init__(*given)
        self.skipped = []


class _EmptyIsFine(CurveData):
    def __init__(self, *given):  # type: ignore[no-untyped-def]
        try:
            super().__init__(*given)
        except MediaError:
            self._found = []


DATA_SETS: tuple[tuple[str, Callable[..., object], str], ...] = (
    ("reads two files of a folder", _with(_FirstOnly), "test_a_folder_is_a_data_set"),
    ("gives the item after the one asked for", _with(_NextItem), "test_a_folder_is_a_data_set"),
    ("gives long items whole", _with(_WholeItems), "test_items_of_other_sizes"),
    ("looks for a window beyond the end", _with(_BeyondTheEnd), "test_items_of_other_sizes"),
    ("trains on the start of every file for ever", _with(_AlwaysTheStart), "test_every_part_of_a_large_item_is_seen"),
    ("draws a part where its start is asked for", _with(_NoWindow), "test_every_part_of_a_large_item_is_seen"),
    ("gives its own memory away", _with(_ItsOwnMemory), "test_items_are_the_callers"),
    ("reads items in one thread alone", _with(_OneThread), "test_items_are_read_by_another_thread"),
    ("gives every item the labels of the first", _with(_OtherLabels), "test_folders_are_labels"),
    ("gives labels as text", _with(_LabelIsText), "test_conditions_are_told"),
    ("has the number of files as fingerprint", _with(_CountIsTheFingerprint), "test_the_fingerprint_tells_changes"),
    ("has another fingerprint each time", _with(_NewFingerprint), "test_the_fingerprint_tells_changes"),
    ("skips damaged files without a word", _with(_SilentlySkips), "test_damaged_files_are_skipped"),
    ("takes an empty folder for data", _with(_EmptyIsFine), "test_places_without_data_are_refused"),
)
"""What is wrong, the modality with such data sets, and the check that finds it."""
