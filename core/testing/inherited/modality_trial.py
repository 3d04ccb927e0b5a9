"""What the checks of modalities share: an example of its media, items of it, and reading them back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from ...data.dataset import DataConfig
from ...errors import ConfigError
from ...media import MediaSpec
from ..finding import holds
from ..suite import Suite
from ..tried_on.waves import example_of, wave

__all__ = ["ModalityTrial", "close"]

PLAIN = DataConfig(labels="none")
"""A data set without labels."""


class ModalityTrial(Suite):
    """A modality with an example of its media; see :class:`~noiseform.testing.ModalitySuite` for the attributes."""

    kind: ClassVar[str] = "modality"
    media: ClassVar[Mapping[str, object]] = {}
    declared_error: ClassVar[float | Mapping[str, float]] = 1 / 128
    without_record: ClassVar[tuple[str, ...]] = ()
    aliases_along: ClassVar[tuple[int, ...]] = ()
    fits_whole: ClassVar[bool] = False

    @classmethod
    def lacks(cls) -> str:
        """Return what has to be said before anything can be checked."""
        return super().lacks() or ("" if cls.table() else "media, an example of its [media] table")

    @classmethod
    def table(cls) -> Mapping[str, object]:
        """Return the example of the ``[media]`` table."""
        return cls.media or example_of(cls.part())

    def begun(self) -> tuple[Any, MediaSpec]:
        """Return the modality, and shape and units of the example."""
        made, table = self.made(), self.table()
        holds(table, "set `media` to an example of its [media] table, with small sizes")
        spec = made.spec(dict(table))
        holds(isinstance(spec, MediaSpec), f"spec(media) gave a {type(spec).__name__}, expected a MediaSpec")
        return made, spec

    def item(self, spec: MediaSpec, number: int = 0) -> Tensor:
        """Return an item (\\*spec.shape) that is nothing odd, another one for each number: a smooth wave.

        A suite of a modality in which a wave is odd, such as points with labels, returns its own.
        """
        return wave(spec, number)

    def written(self, made: Any, spec: MediaSpec) -> Iterator[str]:
        """Give the endings in which an item of the example can be written: ``check_output`` says it of each."""
        for ending in made.endings:
            with suppress(ConfigError):
                made.check_output(f"item{ending}", spec)
                yield ending

    def back(self, made: Any, path: Path, spec: MediaSpec) -> Tensor:
        """Return what is in a file, by ``read`` and ``take``, or else by a data set of the folder that it lies in."""
        if hasattr(made, "read") and hasattr(made, "take"):
            tensor: Tensor = made.take(made.read(path), spec, fit=False)[0]
        else:
            tensor = made.dataset(path.parent, spec, PLAIN).item(0, start=0.0)
        return tensor

    def tolerance(self, ending: str, spec: MediaSpec) -> float:
        """Return how far a value may be off after it was written and read."""
        declared = self.declared_error
        share = declared.get(ending, 1 / 128) if isinstance(declared, Mapping) else declared
        return share * (spec.high - spec.low)


def close(found: Tensor, expected: Tensor, tolerance: float, message: str) -> None:
    """Raise a Finding unless a tensor of the expected shape is near, whatever its dtype."""
    shapes = f"expected shape {tuple(expected.shape)}, got {tuple(found.shape)}"
    holds(found.shape == expected.shape, f"{message}: {shapes}")
    off = (found.double() - expected.double()).abs().max().item()
    holds(off <= tolerance, f"{message}: a value is off by {off:.3g}, more than {tolerance:.3g}")
