"""Guidances that are wrong in one way each, of a plain one, of one that remembers and of one with a classifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...diffusion.denoiser import Cond, Conditioned
from ...diffusion.level import Level
from ...diffusion.sampling import Denoise
from .mutant import Mutant

__all__ = ["MUTANTS"]


class Blend:
    """From the null to the condition and beyond, of Ho and Salimans 2022, arXiv 2207.12598: an original."""

    def __init__(self, scale: float = 2.0) -> None:
        self.scale = scale

    def wrap(self, denoise: Conditioned, cond: Cond, null: Cond) -> Denoise:
        def guided(x: Tensor, level: Level[float]) -> Tensor:
            return self.blended(denoise(x, level, cond), denoise(x, level, null), level)

        return guided

    def blended(self, asked: Tensor, plain: Tensor, level: Level[float]) -> Tensor:
        return plain + self.scale * (asked - plain)


class Smooth(Blend):
    """A running mean of the difference: an original that remembers."""

    def wrap(self, denoise: Conditioned, cond: Cond, null: Cond) -> Denoise:
        before: list[Tensor] = []

        def guided(x: Tensor, level: Level[float]) -> Tensor:
            asked, plain = denoise(x, level, cond), denoise(x, level, null)
            before[:] = [(asked - plain + before[0]) / 2 if before else asked - plain]
            return asked + (self.scale - 1) * before[0]

        return guided


class Towards:
    """Up the gradient of a classifier, of Dhariwal and Nichol 2021, arXiv 2105.05233: an original with a guide."""

    guide: str = "classifier"
    negative = False

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def wrap(self, denoise: Conditioned, cond: Cond, null: Cond, guide: Callable[..., Tensor] | None = None) -> Denoise:
        def guided(x: Tensor, level: Level[float]) -> Tensor:
            x0 = denoise(x, level, cond)
            if guide is None or level.alpha == 0:
                return x0
            return x0 + self.scale * level.sigma**2 / level.alpha * self.uphill(guide, x, level)

        return guided

    def uphill(self, guide: Callable[..., Tensor], x: Tensor, level: Level[float]) -> Tensor:
        with torch.enable_grad():
            at = x.detach().requires_grad_()
            return torch.autograd.grad(guide(at, level).sum(), at)[0]


_OFF = {"neutral": {"scale": 0.0}}


class _OneMore(Blend):
    """Counts its scale from the condition on, as the paper does."""

    def blended(self, asked, plain, level):  # type: ignore[no-untyped-def]
        return asked + self.scale * (asked - plain)


class _Away(Blend):
    """Takes the difference the wrong way round, which scale 1 does not tell."""

    def blended(self, asked, plain, level):  # type: ignore[no-untyped-def]
        return asked - (self.scale - 1) * (asked - plain)


class _Downhill(Towards):
    def uphill(self, guide, x, level):  # type: ignore[no-untyped-def]
        return -super().uphill(guide, x, level)


class _IgnoresItsLimit(Blend):
    def __init__(self, scale: float = 2.0, limit: float = 1.0) -> None:
        super().__init__(scale)
        self.limit = limit


class _OnTheCPU(Blend):
    """Makes a tensor without saying where."""

    def blended(self, asked, plain, level):  # type: ignore[no-untyped-def]
        return super().blended(asked, plain, level) + torch.zeros(asked.shape, dtype=asked.dtype)


class _OtherWayRound(Blend):
    def wrap(self, denoise, cond, null):  # type: ignore[no-untyped-def]
        return super().wrap(denoise, null, cond)


class _OnlyNull(Blend):
    def blended(self, asked, plain, level):  # type: ignore[no-untyped-def]
        return plain


class _AlwaysPulls(Blend):
    """Makes what it returns smaller, whatever is asked for."""

    def blended(self, asked, plain, level):  # type: ignore[no-untyped-def]
        return super().blended(asked, plain, level) * (1 - 0.1 * (self.scale - 1))


class _IgnoresNull(Blend):
    """Takes zeros for the null."""

    def wrap(self, denoise, cond, null):  # type: ignore[no-untyped-def]
        return super().wrap(denoise, cond, {name: torch.zeros_like(value) for name, value in cond.items()})


class _DeniesNull(Blend):
    negative = False


class _NeedsACondition(Blend):
    def wrap(self, denoise, cond, null):  # type: ignore[no-untyped-def]
        weight = 0 * cond["vector"].sum()
        return super().wrap(lambda *asked: denoise(*asked) + weight, cond, null)


class _WritesIntoX(Blend):
    def wrap(self, denoise, cond, null):  # type: ignore[no-untyped-def]
        guided = super().wrap(denoise, cond, null)
        return lambda x, level: guided(x.clamp_(-1, 1), level)


class _WritesIntoX0(Blend):
    def blended(self, asked, plain, level):  # type: ignore[no-untyped-def]
        return asked.sub_(plain).mul_(self.scale).add_(plain)


class _WritesIntoNull(Blend):
    def wrap(self, denoise, cond, null):  # type: ignore[no-untyped-def]
        for name, value in null.items():
            value.add_(1e-3 * cond[name])
        return super().wrap(denoise, cond, null)


class _ComparesWithTheBatch(Blend):
    def blended(self, asked, plain, level):  # type: ignore[no-untyped-def]
        x0 = super().blended(asked, plain, level)
        return x0 * asked.std(correction=0) / x0.std(correction=0)


class _Rounds(Blend):
    def blended(self, asked, plain, level):  # type: ignore[no-untyped-def]
        return super().blended(asked.float(), plain.float(), level)


class _PicturesOnly(Blend):
    def blended(self, asked, plain, level):  # type: ignore[no-untyped-def]
        size = (asked - plain).square().mean((1, 2, 3), keepdim=True).sqrt()
        return super().blended(asked, plain, level) * size / size.clamp(min=1e-6)


class _AsksThrice(Blend):
    def wrap(self, denoise, cond, null):  # type: ignore[no-untyped-def]
        guided = super().wrap(denoise, cond, null)
        return lambda x, level: guided(x, level) + 0 * denoise(x, level, cond)


class _RowsDoNotFit(Blend):
    """Asks for both at once, and repeats all but one of the conditions."""

    def wrap(self, denoise, cond, null):  # type: ignore[no-untyped-def]
        both = {name: torch.cat([value, null[name]]) if name == "vector" else value for name, value in cond.items()}

        def guided(x, level):  # type: ignore[no-untyped-def]
            twice = {name: value if len(value) == 2 * len(x) else value[:1] for name, value in both.items()}
            asked, plain = denoise(torch.cat([x, x]), level, twice).chunk(2)
            return self.blended(asked, plain, level)

        return guided


class _DropsTheNames(Blend):
    """Asks without any condition where it means the null."""

    def wrap(self, denoise, cond, null):  # type: ignore[no-untyped-def]
        return super().wrap(denoise, cond, {})


class _DividesBySigma(Blend):
    """Guides eps, and has none at the data."""

    def wrap(self, denoise, cond, null):  # type: ignore[no-untyped-def]
        def guided(x, level):  # type: ignore[no-untyped-def]
            sigma = torch.tensor(level.sigma, dtype=x.dtype)
            asked, plain = (denoise(x, level, one) for one in (cond, null))
            return plain + self.scale * ((asked - plain) / sigma) * sigma

        return guided


class _DividesByAlpha(Towards):
    def wrap(self, denoise, cond, null, guide=None):  # type: ignore[no-untyped-def]
        def guided(x, level):  # type: ignore[no-untyped-def]
            x0 = denoise(x, level, cond)
            if guide is None:
                return x0
            pull = self.scale * level.sigma**2 / torch.tensor(level.alpha, dtype=x.dtype)
            return x0 + pull * self.uphill(guide, x, level)

        return guided


class _DrawsItself(Blend):
    def blended(self, asked, plain, level):  # type: ignore[no-untyped-def]
        return super().blended(asked, plain, level) + 1e-9 * (self.scale - 1) * torch.randn_like(asked)


class _RemembersInSelf(Smooth):
    def __init__(self, scale: float = 2.0) -> None:
        super().__init__(scale)
        self._before: Any = None

    def wrap(self, denoise, cond, null):  # type: ignore[no-untyped-def]
        def guided(x, level):  # type: ignore[no-untyped-def]
            asked, plain = denoise(x, level, cond), denoise(x, level, null)
            fits = self._before is not None and self._before.shape == x.shape
            self._before = (asked - plain + self._before) / 2 if fits else asked - plain
            return asked + (self.scale - 1) * self._before

        return guided


class _BeginsAnewAtNoise(_RemembersInSelf):
    """Forgets at t = 1, which helps one run after another, but not two at a time."""

    def wrap(self, denoise, cond, null):  # type: ignore[no-untyped-def]
        guided = super().wrap(denoise, cond, null)  # type: ignore[no-untyped-call]

        def begun(x, level):  # type: ignore[no-untyped-def]
            self._before = None if level.t == 1 else self._before
            return guided(x, level)

        return begun


class _WithoutGradients(Towards):
    """Forgets that sampling knows no gradients."""

    def uphill(self, guide, x, level):  # type: ignore[no-untyped-def]
        at = x.detach().requires_grad_()
        return torch.autograd.grad(guide(at, level).sum(), at)[0]


class _DragsItsGradients(Blend):
    def blended(self, asked, plain, level):  # type: ignore[no-untyped-def]
        with torch.enable_grad():
            return super().blended(asked.requires_grad_(), plain, level)


class _NeedsItsGuide(Towards):
    def wrap(self, denoise, cond, null, guide):  # type: ignore[no-untyped-def, override]
        return super().wrap(denoise, cond, null, guide)


class _IgnoresItsGuide(Towards):
    def uphill(self, guide, x, level):  # type: ignore[no-untyped-def]
        return torch.zeros_like(x)


class _UnknownGuide(Towards):
    guide = "critic"


_SHAPE, _INPUTS = "test_keeps_shape_and_dtype", "test_leaves_its_inputs_alone"
_NULL, _MODEL = "test_looks_at_the_null_as_it_says", "test_asks_the_model_as_it_may"
_GUIDE = "test_guide_is_one_that_the_program_can_give"

MUTANTS = (
    Mutant("the original: a blend", Blend, None),
    Mutant("the original: one that remembers", Smooth, None),
    Mutant("the original: one with a classifier", Towards, None, _OFF),
    Mutant("has a scale that is one more", _OneMore, "test_neutral_is_the_condition_alone"),
    Mutant("pushes away from the condition", _Away, "test_leads_where_it_is_asked_to"),
    Mutant("goes down the gradient", _Downhill, "test_leads_where_it_is_asked_to", _OFF),
    Mutant("ignores one of its parameters", _IgnoresItsLimit, "test_numbers_change_something"),
    Mutant("makes a tensor without naming its device", _OnTheCPU, "test_keeps_the_device"),
    Mutant("takes the null for the condition", _OtherWayRound, "test_neutral_is_the_condition_alone"),
    Mutant("ignores the condition", _OnlyNull, "test_listens_to_the_condition"),
    Mutant("pulls where nothing is asked", _AlwaysPulls, "test_a_condition_that_is_the_null_changes_nothing"),
    Mutant("ignores the null without a word", _IgnoresNull, _NULL),
    Mutant("looks at the null, and denies it", _DeniesNull, _NULL),
    Mutant("needs a condition", _NeedsACondition, "test_works_without_any_condition"),
    Mutant("writes into x", _WritesIntoX, _INPUTS),
    Mutant("writes into the model's answer", _WritesIntoX0, _INPUTS),
    Mutant("writes into the null", _WritesIntoNull, _INPUTS),
    Mutant("measures an item by the others", _ComparesWithTheBatch, "test_items_do_not_depend_on_their_batch"),
    Mutant("works in float32", _Rounds, _SHAPE),
    Mutant("takes every item for a picture", _PicturesOnly, _SHAPE),
    Mutant("drags its gradients along", _DragsItsGradients, _SHAPE),
    Mutant("asks the model three times", _AsksThrice, _MODEL),
    Mutant("asks under too few rows", _RowsDoNotFit, _MODEL),
    Mutant("leaves out the names of the conditions", _DropsTheNames, _MODEL),
    Mutant("divides by sigma = 0", _DividesBySigma, "test_is_finite_at_both_ends"),
    Mutant("divides by alpha = 0", _DividesByAlpha, "test_runs_to_the_end", _OFF),
    Mutant("draws from the global generator", _DrawsItself, "test_is_deterministic"),
    Mutant("keeps what it remembers in itself", _RemembersInSelf, "test_runs_do_not_mix"),
    Mutant("begins anew at pure noise only", _BeginsAnewAtNoise, "test_runs_do_not_mix"),
    Mutant("forgets that there are no gradients", _WithoutGradients, _SHAPE, _OFF),
    Mutant("does not do without its guide", _NeedsItsGuide, _GUIDE, _OFF),
    Mutant("ignores its guide", _IgnoresItsGuide, _GUIDE, _OFF),
    Mutant("asks a model that there is not", _UnknownGuide, _GUIDE, _OFF),
)
