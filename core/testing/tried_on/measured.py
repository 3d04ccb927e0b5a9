"""What metrics are shown: sets of items of a modality, and a model whose network is ideal for known data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...diffusion.mixture import GaussianMixture
from ...diffusion.noise import Key
from ...diffusion.process import CompleteProcess, complete
from ...diffusion.sampling import Grid
from ...media import MediaSpec
from ...pipeline.evaluation import MeasuredModel, Real, Shown
from ...pipeline.modality import Media
from ...registration.build import build, find
from ..finding import holds
from .numbers import normal
from .waves import example_of, wave

__all__ = ["IdealModel", "Sets", "tensors_of"]


@dataclass(frozen=True)
class Sets:
    """Sets of items of one modality.

    Attributes:
        modality: it.
        spec: shape and units of the items.
    """

    modality: Any
    spec: MediaSpec

    @classmethod
    def of(cls, modality: str, media: Mapping[str, object] | None = None, *, owners: Sequence[str] = ()) -> Sets:
        """Return those of a registered modality.

        Args:
            modality: its name.
            media: an example of its table, where it has none itself.
            owners: distributions whose modality the name means, whoever else claims it; first to last.
        """
        part = find("modality", modality, owners=owners)
        table = media or example_of(part)
        holds(table, f"modality {modality!r} has no example: set `media` to one of its [media] table")
        made = build("modality", part.full_name)
        return cls(made, made.spec(dict(table)))

    @property
    def small(self) -> Sets:
        """The same of few numbers, for models."""
        most = {1: 32, 2: 8}.get(len(self.spec.shape) - 1, 4)
        shape = (self.spec.shape[0], *(min(most, size) for size in self.spec.shape[1:]))
        return replace(self, spec=replace(self.spec, shape=shape))

    def tensors(self, count: int, *, noise: float = 0.0) -> Tensor:
        """Return waves (count, \\*shape) with normal noise of so much of half the range."""
        waves = torch.stack([wave(self.spec, number, size=0.5 * 0.8 ** (number % 6)) for number in range(count)])
        half = (self.spec.high - self.spec.low) / 2
        drawn = normal(count, *self.spec.shape, purpose="noise on items").float() if noise else torch.zeros_like(waves)
        return (waves + noise * half * drawn).clamp(self.spec.low, self.spec.high)

    def items(self, count: int, *, noise: float = 0.0) -> list[Media]:
        """Return the same as items."""
        return [self.modality.wrap(one.clone(), self.spec, None) for one in self.tensors(count, noise=noise)]

    def real(self, count: int) -> list[Real]:
        """Return real items, as a metric that needs the model is given them."""
        pairs = zip(self.items(count), self.tensors(count), strict=True)
        return [Real(item, tensor, {}, f"{number}") for number, (item, tensor) in enumerate(pairs)]


class IdealModel(MeasuredModel):
    """A model that has learnt a mixture of two Gaussians, as a metric with ``needs = "model"`` is given it."""

    def __init__(self, spec: MediaSpec, batch_size: int) -> None:
        self.spec, self.batch_size = spec, batch_size
        near = torch.stack([torch.full(spec.shape, level, dtype=torch.float64) for level in (-0.2, 0.2)])
        self._data = GaussianMixture(near, [0.4, 0.5])

    @property
    def process(self) -> CompleteProcess:
        return complete(build("process", "vp-cosine"))

    @property
    def grid(self) -> Grid:
        grid: Grid = build("grid", "log-snr")
        return grid

    @property
    def steps(self) -> int:
        return 12

    def encoded(self, tensors: Tensor) -> Tensor:
        """Return media brought to -1 to 1."""
        low, high = self.spec.low, self.spec.high
        return (tensors - (high + low) / 2) * (2 / (high - low))

    def batches(self, real: Sequence[Real]) -> Iterator[Shown]:
        for start in range(0, len(real), self.batch_size):
            some = real[start : start + self.batch_size]
            keys = tuple(Key(0, item=start + place) for place in range(len(some)))
            ideal: Any = self._data
            yield Shown(self.encoded(torch.stack([one.tensor for one in some])), ideal, keys)


def tensors_of(items: Sequence[object]) -> dict[str, Tensor]:
    """Return the tensors that items have as attributes, by a name for messages."""
    return {
        f"{name} of item {number}": value
        for number, item in enumerate(items)
        for name, value in vars(item).items()
        if isinstance(value, Tensor)
    }
