"""Conditioners that are wrong in one way each, of one that takes a source and of one that takes what is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...media import MediaSpec
from ...pipeline.context import CONTEXT, Context
from ...pipeline.source import SOURCE, Items, Source
from .mutant import Mutant

__all__ = ["MUTANTS"]

Conditions = Sequence[Mapping[str, object]]


class Beside:
    """What an item is made from, laid beside it: an original."""

    takes = (SOURCE,)

    def __init__(self, *, media: MediaSpec, latent_shape: tuple[int, ...], codec: Any) -> None:
        self.codec, self.latent_shape = codec, latent_shape
        self.source, self.factors = media, (1,) * (len(media.shape) - 1)
        self.outputs = {"channels": latent_shape[0]}

    def encode(self, conditions: Conditions) -> dict[str, Tensor]:
        rows = torch.zeros(len(conditions), *self.latent_shape)
        for row, condition in zip(rows, conditions, strict=True):
            source = condition.get(SOURCE)
            if isinstance(source, Source):
                row.copy_(self.codec.encode(source.media()[None])[0])
        return {"channels": rows}

    def forward(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(raw)

    def null(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"channels": torch.zeros_like(raw["channels"])}

    def shown(self, items: Items) -> dict[str, Tensor]:
        return {"channels": self.codec.encode(items.media)}

    def corrected(self, made: Tensor, source: Source) -> Tensor:
        return made + source.media().mean() - made.mean()

    def offset(self, raw: Mapping[str, Tensor]) -> tuple[Tensor, Tensor] | None:
        return raw["channels"], raw["channels"].new_ones(len(raw["channels"]), *(1,) * len(self.latent_shape))


class Known:
    """What is known of an item, and where: an original."""

    takes = (CONTEXT,)

    def __init__(self, *, latent_shape: tuple[int, ...]) -> None:
        self.latent_shape = latent_shape
        self.outputs = {"channels": latent_shape[0] + 1}

    def encode(self, conditions: Conditions) -> dict[str, Tensor]:
        channels, *space = self.latent_shape
        rows = torch.zeros(len(conditions), channels + 1, *space)
        for row, condition in zip(rows, conditions, strict=True):
            context = condition.get(CONTEXT)
            if isinstance(context, Context):
                row.copy_(torch.cat([context.latent * context.known, context.known[None]]))
        return {"channels": rows}

    def forward(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(raw)

    def null(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"channels": torch.zeros_like(raw["channels"])}

    def learnt(self, known: Tensor) -> Any:
        return bool(known.any())


class _FilmsOnly(Beside):
    """Takes for granted that items are films."""

    def __init__(self, *, media: MediaSpec, latent_shape: tuple[int, ...], codec: Any) -> None:
        super().__init__(media=media, latent_shape=latent_shape, codec=codec)
        self.frames = latent_shape[-3] * latent_shape[3]


class _ShownUnderAnotherName(Beside):
    def shown(self, items):  # type: ignore[no-untyped-def]
        return {"latent": items.x0}


class _ShowsMore(Beside):
    def shown(self, items):  # type: ignore[no-untyped-def]
        latent = self.codec.encode(items.media)
        return {"channels": torch.cat([latent, latent[:, :1]], 1)}


class _ShowsANeighbour(Beside):
    def shown(self, items):  # type: ignore[no-untyped-def]
        return {"channels": self.codec.encode(items.media.roll(1, 0))}


class _FactorsOfTwo(Beside):
    def __init__(self, *, media: MediaSpec, latent_shape: tuple[int, ...], codec: Any) -> None:
        super().__init__(media=media, latent_shape=latent_shape, codec=codec)
        self.factors = (2,) * len(self.factors)


class _CorrectsAway(Beside):
    def corrected(self, made, source):  # type: ignore[no-untyped-def]
        return super().corrected(made, source).mean(0)


class _WritesIntoMade(Beside):
    def corrected(self, made, source):  # type: ignore[no-untyped-def]
        return made.add_(source.media().mean() - made.mean())


class _ScaleOfZero(Beside):
    def offset(self, raw):  # type: ignore[no-untyped-def]
        return raw["channels"], raw["channels"].new_zeros(len(raw["channels"]), *(1,) * len(self.latent_shape))


class _ScaleOnTheCPU(Beside):
    def offset(self, raw):  # type: ignore[no-untyped-def]
        return raw["channels"], torch.ones(len(raw["channels"]), *(1,) * len(self.latent_shape))


class _ShowsByTheCPU(Beside):
    """Fades what it shows by a tensor on the CPU."""

    def shown(self, items):  # type: ignore[no-untyped-def]
        return {"channels": self.codec.encode(items.media * torch.ones(items.media.shape[-1]))}


class _HalfTheSize(Beside):
    def forward(self, raw):  # type: ignore[no-untyped-def]
        return {"channels": raw["channels"][..., ::2]}


class _LearntEverywhere(Known):
    def learnt(self, known):  # type: ignore[no-untyped-def]
        return known


class _MarksTheContext(Known):
    """Empties what it is given of what is not known."""

    def encode(self, conditions):  # type: ignore[no-untyped-def]
        for condition in conditions:
            if CONTEXT in condition:
                condition[CONTEXT].latent.mul_(condition[CONTEXT].known)
        return super().encode(conditions)


MUTANTS = (
    Mutant("the original: a source beside the item", Beside, None),
    Mutant("the original: what is known beside the item", Known, None),
    Mutant("writes into a context", _MarksTheContext, "test_leaves_its_inputs_alone"),
    Mutant("trips over what is no film", _FilmsOnly, "test_takes_media_or_refuses_them"),
    Mutant("shows in training under another name", _ShownUnderAnotherName, "test_training_shows_what_use_gives"),
    Mutant("shows more channels in training", _ShowsMore, "test_training_shows_what_use_gives"),
    Mutant("shows another item in training", _ShowsANeighbour, "test_training_shows_what_use_gives"),
    Mutant("says that items are larger than they are", _FactorsOfTwo, "test_sources_fit_their_items"),
    Mutant("corrects to another shape", _CorrectsAway, "test_sources_fit_their_items"),
    Mutant("writes into what was made", _WritesIntoMade, "test_sources_fit_their_items"),
    Mutant("divides items by zero", _ScaleOfZero, "test_sources_fit_their_items"),
    Mutant("makes a scale on the CPU", _ScaleOnTheCPU, "test_keeps_the_device"),
    Mutant("shows items by a tensor on the CPU", _ShowsByTheCPU, "test_keeps_the_device"),
    Mutant("gives channels of half the size", _HalfTheSize, "test_gives_what_it_declares"),
    Mutant("says where it has learnt, not whether", _LearntEverywhere, "test_says_what_it_has_learnt"),
)
