"""The checks of what a modality writes and reads: whole or not at all, and the same that was written."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from ....errors import ConfigError, MediaError, NoiseformError
from ....media import MediaSpec
from ...finding import Finding, holds, refused, skip, unchanged
from ...inherited.modality_trial import ModalityTrial, close
from ...tried_on.folder import contents, room

__all__ = ["FileChecks"]

RECORD = {"noiseform": "0", "seed": 3, "text": 'a "word",\na line \u2013 \u540d', "config": {"steps": [1, 2.5, None]}}
"""A record with all that JSON has, and letters that are not ASCII."""


class FileChecks(ModalityTrial):
    """Files: what is written is read, whole or not at all."""

    def test_what_is_written_is_read(self) -> None:
        """Every format gives an item back within its declared error, of the same shape."""
        made, spec = self.begun()
        x = self.item(spec)
        for ending in self.written(made, spec):
            with room() as folder, unchanged(tensor=x):
                made.write(made.wrap(x, spec, None), folder / f"item{ending}", record=True, overwrite=False)
                close(
                    self.back(made, folder / f"item{ending}", spec),
                    x,
                    self.tolerance(ending, spec),
                    f"{ending}: written and read (a lossy format says so by declared_error)",
                )

    def test_endings_are_checked_before(self) -> None:
        """``check_output`` takes the default ending for the example, and names it where a name has an unknown one."""
        made, spec = self.begun()
        with room() as folder:
            made.check_output(folder / f"item{made.endings[0]}", spec)
            for name in ("item.unknown", "item"):
                try:
                    made.check_output(folder / name, spec)
                except ConfigError as error:
                    named = made.endings[0] in str(error)
                    holds(named, f"check_output({name!r}) names none of the endings that it knows: {error}")
                else:
                    raise Finding(f"check_output({name!r}): expected a ConfigError that names the known endings")
            holds(not contents(folder).keys() - {""}, "check_output wrote something")

    def test_refused_before_is_refused_by_write(self) -> None:
        """What ``check_output`` refuses of the example, ``write`` refuses too, and leaves nothing."""
        made, spec = self.begun()
        known = set(self.written(made, spec))
        for ending in (*(one for one in made.endings if one not in known), ".unknown"):
            with room() as folder:
                with refused(NoiseformError, f"write to {ending}, which check_output refuses"):
                    made.write(
                        made.wrap(self.item(spec), spec, None), folder / f"i{ending}", record=False, overwrite=False
                    )
                holds(contents(folder) == {"": b""}, f"write to {ending} was refused, but left something behind")

    def test_the_record_is_kept(self) -> None:
        """The record written is the record read; without ``record`` it is left out."""
        made, spec = self.begun()
        for ending in self.written(made, spec):
            if ending in self.without_record:
                continue
            with room() as folder:
                item, path = made.wrap(self.item(spec), spec, RECORD), folder / f"item{ending}"
                made.write(item, path, record=True, overwrite=False)
                self._has_record(made, path, RECORD)
                made.write(item, folder / f"plain{ending}", record=False, overwrite=False)
                self._has_record(made, folder / f"plain{ending}", None)

    def _has_record(self, made: Any, path: Path, expected: object) -> None:
        """Hold what a file says of itself to what was written."""
        found = made.read_record(path)
        holds(found == expected, f"{path.suffix}: the record {expected!r:.80} came back as {found!r:.80}")
        if hasattr(made, "read"):
            own = made.read(path).record
            holds(own == expected, f"{path.suffix}: read(path).record is {own!r:.80}, expected {expected!r:.80}")

    def test_is_deterministic(self) -> None:
        """The same item and record give the same bytes, which `replay` compares."""
        made, spec = self.begun()
        for ending in self.written(made, spec):
            with room() as folder:
                for name in ("one", "two"):
                    item = made.wrap(self.item(spec), spec, RECORD)
                    made.write(item, folder / f"{name}{ending}", record=True, overwrite=False)
                one, two = (contents(folder / f"{name}{ending}") for name in ("one", "two"))
                holds(
                    one == two, f"{ending}: the same item written twice gives other bytes (a time, or a random number?)"
                )

    def test_odd_names_work(self) -> None:
        """Names with spaces, quotes, dots and letters of any language are written and read, as text and as a path."""
        made, spec = self.begun()
        ending = made.endings[0]
        for stem in ("a name with spaces", "it's 100% \u00fcn\u00ef \u540d", "-dash.v1.2"):
            with room() as folder:
                path = folder / f"{stem}{ending}"
                made.write(made.wrap(self.item(spec), spec, RECORD), str(path), record=True, overwrite=False)
                holds(path.exists(), f"{path.name!r}: written, but there is no such file")
                close(self.back(made, path, spec), self.item(spec), self.tolerance(ending, spec), f"{path.name!r}")

    def test_nothing_is_replaced_unasked(self) -> None:
        """An existing file is refused and left whole; with ``overwrite`` it is replaced."""
        made, spec = self.begun()
        one, two = (made.wrap(self.item(spec, number), spec, None) for number in (0, 1))
        for ending in self.written(made, spec):
            with room() as folder:
                path = folder / f"item{ending}"
                made.write(one, path, record=False, overwrite=False)
                before = contents(folder)
                with refused(ConfigError, f"{ending}: a file that is there, without overwrite"):
                    made.write(two, path, record=False, overwrite=False)
                holds(contents(folder) == before, f"{ending}: a refused write changed the file, or left another one")
                made.write(two, path, record=False, overwrite=True)
                found = self.back(made, path, spec)
                close(found, self.item(spec, 1), self.tolerance(ending, spec), f"{ending}: replaced and read")
                holds(len(contents(folder)) == len(before), f"{ending}: replacing left other files behind")

    def test_failed_writes_leave_nothing(self) -> None:
        """A place that cannot be written gives an error of noiseform's; what fails on the way leaves no file either."""
        made, spec = self.begun()
        item = made.wrap(self.item(spec), spec, None)
        folders = set(getattr(made, "folders", ()))
        for ending in self.written(made, spec):
            with room() as folder:
                with refused(NoiseformError, f"{ending}: a folder that is not there"):
                    made.write(item, folder / "missing" / f"item{ending}", record=False, overwrite=False)
                if ending not in folders:
                    (folder / f"taken{ending}").mkdir()
                    with refused(NoiseformError, f"{ending}: a folder of that name"):
                        made.write(item, folder / f"taken{ending}", record=False, overwrite=True)
                    holds((folder / f"taken{ending}").is_dir(), f"{ending}: a folder was replaced by a file")
                    (folder / f"taken{ending}").rmdir()
                unwritable = made.wrap(self.item(spec), spec, {"noiseform": object()})
                if ending not in self.without_record:
                    with suppress(Exception):  # of whatever kind: what counts is what it leaves
                        made.write(unwritable, folder / f"item{ending}", record=True, overwrite=False)
                left = sorted(path.name for path in folder.iterdir())
                holds(not left, f"{ending}: a write that failed left {', '.join(left)}; write by core.storage.atomic")

    def test_values_that_are_not_finite_are_not_written(self) -> None:
        """NaN is refused by an error of noiseform's that leaves no file, or comes back as a finite value."""
        made, spec = self.begun()
        x = self.item(spec)
        x.flatten()[x.numel() // 2] = torch.nan
        for ending in self.written(made, spec):
            with room() as folder:
                path = folder / f"item{ending}"
                try:
                    made.write(made.wrap(x, spec, None), path, record=False, overwrite=False)
                except NoiseformError:
                    holds(contents(folder) == {"": b""}, f"{ending}: NaN was refused, but something is left behind")
                    continue
                finite = bool(torch.isfinite(self.back(made, path, spec)).all())
                holds(finite, f"{ending}: an item with NaN was written, and is read as NaN; refuse it in write")

    def test_damaged_files_are_told(self) -> None:
        """Files that are empty, cut, changed or something else give a MediaError, and never another exception."""
        made, spec = self.begun()
        read = getattr(made, "read", None)
        for ending in self.written(made, spec):
            for what, path, hopeless in self._damaged(made, spec, ending):
                for reader in filter(None, (read, made.read_record)):
                    told = f"{ending}: {what}, by {'read' if reader is read else 'read_record'}"
                    try:
                        reader(path)
                    except MediaError as error:
                        holds("\n" not in str(error), f"{told}: the message has several lines: {error!r:.80}")
                    except Exception as error:
                        raise Finding(f"{told}: expected MediaError, got {type(error).__name__}: {error}") from error
                    else:
                        holds(not (hopeless and reader is read), f"{told}: expected MediaError, but it was read")

    def test_a_mask_is_read(self) -> None:
        """``read_mask`` gives values above one half where the file has them, of the last axes of space."""
        made, spec = self.begun()
        if not hasattr(made, "read_mask"):
            skip("it has no read_mask: a mask is read as one of its items")
        drawn = dataclasses.replace(spec, shape=(1, *spec.shape[1:]))
        mask = torch.full(drawn.shape, spec.low)
        mask[..., : spec.shape[-1] // 2] = spec.high
        with room() as folder:
            path = folder / f"mask{made.endings[0]}"
            try:
                made.check_output(path, drawn)
            except ConfigError:
                skip("it writes no items of one channel, so a mask is none of its items")
            made.write(made.wrap(mask, drawn, None), path, record=False, overwrite=False)
            found = made.read_mask(path, spec)
        space = tuple(spec.shape[1:])
        holds(tuple(found.shape) == space[len(space) - found.ndim :], f"mask of shape {tuple(found.shape)} for {space}")
        wrong = ((found > 0.5) != (mask[0] > (spec.high + spec.low) / 2)).double().mean().item()
        holds(wrong < 0.1, f"{wrong:.0%} of a mask that was written are read as the opposite")

    def _damaged(self, made: Any, spec: MediaSpec, ending: str) -> Iterator[tuple[str, Path, bool]]:
        """Give files that are damaged in one way each, and whether nothing at all can be read of them."""
        with room() as folder:
            path = folder / f"item{ending}"
            made.write(made.wrap(self.item(spec), spec, RECORD), path, record=True, overwrite=False)
            inner = next(iter(sorted(one for one in path.rglob("*") if one.is_file()))) if path.is_dir() else path
            whole = inner.read_bytes()
            changed = [("an empty file", b"", True), ("other bytes", bytes(range(256)) * 4, True)]
            changed += [
                (f"the first {share:.0%} of a file", whole[: int(len(whole) * share)], False)
                for share in (0.03, 0.4, 0.95)
            ]
            for share in (0.02, 0.3, 0.6, 0.97):
                place = int(len(whole) * share)
                changed.append(
                    (f"byte {place} changed", whole[:place] + bytes([whole[place] ^ 0xA5]) + whole[place + 1 :], False)
                )
            for what, content, hopeless in changed:
                inner.write_bytes(content)
                yield what, path, hopeless
        yield "no file of that name", path, True
