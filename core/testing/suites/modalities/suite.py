"""The suite of modalities: what a medium is, its files, its data sets, its items."""

from __future__ import annotations

import math

from ....errors import ConfigError
from ....media import MediaSpec
from ....registration.kinds import NAME, NAME_RULE
from ...finding import Finding, holds, refused
from .data import DataChecks
from .files import FileChecks
from .items import ItemChecks

__all__ = ["ModalitySuite"]


class ModalitySuite(FileChecks, DataChecks, ItemChecks):
    """Holds a modality to its contract, that of :class:`~noiseform.core.pipeline.modality.Modality`.

    Attributes:
        media: an example of its ``[media]`` table, with small sizes, no two of them alike; where it is left out, what
            the factory's attribute ``claims`` says, or the table of a registered pipeline of the modality.
        declared_error: how far a value may be off after it was written and read, as a share of the range: one number,
            or one for each ending of a lossy format.
        without_record: endings whose files cannot hold a record.
        aliases_along: axes of space, from 0, along which making smaller leaves steps out instead of filtering.
        fits_whole: True where a data set brings an item that is too large to the shape whole, whatever its proportions,
            so that there is no part of it to choose.

    A modality in which a smooth wave is no item, such as points with labels, overrides ``item(spec, number)``.
    """

    def test_names_and_endings(self) -> None:
        """``name`` is the registered one; ``endings`` are a tuple of endings, and ``folders`` some of them."""
        made, part = self.made(), self.part()
        named = isinstance(made.name, str) and bool(NAME.fullmatch(made.name))
        holds(named, f"name: {made.name!r:.80}; {NAME_RULE}")
        if isinstance(self.component, str):
            holds(made.name == part.name, f"it is registered as {part.name!r}, but its name is {made.name!r}")
        endings, folders = made.endings, getattr(made, "folders", ())
        told = f"endings: expected a tuple such as ('.wav', '.flac'), got {endings!r:.80}"
        holds(isinstance(endings, tuple) and endings and all(isinstance(one, str) for one in endings), told)
        plain = [one for one in endings if one[:1] == "." and one[1:].isalnum() and one == one.lower()]
        holds(len(set(plain)) == len(endings), told)
        holds(isinstance(folders, tuple) and set(folders) <= set(endings), f"folders: {folders!r:.80} are not endings")

    def test_media_are_told(self) -> None:
        """``spec`` gives shape, rates and range of the example, the same each time, and leaves the table alone."""
        made, spec = self.begun()
        _is_sound(spec, "media")
        table = dict(self.table())
        holds(made.spec(table) == spec, "spec(media) is another the second time")
        holds(table == dict(self.table()), "spec changed the table that it was given")

    def test_wrong_media_are_refused(self) -> None:
        """An unknown key, text for a number, and what is out of bounds give a ConfigError."""
        made, _ = self.begun()
        table = dict(self.table())
        with refused(ConfigError, "media with an unknown key"):
            made.spec({**table, "no_such_key": 1})
        for key, value in table.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            with refused(ConfigError, f"media with text for {key}"):
                made.spec({**table, key: "some text"})
            for wrong in (0, -1, math.nan, math.inf, None):
                self._refused_or_sound({**table, key: wrong}, f"media with {key} = {wrong}")
        for key in table:
            self._refused_or_sound({one: table[one] for one in table if one != key}, f"media without {key}")

    def _refused_or_sound(self, table: dict[str, object], what: str) -> None:
        """Hold a doubtful table to be refused by ConfigError, or to give something that can be made."""
        try:
            spec = self.made().spec(table)
        except ConfigError:
            return
        except Exception as error:
            raise Finding(f"{what}: expected ConfigError, got {type(error).__name__}: {error}") from error
        _is_sound(spec, f"{what} is accepted, but gives")


def _is_sound(spec: object, what: str) -> None:
    """Hold shape, rates and range to be such as an item can have."""
    holds(isinstance(spec, MediaSpec), f"{what}: expected a MediaSpec, got {type(spec).__name__}")
    assert isinstance(spec, MediaSpec)
    sizes = all(type(size) is int and size >= 1 for size in spec.shape)
    holds(len(spec.shape) >= 2 and sizes, f"{what}: shape {spec.shape!r}, expected (channels, *space) from 1 up")
    told = f"{what}: rates {spec.rates!r}, expected a number above 0 or None for each of {len(spec.shape) - 1} axes"
    holds(len(spec.rates) == len(spec.shape) - 1, told)
    holds(all(rate is None or (math.isfinite(rate) and rate > 0) for rate in spec.rates), told)
    ordered = math.isfinite(spec.low) and math.isfinite(spec.high) and spec.low < spec.high
    holds(ordered, f"{what}: a range from {spec.low} to {spec.high}")
