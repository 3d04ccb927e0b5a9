"""The suite of guidances: what they ask of the model, what they leave alone, and where they change nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ...diffusion.denoiser import Cond
from ...diffusion.level import Level
from ...diffusion.sampling import Denoise, sample
from ...errors import NoiseformError
from ..finding import Finding, drawn, holds, no_global_draws, same, skip, unchanged
from ..inherited.answering import AnsweringSuite
from ..tried_on.another_device import another_device, lies_on, moved
from ..tried_on.closed_form import levels_of
from ..tried_on.conditioned_model import chance, conditions, model, nulls, weaker
from ..tried_on.items_and_processes import CLOSE, FEW, ITEMS
from ..tried_on.numbers import normal

__all__ = ["GuidanceSuite"]

GUIDES = ("classifier", "denoiser")


class GuidanceSuite(AnsweringSuite):
    """Holds a guidance to its contract: ``wrap(denoise, cond, null)``, which gives ``(x, level) -> x0``.

    Sampling runs under ``torch.no_grad``, and so does the suite. A guidance that asks a second model (``guide``) is
    given one: a classifier with a gradient, or a denoiser that differs from the guided one.

    Attributes:
        neutral: parameters under which it is the model under the condition, as it is; None where there are none.
        nothing_where_alike: False where it changes something though the condition and the null are the same.
        rows_per_item: most rows of the network that it asks for an item in one call.
        leads: False where its default parameters lead no further than the condition, or elsewhere.
        idle: parameters without effect on what the suite tries, such as those that another one switches on.
    """

    kind: ClassVar[str] = "guidance"
    neutral: ClassVar[Mapping[str, object] | None] = {"scale": 1.0}
    nothing_where_alike: ClassVar[bool] = True
    rows_per_item: ClassVar[int] = 2
    leads: ClassVar[bool] = True

    @given(
        item=st.sampled_from(list(ITEMS)),
        dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16]),
        under=st.sampled_from(FEW),
        rows=st.integers(1, 3),
    )
    @drawn
    def test_keeps_shape_and_dtype(self, item: str, dtype: torch.dtype, under: str, rows: int) -> None:
        """Clean items come out finite, in the shape and dtype of the noisy ones, whatever their rank."""
        x = normal(rows, *ITEMS[item]).to(dtype)
        for x0 in self._walk(x, levels_of(under, "uniform", 3)[:-1]):
            told = f"{item} of shape {tuple(x.shape)} and {dtype}"
            holds(isinstance(x0, Tensor), f"{told}: expected a tensor, got a {type(x0).__name__}")
            holds(x0.shape == x.shape, f"{told} came out as {tuple(x0.shape)}")
            holds(x0.dtype == dtype, f"{told} came out as {x0.dtype}")
            holds(torch.isfinite(x0).all(), f"{told} on {under} is not finite")
            holds(not x0.requires_grad, f"{told}: the answer drags its gradients along; detach it")

    def test_keeps_the_device(self) -> None:
        """Items stay where they are, on a GPU too."""
        with another_device() as device:
            x, cond, null = (moved(one, device) for one in (normal(2, 2, 3), conditions(2), nulls(2)))
            for x0 in self._walk(x, levels_of("flow", "uniform", 4), cond=cond, null=null):
                lies_on(device, x0, "the guided denoiser")

    def test_leads_where_it_is_asked_to(self) -> None:
        """It goes on from the model under the condition, away from the one that it is compared with, or up the guide.

        That is the null, or a weaker model; each is asked at the first level of a run, where there is nothing before.
        """
        if not self.leads:
            skip("the suite says that it leads no further")
        x, cond, null, gone = normal(4, 2, 4), conditions(4), nulls(4), 0.0
        for level in levels_of("flow", "uniform", 5)[1:-1]:
            asked = model(x, level, cond)
            ways = {"denoiser": asked - weaker(x, level, cond), "classifier": 0.3 - x}
            way = ways.get(str(self._guide()), asked - model(x, level, null))
            (x0,) = self._walk(x, [level])
            gone += ((x0 - asked) * way).sum().item() / way.square().sum().item() / 4
        told = f"it goes {gone:.3g} times as far on from the model under the condition as that is from what it leaves"
        holds(gone > 0, f"{told}; expected more than 0: turn a sign, or say leads = False in the suite")

    def test_neutral_is_the_condition_alone(self) -> None:
        """Under the neutral parameters, scale 1 if there is one, it is the model under the condition."""
        if self.neutral is None:
            skip("the suite says that nothing is neutral")
        try:
            made = self._with(self.neutral)
        except NoiseformError as error:
            raise Finding(f"neutral: {error}; say which parameters are, or neutral = None") from error
        x, levels = normal(3, 2, 4), levels_of("flow", "uniform", 4)
        for x0, level in zip(self._walk(x, levels, made=made), levels, strict=True):
            told = f"under {dict(self.neutral)} at t = {level.t:g}, beside the model under the condition"
            same(x0, model(x, level, conditions(3)), told, **CLOSE)

    def test_a_condition_that_is_the_null_changes_nothing(self) -> None:
        """Where the condition asks for nothing, there is nothing to lead to or away from."""
        if not self.nothing_where_alike:
            skip("the suite says that something is changed all the same")
        if self._guide() == "classifier":
            skip("a classifier leads on all the same")
        x, levels, null = normal(3, 2, 4), levels_of("flow", "uniform", 4), nulls(3)
        for x0, level in zip(self._walk(x, levels, cond=null, null=null, weak=model), levels, strict=True):
            same(x0, model(x, level, null), f"cond = null at t = {level.t:g}, beside the model itself", **CLOSE)

    def test_works_without_any_condition(self) -> None:
        """A model that takes no conditions gives ``{}`` for both."""
        x, levels = normal(2, 3), levels_of("flow", "uniform", 3)
        for x0 in self._walk(x, levels, cond={}, null={}):
            holds(x0.shape == x.shape and torch.isfinite(x0).all(), "without conditions: expected finite items like x")

    def test_listens_to_the_condition(self) -> None:
        """Another condition leads to other items."""
        x, level = normal(2, 3), levels_of("flow", "uniform", 2)[1:2]
        (one,), (other,) = (self._walk(x, level, cond=conditions(2, purpose=purpose)) for purpose in ("one", "other"))
        holds(not torch.equal(one, other), "other conditions give the same items; call denoise with cond")

    def test_looks_at_the_null_as_it_says(self) -> None:
        """A guidance that ignores ``null`` says so by ``negative = False``, since negative wishes are then refused."""
        x, levels = normal(2, 3), levels_of("flow", "uniform", 4)
        one, other = (self._walk(x, levels, null=conditions(2, purpose=purpose)) for purpose in ("one", "other"))
        looks = any(not torch.equal(*pair) for pair in zip(one, other, strict=True))
        if getattr(self._made(), "negative", True):
            holds(looks, "`null` changes nothing; use it, or say so by a class attribute negative = False")
        else:
            holds(not looks, "it says negative = False, but `null` changes its answer; leave that out")

    def test_items_do_not_depend_on_their_batch(self) -> None:
        """An item alone comes out as it does in a batch, under its own condition."""
        x, levels = normal(3, 2, 3), levels_of("flow", "uniform", 4)
        together = self._walk(x, levels)
        for row in range(3):
            rows = {"cond": _row(conditions(3), row), "null": _row(nulls(3), row)}
            alone = self._walk(x[row : row + 1], levels, asks=_row(conditions(3), row), **rows)
            for one, all_of_them in zip(alone, together, strict=True):
                same(one[0], all_of_them[row], f"item {row} alone beside the same in a batch", **CLOSE)

    def test_leaves_its_inputs_alone(self) -> None:
        """Items, both conditions and what the model said are not changed in place."""
        x, cond, null, said = normal(2, 3), conditions(2), nulls(2), list[tuple[Tensor, Tensor]]()

        def asked(x: Tensor, level: Level[float], cond: Cond) -> Tensor:
            said.append((one := model(x, level, cond), one.clone()))
            return one

        given = {f"cond[{name!r}]": value for name, value in cond.items()}
        given |= {f"null[{name!r}]": value for name, value in null.items()}
        with unchanged(x=x, **given):
            self._walk(x, levels_of("flow", "uniform", 5), cond=cond, null=null, denoise=asked)
        holds(all(torch.equal(*pair) for pair in said), "an answer of the model was changed in place; work on a copy")

    def test_is_deterministic(self) -> None:
        """Two objects give the same bits, and nothing is drawn from a global generator."""
        x, levels = normal(2, 3), levels_of("flow", "uniform", 4)
        with no_global_draws():
            one = self._walk(x, levels)
        for pair in zip(one, self._walk(x, levels, made=self._made()), strict=True):
            same(*pair, "answers of another object")

    def test_runs_do_not_mix(self) -> None:
        """Two runs of one object in turn end as each does alone, and a later one begins anew."""
        made, levels, xs = self._made(), levels_of("flow", "uniform", 5), (normal(2, 3), 2 - normal(2, 3))
        expected = [self._walk(x, levels) for x in xs]
        runs = [self._wrapped(made, conditions(2), nulls(2)) for _ in xs]
        with torch.no_grad():
            for number, level in enumerate(levels):
                for run, x, alone in zip(runs, xs, expected, strict=True):
                    told = "two runs in turn, beside one alone (is what it remembers in wrap, not in the object?)"
                    same(run(x, level), alone[number], told)
        for pair in zip(self._walk(xs[0], levels, made=made), expected[0], strict=True):
            same(*pair, "a later run of one object beside its first")

    def test_is_finite_at_both_ends(self) -> None:
        """At pure noise, where alpha is 0, and at the data, where sigma is 0, its answer is finite."""
        x = normal(2, 2, 3).float()
        for under in FEW:
            for level, x0 in zip(ends := levels_of(under, "uniform", 1), self._walk(x, ends), strict=True):
                told = f"{under}: the answer at t = {level.t:g}, alpha {level.alpha:.3g} and sigma {level.sigma:.3g}"
                holds(torch.isfinite(x0).all(), f"{told}, is not finite")

    def test_runs_to_the_end(self) -> None:
        """A whole run under it is finite."""
        for under in FEW:
            denoise = self._wrapped(self._made(), conditions(2), nulls(2))
            try:
                sample(denoise, process=under, sampler="euler", grid="log-snr", steps=9, shape=(2, 3), seeds=[0, 1])
            except NoiseformError as error:
                raise Finding(f"{under}: {error}") from error

    def test_asks_the_model_as_it_may(self) -> None:
        """The model is asked under conditions of the names it knows, one row an item, and no oftener than declared."""
        rows: list[int] = []

        def asked(x: Tensor, level: Level[float], cond: Cond) -> Tensor:
            holds(
                cond.keys() == conditions(1).keys(),
                f"the model was asked under {sorted(cond)}, not 'text' and 'vector'",
            )
            for name, value in cond.items():
                told = f"the model was asked for {len(x)} items under {len(value)} rows of {name!r}"
                holds(len(value) == len(x), f"{told}; repeat them alike")
            rows[-1] += len(x)
            return model(x, level, cond)

        denoise = self._wrapped(self._made(), conditions(3), nulls(3), denoise=asked)
        with torch.no_grad():
            for level in levels_of("flow", "uniform", 5):
                rows.append(0)
                denoise(normal(3, 2, 4), level)
        most = max(rows) / 3
        holds(most <= self.rows_per_item, f"{most:g} rows of network an item, the suite says {self.rows_per_item}")

    def test_guide_is_one_that_the_program_can_give(self) -> None:
        """``guide`` names a kind of model, ``wrap`` takes it, does without it, and listens to it."""
        kind = self._guide()
        if kind is None:
            skip("it asks no second model")
        holds(kind in GUIDES, f"guide: expected one of {', '.join(GUIDES)}, got {kind!r}")
        taken = inspect.signature(self._made().wrap).parameters.get("guide")
        holds(taken is not None and taken.default is None, "wrap: give it an argument `guide` that is None if left out")
        x, levels = normal(2, 3), levels_of("flow", "uniform", 4)[1:-1]
        with torch.no_grad():
            alone = self._made().wrap(model, conditions(2), nulls(2))
            guided = self._wrapped(self._made(), conditions(2), nulls(2))
            moved = [not torch.equal(alone(x, level), guided(x, level)) for level in levels]
        holds(any(moved), f"the {kind} changes nothing; ask it")

    def answer(self, made: Any) -> Tensor:
        return torch.stack(self._walk(normal(2, 2, 3), levels_of("flow", "uniform", 5), made=made))

    def _made(self) -> Any:
        return self.made(**self.host())

    def _guide(self) -> str | None:
        return getattr(self._made(), "guide", None)

    def _wrapped(
        self,
        made: Any,
        cond: Cond,
        null: Cond,
        *,
        denoise: Callable[[Tensor, Level[float], Cond], Tensor] | None = None,
        asks: Cond | None = None,
        weak: Callable[[Tensor, Level[float], Cond], Tensor] | None = None,
    ) -> Denoise:
        """Return the model under it, as the program wraps one."""
        asked, second = cond if asks is None else asks, weak or weaker
        guides = {"classifier": chance, "denoiser": lambda x, level: second(x, level, asked)}
        given = {"guide": guides[kind]} if (kind := getattr(made, "guide", None)) in guides else {}
        wrapped: Denoise = made.wrap(denoise or model, cond, null, **given)
        holds(callable(wrapped), f"wrap: expected denoise(x, level) -> x0, got a {type(wrapped).__name__}")
        return wrapped

    def _walk(
        self,
        x: Tensor,
        levels: Sequence[Level[float]],
        *,
        made: Any = None,
        cond: Cond | None = None,
        null: Cond | None = None,
        **given: Any,
    ) -> list[Tensor]:
        """Return what it says of x at each of the levels, one after another, in one run."""
        cond, null = conditions(len(x)) if cond is None else cond, nulls(len(x)) if null is None else null
        cond, null = ({name: value.to(x) for name, value in one.items()} for one in (cond, null))
        denoise = self._wrapped(self._made() if made is None else made, cond, null, **given)
        with torch.no_grad():
            return [denoise(x, level) for level in levels]


def _row(cond: Cond, row: int) -> dict[str, Tensor]:
    return {name: value[row : row + 1] for name, value in cond.items()}
