"""The checks of a modality's items: what they are taken for, brought to, warned of and shown as."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch

from ....errors import ConfigError, NoiseformError
from ....media import MediaSpec
from ...finding import holds, no_global_draws, refused, same, skip, unchanged
from ...inherited.modality_trial import ModalityTrial, close
from ...tried_on.folder import contents, room

__all__ = ["ItemChecks"]


class ItemChecks(ModalityTrial):
    """Items: as tensors of a model, brought to other sizes, warned of, and shown."""

    def test_items_are_wrapped(self) -> None:
        """``wrap`` takes a tensor of any floating-point dtype, leaves it alone, and keeps the record."""
        made, spec = self.begun()
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            x = self.item(spec).to(dtype)
            with unchanged(tensor=x):
                for record in (None, {"noiseform": "0", "seed": 1}):
                    item = made.wrap(x, spec, record)
                    kept = getattr(item, "record", "no attribute `record`")
                    holds(kept == record, f"wrap with the record {record!r}: the item has {kept!r:.80}")

    def test_items_are_taken(self) -> None:
        """``take`` gives back what was wrapped; with ``fit`` an item of another size gets the example's."""
        made, spec = self.begun()
        self._takes(made)
        x, step = self.item(spec), (spec.high - spec.low) / 128
        for fit in (False, True):
            with unchanged(tensor=x):
                tensor, found = made.take(made.wrap(x, spec, None), spec, fit=fit)
            close(tensor, x, step, f"take(wrap(x), fit={fit})")
            holds(
                tuple(found.shape) == tuple(tensor.shape), f"take told shape {found.shape}, gave {tuple(tensor.shape)}"
            )
            holds(_alike(found.rates, spec.rates), f"take told the rates {found.rates}, expected {spec.rates}")
        large = spec.times([2] * (len(spec.shape) - 1))
        item = made.wrap(self.item(large), large, None)
        tensor, found = made.take(item, spec, fit=False)
        holds(tuple(tensor.shape) == large.shape, f"take(fit=False) of {large.shape} gave {tuple(tensor.shape)}")
        tensor, found = made.take(item, spec, fit=True)
        expected = list(spec.shape)
        if spec.time_axis is not None:  # twice the rate and twice as many: as long as the example, at its rate
            expected[1 + spec.time_axis] = found.shape[1 + spec.time_axis]
        holds(list(tensor.shape) == expected, f"take(fit=True) gave {tuple(tensor.shape)}, expected {tuple(expected)}")
        holds(_alike(found.rates, spec.rates), f"take(fit=True) told the rates {found.rates}, expected {spec.rates}")

    def test_what_is_no_item_is_refused(self) -> None:
        """``take`` refuses what is no item of the modality, and values that are not finite, or makes them finite."""
        made, spec = self.begun()
        self._takes(made)
        for other in (None, "a text", self.item(spec), object()):
            with refused(ConfigError, f"take({type(other).__name__})"):
                made.take(other, spec, fit=False)
        x = self.item(spec)
        x.flatten()[0] = torch.inf
        x.flatten()[1] = torch.nan
        try:
            tensor, _ = made.take(made.wrap(x, spec, None), spec, fit=False)
        except NoiseformError:
            return
        holds(bool(torch.isfinite(tensor).all()), "take gives values that are not finite; refuse them by a MediaError")

    def _takes(self, made: Any) -> None:
        if not hasattr(made, "take"):
            skip("it has no take: its items are not edited")

    def test_resampling_is_linear(self) -> None:
        """``resampled`` gives the wanted shape, is linear, treats items alone, and leaves its own size as it is."""
        made, spec = self.begun()
        x = torch.stack([self.item(spec), self.item(spec, 1)])
        for wanted in self._sizes(made, spec):
            with unchanged(media=x):
                found = made.resampled(x, spec, wanted)
            holds(found.shape == (2, *wanted.shape), f"resampled to {wanted.shape} gave {tuple(found.shape[1:])}")
            sums = made.resampled(2 * x[:1] - 3 * x[1:], spec, wanted)
            close(sums, 2 * found[:1] - 3 * found[1:], 1e-4, f"resampled to {wanted.shape}: not linear")
            close(made.resampled(x[:1], spec, wanted), found[:1], 1e-5, f"resampled to {wanted.shape}: alone")
        same(made.resampled(x, spec, spec), x, "resampled to its own size", atol=1e-6)

    def test_resampling_keeps_constants(self) -> None:
        """What is constant stays so, away from the edges."""
        made, spec = self.begun()
        for wanted in self._sizes(made, spec):
            found = made.resampled(torch.full((1, *spec.shape), 0.5), spec, wanted)
            for axis in range(1, len(wanted.shape)):
                third = wanted.shape[axis] // 3
                found = found.narrow(axis + 1, third, max(1, wanted.shape[axis] - 2 * third))
            close(found, torch.full_like(found, 0.5), 5e-3, f"0.5 everywhere, resampled to {wanted.shape}")

    def test_resampling_does_not_alias(self) -> None:
        """What alternates from step to step along an axis vanishes where that axis is halved."""
        made, spec = self.begun()
        self._resamples(made)
        for axis, length in enumerate(spec.shape[1:]):
            if axis in self.aliases_along or length < 8:
                continue
            signs = (1.0 - 2.0 * (torch.arange(length) % 2)).reshape(-1, *[1] * (len(spec.shape) - 2 - axis))
            wanted = _halved(spec, axis)
            found = made.resampled(signs.expand(1, *spec.shape).clone(), spec, wanted).abs()
            third = wanted.shape[1 + axis] // 3
            left = found.narrow(2 + axis, third, max(1, wanted.shape[1 + axis] - 2 * third)).max().item()
            cure = "filter before leaving out, or name the axis in aliases_along"
            holds(left < 0.5, f"an alternation of 1 and -1 along axis {axis}, halved, still reaches {left:.2g}; {cure}")

    def _resamples(self, made: Any) -> None:
        if not hasattr(made, "resampled"):
            skip("it has no resampled: its items are not made larger")

    def _sizes(self, made: Any, spec: MediaSpec) -> list[MediaSpec]:
        """Return twice the size along each axis, along all, and half of each."""
        self._resamples(made)
        axes = len(spec.shape) - 1
        larger = [
            spec.times(factors) for factors in product((1, 2), repeat=axes) if sum(factors) in (axes + 1, 2 * axes)
        ]
        return [*larger, *(_halved(spec, axis) for axis in range(axes) if spec.shape[1 + axis] % 2 == 0)]

    def test_length_in_time(self) -> None:
        """``lasting(media, seconds)`` is a [media] table of that length, alike in all else."""
        made, spec = self.begun()
        if not hasattr(made, "lasting"):
            skip("it has no lasting")
        axis, table = spec.time_axis, dict(self.table())
        holds(axis is not None, "it has lasting, but no axis of its media has a rate")
        assert axis is not None
        for factor in (1, 3):
            seconds = factor * spec.shape[1 + axis] / (spec.rates[axis] or 1)
            found = made.spec(made.lasting(table, seconds))
            expected = list(spec.shape)
            expected[1 + axis] *= factor
            told = f"lasting(media, {seconds:.4g}): shape {found.shape}, expected {tuple(expected)}"
            holds(list(found.shape) == expected and found.rates == spec.rates, told)
        holds(table == dict(self.table()), "lasting changed the table that it was given")

    def test_what_is_kept_of_an_item(self) -> None:
        """``kept(made, given)`` hands on what ``given`` has beside its tensor; the rest is that of ``made``."""
        made, spec = self.begun()
        if not hasattr(made, "kept"):
            skip("it has no kept")
        self._takes(made)
        new = made.wrap(self.item(spec), spec, {"noiseform": "new"})
        kept = made.kept(new, made.wrap(self.item(spec, 1), spec, {"noiseform": "given"}))
        holds(kept.record == {"noiseform": "new"}, f"kept: the record is {kept.record!r:.80}, expected that of `made`")
        found = made.take(kept, spec, fit=False)[0]
        close(found, self.item(spec), (spec.high - spec.low) / 128, "kept: the tensor is not that of `made`")

    def test_warnings_are_told(self) -> None:
        """Constant items are warned of, in words; a plain wave is not."""
        made, spec = self.begun()
        for name, x in (("a wave", self.item(spec)), ("low", None), ("middling", None), ("high", None)):
            level = {"low": spec.low, "high": spec.high}.get(name, (spec.low + spec.high) / 2)
            item = made.wrap(torch.full(spec.shape, level) if x is None else x, spec, None)
            told = made.warnings(item)
            texts = isinstance(told, list) and all(isinstance(one, str) and one for one in told)
            holds(texts, f"warnings: expected a list of texts, got {told!r:.80}")
            if x is None:
                holds(told, f"an item whose values all are {level:g} gives no warning")
            else:
                holds(not told, f"a plain wave is warned of: {'; '.join(told):.100}")

    def test_a_sheet_shows_items(self) -> None:
        """``sheet`` writes a PNG that shows the items, whatever their captions, and replaces nothing unasked."""
        from PIL import Image

        made, spec = self.begun()
        captions = ["seed 0", "a long caption \u2013 \u540d " * 8, "", "two\nlines"]
        items = [made.wrap(self.item(spec, number), spec, None) for number in range(4)]
        with room() as folder:
            sizes, drawn = [], []
            for count in (1, 4):
                path = folder / f"sheet {count}.png"
                made.sheet(items[:count], captions[:count], path, overwrite=False)
                with Image.open(path) as picture:
                    picture.load()
                    holds(picture.format == "PNG", f"a sheet is a {picture.format}, expected a PNG")
                    sizes.append(picture.width * picture.height)
                    drawn.append(len(set(picture.convert("L").resize((64, 64)).tobytes())))
            holds(min(drawn) > 1, "a sheet has one colour all over: it shows nothing")
            holds(sizes[1] > sizes[0], "a sheet of 4 items is no larger than one of 1")
            before = contents(folder)
            with refused(ConfigError, "a sheet in the place of a file, without overwrite"):
                made.sheet(items[:1], ["other"], folder / "sheet 4.png", overwrite=False)
            with refused(NoiseformError, "a sheet in a folder that is not there"):
                made.sheet(items[:1], ["other"], folder / "missing" / "sheet.png", overwrite=False)
            holds(contents(folder) == before, "a refused sheet changed the file, or left another one")
            made.sheet(items[:1], captions[:1], folder / "sheet 4.png", overwrite=True)
            after = contents(folder)
            holds(after["sheet 4.png"] == after["sheet 1.png"], "the same item and caption give another sheet")

    def test_leaves_global_generators_alone(self) -> None:
        """Writing, reading and showing draw nothing from a global generator, and seed none."""
        made, spec = self.begun()
        with room() as folder, no_global_draws():
            item, path = made.wrap(self.item(spec), spec, None), folder / f"item{made.endings[0]}"
            made.write(item, path, record=True, overwrite=False)
            self.back(made, path, spec)
            made.sheet([item], ["one"], folder / "sheet.png", overwrite=False)
            made.warnings(item)


def _alike(found: tuple[float | None, ...], expected: tuple[float | None, ...]) -> bool:
    """Tell whether rates are those that were expected, or none where none were."""
    return len(found) == len(expected) and all(
        one == other or (one is not None and other is not None and abs(one / other - 1) < 1e-3)
        for one, other in zip(found, expected, strict=True)
    )


def _halved(spec: MediaSpec, axis: int) -> MediaSpec:
    """Return the same with half as many positions along an axis, as long in time."""
    shape, rates = list(spec.shape), list(spec.rates)
    shape[1 + axis] //= 2
    rate = rates[axis]
    rates[axis] = rate and rate / 2
    return MediaSpec(tuple(shape), tuple(rates), spec.low, spec.high)
