"""The suite of metrics: figures that are numbers, the same each time, best where two sets are one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from ...errors import ConfigError, NoiseformError, PluginError
from ...machine.devices import seeded
from ...pipeline.modality import Media
from ...registration.build import find
from ..finding import Finding, holds, no_global_draws, skip, unchanged
from ..suite import Suite
from ..tried_on.measured import IdealModel, Sets, tensors_of

__all__ = ["MetricSuite"]

MODALITIES = ("audio", "image", "video")


class MetricSuite(Suite):
    """Holds a metric to its contract: ``compare(made, real)``, or ``compare(model, real)`` with ``needs = "model"``.

    A metric that names no modality is tried with those of noiseform.

    Attributes:
        best: what each figure is where the two sets are the same, or a mapping of those that have such a value; None
            where none has.
        tolerance: how far a figure may be from that, and change where nothing of importance does.
        paired: True where item i of one set is compared with item i of the other.
        symmetric: True where the two sets may be exchanged.
        least_items: the fewest items of a set that it can compare, where it looks at neighbours or estimates a spread;
            fewer it refuses by an error of noiseform's.
        of_the_work: figures that tell what the measuring took, such as calls, and may differ where batches do.
        media: an example of the ``[media]`` table of its modality, where that says none itself.
    """

    kind: ClassVar[str] = "metric"
    best: ClassVar[float | Mapping[str, float] | None] = 0.0
    tolerance: ClassVar[float] = 1e-4
    paired: ClassVar[bool] = False
    symmetric: ClassVar[bool] = False
    least_items: ClassVar[int] = 1
    of_the_work: ClassVar[tuple[str, ...]] = ()
    media: ClassVar[Mapping[str, object]] = {}

    def test_says_what_it_needs(self) -> None:
        """``needs`` is "made" or "model", and ``modality`` a registered one, where they are given."""
        made = self.made()
        needs, modality = getattr(made, "needs", "made"), getattr(made, "modality", None)
        holds(needs in ("made", "model"), f'needs: expected "made" or "model", got {needs!r:.80}')
        if modality is not None:
            try:
                find("modality", modality, owners=self._owners())
            except (ConfigError, PluginError) as error:
                raise Finding(f"modality: {error}") from error

    def test_figures_are_numbers(self) -> None:
        """What it says is a mapping of names to finite numbers, one at least."""
        for _, sets in self._each():
            self._figures(self.made(), sets)

    def test_is_deterministic(self) -> None:
        """Two calls with the same sets give the same figures, whatever the state of any global generator."""
        for name, sets in self._each():
            made = self.made()
            with seeded(1):
                one = self._figures(made, sets)
            with seeded(2):
                other = self._figures(made, sets)
            holds(one == other, f"{name}: the same sets gave {_told(one)}, then {_told(other)}")

    def test_leaves_global_generators_alone(self) -> None:
        """Nothing is drawn from a global generator, and none is seeded."""
        for _, sets in self._each():
            with no_global_draws():
                self._figures(self.made(), sets)

    def test_leaves_its_items_alone(self) -> None:
        """Neither the lists nor the items in them are changed: other metrics are shown the same."""
        for _, sets in self._each():
            made = self.made()
            count = self._at_least(3)
            real: list[Any] = sets.real(count) if self._measures_models() else sets.items(count)
            other = [one.media for one in real] if self._measures_models() else sets.items(count, noise=0.1)
            lists = [list(real), list(other)]
            watched = {f"real {name}": tensor for name, tensor in tensors_of(real).items()}
            watched |= {f"made {name}": tensor for name, tensor in tensors_of(other).items()}
            with unchanged(**watched):
                made.compare(IdealModel(sets.spec, 2) if self._measures_models() else other, real)
            kept = all(map(_is_same, (real, other), lists))
            holds(kept, "a list of items was changed; work on a copy, since it belongs to the caller")

    def test_order_does_not_matter(self) -> None:
        """The items of a set in another order give the same figures; those of both sets, where they are paired."""
        self._compares_sets()
        for name, sets in self._each():
            made, (one, other) = self.made(), self._pair(sets, noise=0.1)
            expected = self._compared(made, one, other)
            found = self._compared(made, _turned(one), _turned(other) if self.paired else other)
            self._same(found, expected, f"{name}: the items of a set in another order")

    def test_sets_of_other_sizes(self) -> None:
        """There may be more real items than made ones, and all of them count, unless they are compared in pairs."""
        self._compares_sets()
        if self.paired:
            skip("it compares item i with item i")
        for name, sets in self._each():
            made, one, other = self.made(), sets.items(self._at_least(4), noise=0.1), sets.items(self._at_least(4) + 2)
            sizes = f"{name}: {len(one)} made items and {len(other)} real ones"
            try:
                expected = self._compared(made, one, other)
            except Exception as error:
                told = f"{sizes}: {type(error).__name__}: {error}; compare sets of any sizes, or claim `paired`"
                raise Finding(told) from error
            self._same(self._compared(made, one, _turned(other)), expected, f"{sizes}, these in another order")

    def test_a_set_is_best_beside_itself(self) -> None:
        """A set compared with itself gives the value that is claimed to be best."""
        self._compares_sets()
        for name, sets in self._each():
            found = self._compared(self.made(), *self._pair(sets, noise=0.0))
            for figure, value in self._bests(found):
                told = f"{name}: {figure} of a set beside itself is {found[figure]:.4g}, expected {value:g}"
                holds(abs(found[figure] - value) <= self.tolerance, f"{told}; correct it, or say what is `best`")

    def test_noise_is_worse(self) -> None:
        """Where noise was added to a set, its figures are farther from the best, and the more the farther."""
        self._compares_sets()
        for name, sets in self._each():
            pairs = (self._pair(sets, noise=size) for size in (0.0, 0.05, 0.6))
            none, little, much = (self._compared(self.made(), *pair) for pair in pairs)
            for figure, value in self._bests(none):
                off = [abs(found[figure] - value) for found in (none, little, much)]
                told = f"{name}: {figure} is {off[0]:.4g} from its best without noise, {off[1]:.4g} with a little"
                holds(max(off[1], self.tolerance) < off[2], f"{told}, {off[2]:.4g} with much; expected it to grow")

    def test_sets_may_be_exchanged(self) -> None:
        """Where the suite says that it is symmetric, compare(a, b) is compare(b, a)."""
        self._compares_sets()
        if not self.symmetric:
            skip("the suite does not say that it is symmetric")
        for name, sets in self._each():
            made, (one, other) = self.made(), self._pair(sets, noise=0.2)
            found = self._compared(made, other, one)
            self._same(found, self._compared(made, one, other), f"{name}: two sets exchanged")

    def test_small_sets(self) -> None:
        """A single item, or one fewer than it needs, gives finite figures, or an error of noiseform's in one line."""
        for name, sets in self._each():
            for count in {1, max(1, self.least_items - 1)}:
                try:
                    self._figures(self.made(), sets, count=count)
                except NoiseformError as error:
                    told = f"{name}: with {count} of each the message has several lines: {error!r:.100}"
                    holds("\n" not in str(error), told)

    def test_batches_do_not_matter(self) -> None:
        """One that needs the model says the same, however many items a call of the network takes."""
        if not self._measures_models():
            skip("it is shown no model")
        for name, sets in self._each():
            one, other = (
                {figure: value for figure, value in found.items() if figure not in self.of_the_work}
                for found in (self._figures(self.made(), sets, batch_size=size) for size in (1, 2))
            )
            self._same(one, other, f"{name}: 1 item a call of the network, and 2")

    def _each(self) -> Iterator[tuple[str, Sets]]:
        """Give each modality that it measures, with sets of its items."""
        named = getattr(self.made(), "modality", None)
        for name in MODALITIES if named is None else (named,):
            sets = Sets.of(name, self.media, owners=self._owners() if named else ("noiseform",))
            yield name, sets.small if self._measures_models() else sets

    def _owners(self) -> tuple[str, ...]:
        """Return whose modality the name of one means: that of the metric's own distribution, then noiseform's."""
        return self.part().plugin.distribution, "noiseform"

    def _measures_models(self) -> bool:
        return getattr(self.made(), "needs", "made") == "model"

    def _compares_sets(self) -> None:
        if self._measures_models():
            skip("it is shown a model, and no other set")

    def _at_least(self, count: int) -> int:
        """Return how many items are compared where so many would do."""
        return max(count, self.least_items)

    def _pair(self, sets: Sets, *, noise: float) -> tuple[list[Media], list[Media]]:
        """Return as many noisy items as real ones."""
        count = self._at_least(4)
        return sets.items(count, noise=noise), sets.items(count)

    def _figures(self, made: Any, sets: Sets, *, count: int | None = None, batch_size: int = 2) -> dict[str, float]:
        """Return what it says of a noisy set, or of a model, and of real items."""
        count = self._at_least(3) if count is None else count
        if self._measures_models():
            return self._compared(made, IdealModel(sets.spec, batch_size), sets.real(count))
        return self._compared(made, sets.items(count, noise=0.1), sets.items(count))

    def _compared(self, made: Any, one: object, other: object) -> dict[str, float]:
        figures = made.compare(one, other)
        told = f"compare gave {figures!r:.100}, expected a mapping of names to finite numbers"
        holds(isinstance(figures, Mapping) and figures, told)
        for name, value in figures.items():
            holds(isinstance(name, str) and name, f"{told}; {name!r:.40} is no name")
            number = isinstance(value, int | float) and not isinstance(value, bool)
            holds(number and math.isfinite(value), f"{told}; {name} is {value!r:.40}")
        return dict(figures)

    def _bests(self, figures: Mapping[str, float]) -> Iterator[tuple[str, float]]:
        """Give the figures that have a best value, and that."""
        if self.best is None:
            skip("the suite says that no figure has a best value")
        claimed = self.best if isinstance(self.best, Mapping) else dict.fromkeys(figures, self.best)
        for name, value in claimed.items():
            holds(name in figures, f"best: there is no figure {name!r}, only {', '.join(figures)}")
            yield name, value

    def _same(self, found: Mapping[str, float], expected: Mapping[str, float], what: str) -> None:
        close = found.keys() == expected.keys() and all(
            abs(found[name] - expected[name]) <= self.tolerance * max(1, abs(expected[name])) for name in expected
        )
        holds(close, f"{what}: {_told(expected)} became {_told(found)}")


def _turned(items: Sequence[Media]) -> list[Media]:
    """Return items in another order, in which none stands where it stood, and the last ones stand first."""
    return [*reversed(items[-2:]), *items[:-2]]


def _is_same(found: Sequence[object], before: Sequence[object]) -> bool:
    """Tell whether a list holds the very same things in the same order."""
    return len(found) == len(before) and all(one is other for one, other in zip(found, before, strict=True))


def _told(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.6g}" for name, value in figures.items())
