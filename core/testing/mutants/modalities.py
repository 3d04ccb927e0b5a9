"""Modalities that are wrong in one way each, of curves in JSON files."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ...errors import ConfigError, MediaError
from ...media import MediaSpec
from .curves import CURVES, Curve, Curves
from .modalities_data import DATA_SETS, FittedWhole, Particular
from .mutant import Mutant

__all__ = ["MUTANTS"]


class _OneEnding(Curves):
    """Has its only ending as text."""

    endings: Any = ".json"


class _TakesAnyMedia(Curves):
    def spec(self, media):  # type: ignore[no-untyped-def]
        return super().spec({key: media[key] for key in CURVES if key in media})


class _RaisesOnText(Curves):
    def spec(self, media):  # type: ignore[no-untyped-def]
        return MediaSpec((int(media["channels"]), int(media["steps"])), (float(media["rate"]),), -1.0, 1.0)


class _NoRates(Curves):
    def spec(self, media):  # type: ignore[no-untyped-def]
        told = super().spec(media)
        return MediaSpec(told.shape, (), told.low, told.high)


class _ChangesTheTable(Curves):
    def lasting(self, media, seconds):  # type: ignore[no-untyped-def]
        media["steps"] = round(seconds * media["rate"])
        return media


class _LosesTheRecord(Curves):
    def wrap(self, tensor, spec, record):  # type: ignore[no-untyped-def]
        return super().wrap(tensor, spec, None)


class _ClampsInPlace(Curves):
    def wrap(self, tensor, spec, record):  # type: ignore[no-untyped-def]
        return Curve(tensor.mul_(0.999).float(), spec.rates[0], record)


class _DropsTheLastStep(Curves):
    def encoded(self, item, path, record):  # type: ignore[no-untyped-def]
        return super().encoded(Curve(item.values[:, :-1], item.rate, item.record), path, record)


class _Rounds(Curves):
    """Writes values of four bits."""

    def encoded(self, item, path, record):  # type: ignore[no-untyped-def]
        return super().encoded(Curve((item.values * 8).round() / 8, item.rate, item.record), path, record)


class _ExchangesChannels(Curves):
    def read(self, path):  # type: ignore[no-untyped-def]
        found = super().read(path)
        return Curve(found.values.flip(0), found.rate, found.record)


class _AlwaysTheRecord(Curves):
    def encoded(self, item, path, record):  # type: ignore[no-untyped-def]
        return super().encoded(item, path, True)


class _RecordInAscii(Curves):
    """Leaves out of the record what is not ASCII."""

    def read_record(self, path):  # type: ignore[no-untyped-def]
        found = super().read_record(path)
        return found and json.loads(json.dumps(found).encode("ascii").replace(b"\\u", b""))


class _WritesTheTime(Curves):
    def encoded(self, item, path, record):  # type: ignore[no-untyped-def]
        told = json.loads(super().encoded(item, path, record))
        return json.dumps({**told, "written": time.time_ns()}).encode()


class _Replaces(Curves):
    def write(self, item, path, *, record, overwrite):  # type: ignore[no-untyped-def]
        super().write(item, path, record=record, overwrite=True)


class _WritesDirectly(Curves):
    def write(self, item, path, *, record, overwrite):  # type: ignore[no-untyped-def]
        if Path(path).exists() and not overwrite:
            raise ConfigError(f"cannot write: {path}: it exists; choose another name")
        try:
            with open(path, "wb") as file:
                file.write(b" ")
                file.write(self.encoded(item, path, record))
        except OSError as error:
            raise ConfigError(f"cannot write: {path}: {error.strerror}; choose another place") from error


class _AnyEnding(Curves):
    def check_output(self, path, spec):  # type: ignore[no-untyped-def]
        return None


class _NamesNoEnding(Curves):
    def check_output(self, path, spec):  # type: ignore[no-untyped-def]
        if Path(path).suffix not in self.endings:
            raise ConfigError(f"cannot write: {path}: unknown format; name another")


class _AsciiNames(Curves):
    def write(self, item, path, *, record, overwrite):  # type: ignore[no-untyped-def]
        plain = os.fspath(path).encode("ascii", "ignore").decode()
        super().write(item, plain, record=record, overwrite=overwrite)


class _WritesNaN(Curves):
    def encoded(self, item, path, record):  # type: ignore[no-untyped-def]
        table = {"rate": item.rate, "values": item.values.tolist(), "record": item.record if record else None}
        return json.dumps(table).encode()

    def read(self, path):  # type: ignore[no-untyped-def]
        try:
            table = json.loads(Path(path).read_bytes())
            return Curve(torch.tensor(table["values"]), table["rate"], table["record"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise MediaError(f"cannot read: {path}: damaged; make it again") from error


class _RaisesOnDamage(Curves):
    def read(self, path):  # type: ignore[no-untyped-def]
        table = json.loads(Path(path).read_bytes())
        return Curve(torch.tensor(table["values"]), table["rate"], table["record"])


class _ReadsNothing(Curves):
    """Takes a damaged file for silence."""

    def read(self, path):  # type: ignore[no-untyped-def]
        try:
            return super().read(path)
        except MediaError:
            return Curve(torch.zeros(2, 48), 50.0)


class _TakesTensors(Curves):
    def take(self, item, spec, *, fit):  # type: ignore[no-untyped-def]
        return super().take(item if isinstance(item, Curve) else Curve(torch.zeros(spec.shape), 1.0), spec, fit=fit)


class _TakesAsItIs(Curves):
    def take(self, item, spec, *, fit):  # type: ignore[no-untyped-def]
        return super().take(item, spec, fit=False)


class _Stretches(Curves):
    """Takes the nearest step when made larger and leaves out the others when made smaller."""

    def resampled(self, media, given, wanted):  # type: ignore[no-untyped-def]
        return torch.nn.functional.interpolate(media, wanted.shape[1], mode="nearest")


class _Clamps(Curves):
    def resampled(self, media, given, wanted):  # type: ignore[no-untyped-def]
        return super().resampled(media, given, wanted).clamp(-1, 1)


class _Damps(Curves):
    """Zero padding at both ends, and a gain that is not one."""

    def resampled(self, media, given, wanted):  # type: ignore[no-untyped-def]
        return super().resampled(media, given, wanted) * (1 if wanted.shape == media.shape[1:] else 0.98)


class _KeepsTheOther(Curves):
    def kept(self, made, given):  # type: ignore[no-untyped-def]
        return given


class _SheetIsJpeg(Curves):
    def sheet(self, items, captions, path, *, overwrite):  # type: ignore[no-untyped-def]
        super().sheet(items, captions, path, overwrite=overwrite)
        with Image.open(path) as picture:
            picture.save(path, "JPEG")


class _SheetIsEmpty(Curves):
    def sheet(self, items, captions, path, *, overwrite):  # type: ignore[no-untyped-def]
        flat = [Curve(torch.full_like(one.values, 9.0), one.rate) for one in items]
        super().sheet(flat, captions, path, overwrite=overwrite)


class _NeverWarns(Curves):
    def warnings(self, item):  # type: ignore[no-untyped-def]
        return []


class _AlwaysWarns(Curves):
    def warnings(self, item):  # type: ignore[no-untyped-def]
        return ["a curve"]


class _DrawsADither(Curves):
    def encoded(self, item, path, record):  # type: ignore[no-untyped-def]
        noisy = item.values + 1e-6 * torch.randn_like(item.values)
        return super().encoded(Curve(noisy, item.rate, item.record), path, record)


def _mutants(*rows: tuple[str, Callable[..., object], str]) -> tuple[Mutant, ...]:
    return tuple(Mutant(name, factory, check, {"media": CURVES}) for name, factory, check in rows)


OWN = _mutants(
    ("gives its endings as text", _OneEnding, "test_names_and_endings"),
    ("takes media with unknown keys", _TakesAnyMedia, "test_wrong_media_are_refused"),
    ("raises ValueError on text for a number", _RaisesOnText, "test_wrong_media_are_refused"),
    ("tells no rates", _NoRates, "test_media_are_told"),
    ("changes the table of another length", _ChangesTheTable, "test_length_in_time"),
    ("loses the record", _LosesTheRecord, "test_items_are_wrapped"),
    ("changes the tensor that it wraps", _ClampsInPlace, "test_items_are_wrapped"),
    ("drops the last step", _DropsTheLastStep, "test_what_is_written_is_read"),
    ("writes four bits and declares seven", _Rounds, "test_what_is_written_is_read"),
    ("exchanges the channels", _ExchangesChannels, "test_what_is_written_is_read"),
    ("writes the record where it is to be left out", _AlwaysTheRecord, "test_the_record_is_kept"),
    ("leaves letters out of the record", _RecordInAscii, "test_the_record_is_kept"),
    ("writes other bytes each time", _WritesTheTime, "test_is_deterministic"),
    ("replaces files unasked", _Replaces, "test_nothing_is_replaced_unasked"),
    ("writes in place", _WritesDirectly, "test_failed_writes_leave_nothing"),
    ("checks no ending", _AnyEnding, "test_endings_are_checked_before"),
    ("does not name its endings", _NamesNoEnding, "test_endings_are_checked_before"),
    ("writes to another name", _AsciiNames, "test_odd_names_work"),
    ("writes NaN", _WritesNaN, "test_values_that_are_not_finite_are_not_written"),
    ("raises its decoder's errors", _RaisesOnDamage, "test_damaged_files_are_told"),
    ("takes damage for silence", _ReadsNothing, "test_damaged_files_are_told"),
    ("takes what is no item", _TakesTensors, "test_what_is_no_item_is_refused"),
    ("does not fit what it takes", _TakesAsItIs, "test_items_are_taken"),
    ("leaves steps out when made smaller", _Stretches, "test_resampling_does_not_alias"),
    ("clamps what is resampled", _Clamps, "test_resampling_is_linear"),
    ("loses level when resampled", _Damps, "test_resampling_keeps_constants"),
    ("hands on the wrong item", _KeepsTheOther, "test_what_is_kept_of_an_item"),
    ("writes a sheet as JPEG", _SheetIsJpeg, "test_a_sheet_shows_items"),
    ("writes an empty sheet", _SheetIsEmpty, "test_a_sheet_shows_items"),
    ("never warns", _NeverWarns, "test_warnings_are_told"),
    ("always warns", _AlwaysWarns, "test_warnings_are_told"),
    ("dithers by the global generator", _DrawsADither, "test_leaves_global_generators_alone"),
)

MUTANTS = (
    Mutant("the original: curves in JSON files", Curves, None, {"media": CURVES}),
    Mutant("the original: curves that are fitted whole", FittedWhole, None, {"media": CURVES, "fits_whole": True}),
    Mutant("the original: curves that take no window, no mask", Particular, None, {"media": CURVES}),
    *OWN,
    *_mutants(*DATA_SETS),
)
