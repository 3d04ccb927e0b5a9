"""Metrics that are wrong in one way each, of a distance between two sets and of a model's error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...diffusion.process import levels_at
from ...errors import ConfigError
from ...pipeline.evaluation import MeasuredModel, Real
from .mutant import Mutant

__all__ = ["MUTANTS"]


class Moments:
    """How far mean and standard deviation of each pixel are from those of real pictures: an original."""

    modality: str | None = "image"

    def compare(self, made: Sequence[Any], real: Sequence[Any]) -> Any:
        return {"distance": self.distance(self.stacked(made), self.stacked(real))}

    def stacked(self, items: Sequence[Any]) -> Tensor:
        return torch.stack([item.pixels for item in items]).double()

    def distance(self, made: Tensor, real: Tensor) -> float:
        apart = (made.mean(0) - real.mean(0)).square() + (self.spread(made) - self.spread(real)).square()
        return apart.mean().sqrt().item()

    def spread(self, items: Tensor) -> Tensor:
        return items.std(0, correction=0)


class Precision:
    """The share of pictures that are as near to a real one as its third neighbour: an original.

    Source: Kynkäänniemi et al. 2019, arXiv 1904.06991, equations 1 and 2.
    """

    modality = "image"
    least = 8

    def compare(self, made: Sequence[Any], real: Sequence[Any]) -> Mapping[str, float]:
        if min(len(made), len(real)) < self.least:
            raise ConfigError(f"precision: {len(made)} and {len(real)} items; give {self.least} of each")
        ours, theirs = (torch.stack([item.pixels.flatten() for item in items]).double() for items in (made, real))
        radii = torch.cdist(theirs, theirs).kthvalue(4).values  # the nearest one is itself
        return {"precision": (torch.cdist(ours, theirs) <= radii).any(1).double().mean().item()}


class Denoising:
    """How far a model's x0 is from real items half way to noise, in root mean square: an original."""

    needs = "model"

    def compare(self, model: MeasuredModel, real: Sequence[Real]) -> Mapping[str, float]:
        (level,) = levels_at(model.process, torch.tensor([0.5], dtype=torch.float64))
        errors = []
        for shown in model.batches(real):
            x0 = self.shown(shown.x0)
            errors.append((shown.denoise(level.alpha * x0, level) - x0).square().flatten(1).mean(1))
        return {"error": self.mean(errors)}

    def shown(self, x0: Tensor) -> Tensor:
        return x0

    def mean(self, errors: list[Tensor]) -> float:
        return torch.cat(errors).mean().sqrt().item()


class _SaysOneNumber(Moments):
    def compare(self, made, real):  # type: ignore[no-untyped-def]
        return super().compare(made, real)["distance"]


class _SaysTensors(Moments):
    def distance(self, made, real):  # type: ignore[no-untyped-def]
        return torch.tensor(super().distance(made, real))


class _SaysNothing(Moments):
    def compare(self, made, real):  # type: ignore[no-untyped-def]
        return {}


class _DrawsItself(Moments):
    def stacked(self, items):  # type: ignore[no-untyped-def]
        return super().stacked(items)[torch.randperm(len(items))[: max(1, len(items) // 2)]]


class _Seeds(Moments):
    def stacked(self, items):  # type: ignore[no-untyped-def]
        torch.manual_seed(0)
        return super().stacked(items)


class _WritesIntoItems(Moments):
    def stacked(self, items):  # type: ignore[no-untyped-def]
        return torch.stack([item.pixels.sub_(0.5) for item in items]).double()


class _EmptiesTheList(Moments):
    def stacked(self, items):  # type: ignore[no-untyped-def]
        return torch.stack([items.pop().pixels for _ in range(len(items))]).double()


class _FirstItems(Moments):
    def stacked(self, items):  # type: ignore[no-untyped-def]
        return super().stacked(items)[:2]


class _LikenessForDistance(Moments):
    def distance(self, made, real):  # type: ignore[no-untyped-def]
        return 1 / (1 + super().distance(made, real))


class _Blind(Moments):
    """Compares the real items with themselves."""

    def distance(self, made, real):  # type: ignore[no-untyped-def]
        return super().distance(real, real)


class _SortedPairs(Moments):
    """Compares the darkest with the darkest, and so on: only as many with as many."""

    def distance(self, made, real):  # type: ignore[no-untyped-def]
        one, other = (items.flatten(1).mean(1).sort().values for items in (made, real))
        return (one - other).abs().mean().item()


class _FirstReal(Moments):
    """Looks at as many real items as were made."""

    def distance(self, made, real):  # type: ignore[no-untyped-def]
        return super().distance(made, real[: len(made)])


class _TooFewNeighbours(Precision):
    """Looks for neighbours that are not there."""

    least = 1


class _Lopsided(Moments):
    """Counts only what the real items have more of."""

    def distance(self, made, real):  # type: ignore[no-untyped-def]
        return (real.mean(0) - made.mean(0)).clamp(min=0).mean().item() + super().distance(made, real)


class _SpreadOfOne(Moments):
    """Estimates a standard deviation from a single item."""

    def spread(self, items):  # type: ignore[no-untyped-def]
        squares = (items - items.mean(0)).square().sum(0)
        return (squares / torch.tensor(len(items) - 1)).sqrt()  # 0 / 0


class _ManyLines(Moments):
    def compare(self, made, real):  # type: ignore[no-untyped-def]
        if len(made) < 2:
            raise ConfigError("too few items:\ngive two")
        return super().compare(made, real)


class _NeedsModels(Denoising):
    needs = "models"


class _MeasuresPictures(Moments):
    modality = "pictures"


class _MeanOfBatches(Denoising):
    """Takes the mean of the batches, of which the last one may be smaller."""

    def mean(self, errors):  # type: ignore[no-untyped-def]
        return torch.stack([one.mean() for one in errors]).mean().sqrt().item()


class _WritesIntoReal(Denoising):
    def compare(self, model, real):  # type: ignore[no-untyped-def]
        real[0].tensor.mul_(0.5)
        return super().compare(model, real)


class _ModelDrawsItself(Denoising):
    def shown(self, x0):  # type: ignore[no-untyped-def]
        return x0 + 0.1 * torch.randn_like(x0)


MUTANTS = (
    Mutant("the original: a distance of moments", Moments, None, {"symmetric": True}),
    Mutant("the original: a share of neighbours", Precision, None, {"best": 1.0, "least_items": 8}),
    Mutant("the original: a model's error", Denoising, None),
    Mutant("says a number without a name", _SaysOneNumber, "test_figures_are_numbers"),
    Mutant("says tensors", _SaysTensors, "test_figures_are_numbers"),
    Mutant("says nothing", _SaysNothing, "test_figures_are_numbers"),
    Mutant("draws from the global generator", _DrawsItself, "test_is_deterministic"),
    Mutant("seeds the global generator", _Seeds, "test_leaves_global_generators_alone"),
    Mutant("writes into the items", _WritesIntoItems, "test_leaves_its_items_alone"),
    Mutant("empties the list of items", _EmptiesTheList, "test_leaves_its_items_alone"),
    Mutant("looks at the first items only", _FirstItems, "test_order_does_not_matter"),
    Mutant("is 1 where two sets are the same", _LikenessForDistance, "test_a_set_is_best_beside_itself"),
    Mutant("does not look at what was made", _Blind, "test_noise_is_worse"),
    Mutant("compares as many with as many", _SortedPairs, "test_sets_of_other_sizes"),
    Mutant("looks at as many real items as were made", _FirstReal, "test_sets_of_other_sizes"),
    Mutant("looks for neighbours that are not there", _TooFewNeighbours, "test_small_sets", {"best": 1.0}),
    Mutant("is symmetric by its word only", _Lopsided, "test_sets_may_be_exchanged", {"symmetric": True}),
    Mutant("is not finite for a single item", _SpreadOfOne, "test_small_sets"),
    Mutant("refuses a single item in two lines", _ManyLines, "test_small_sets"),
    Mutant("needs what there is not", _NeedsModels, "test_says_what_it_needs"),
    Mutant("measures a modality that there is not", _MeasuresPictures, "test_says_what_it_needs"),
    Mutant("weighs items by their batch", _MeanOfBatches, "test_batches_do_not_matter"),
    Mutant("writes into real items", _WritesIntoReal, "test_leaves_its_items_alone"),
    Mutant("draws beside the model", _ModelDrawsItself, "test_is_deterministic"),
)
