"""The suite of samplers: order of convergence, determinism, counts, and everything that a loop relies on."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ...diffusion.level import Level
from ...diffusion.sampling import Denoise, Sampler, sample
from ...errors import NoiseformError
from ...machine.devices import seeded
from ..finding import Finding, drawn, holds, no_global_draws, of_the_part, same, skip, unchanged
from ..inherited.answering import AnsweringSuite
from ..tried_on.another_device import another_device, lies_on
from ..tried_on.closed_form import (
    PLANE,
    WithVariance,
    drift,
    error_in_distribution,
    error_of_solution,
    exact,
    levels_of,
    noise_for,
    walked,
)
from ..tried_on.items_and_processes import CLOSE, FEW, ITEMS
from ..tried_on.numbers import normal

__all__ = ["SamplerSuite"]


class SamplerSuite(AnsweringSuite):
    """Holds a sampler to its contract: ``init(x)`` and ``step(x, here, next, denoise, noise, state)``.

    Attributes:
        declared_order: the order of convergence that the author claims; that of the sampler where it is left out.
        superconvergent: True where it may show a higher order than it declares.
        ordered_in_distribution: False where a stochastic one is of its order under settings of its own only, such as
            noise that falls with the number of steps.
        like_the_data: False where a stochastic one's samples are not distributed like the data, however many its steps.
        exact_on_a_point: False where it does not end at the point if all data are one.
        equal_steps: True where its order holds on steps only that change slowly, as those of grids do.
        held_to_tolerance: True where its error is that of a tolerance, however many the steps.
        first_step_calls: calls of the denoiser in the first step, where it makes more there than ``nfe_per_step``.
        idle: parameters without effect on what the suite tries, such as those that another one switches on.

    Source: for the law of the order, Hairer, Nørsett and Wanner 1993, section II.3; in distribution, Kloeden and Platen
    1992, section 9.7.
    """

    kind: ClassVar[str] = "sampler"
    declared_order: ClassVar[int | None] = None
    superconvergent: ClassVar[bool] = False
    ordered_in_distribution: ClassVar[bool] = True
    like_the_data: ClassVar[bool] = True
    exact_on_a_point: ClassVar[bool] = True
    equal_steps: ClassVar[bool] = False
    held_to_tolerance: ClassVar[bool] = False
    first_step_calls: ClassVar[int | None] = None

    def test_declares_what_it_is(self) -> None:
        """``order``, ``stochastic`` and ``nfe_per_step`` are of their types, and the order is the declared one."""
        made = self.made()
        holds(type(made.order) is int and made.order >= 0, f"order: expected a whole number from 0, got {made.order!r}")
        holds(type(made.stochastic) is bool, f"stochastic: expected True or False, got {made.stochastic!r}")
        calls = made.nfe_per_step
        holds(type(calls) is int and calls >= 1, f"nfe_per_step: expected a whole number from 1, got {calls!r}")
        order = self._order(made)
        holds(made.order == order, f"order: {made.order} where the suite declares {order}; make them agree")

    def test_is_deterministic(self) -> None:
        """Two runs with the same seeds give the same bits, whatever the state of any global generator."""
        with seeded(1):
            one = self._run(steps=5)
        with seeded(2):
            same(self._run(steps=5), one, "two runs with the same seeds")

    def test_leaves_global_generators_alone(self) -> None:
        """Nothing is drawn from a global generator, and none is seeded: noise comes from ``noise()``."""
        with no_global_draws():
            self._run(steps=4)

    def test_draws_noise_as_declared(self) -> None:
        """A stochastic sampler's result depends on the seeds; another's does not."""
        made, x = self.made(), normal(3, 2)
        one, other = (self._run(made, steps=5, x=x, seeds=seeds) for seeds in ((0, 1, 2), (3, 4, 5)))
        if made.stochastic:
            holds(not torch.equal(one, other), "it is declared stochastic, but other seeds give the same result")
        else:
            same(other, one, "it is declared deterministic, but other seeds change what becomes of one x")

    def test_leaves_its_inputs_alone(self) -> None:
        """Neither x nor what the denoiser said is changed in place: both belong to the caller."""
        made, x, levels = self.made(), normal(2, 3), levels_of("vp-linear", "uniform", 6)
        told: list[tuple[Tensor, Tensor]] = []

        def denoise(seen: Tensor, level: Level[float]) -> Tensor:
            said = drift(seen, level)
            told.append((said, said.clone()))
            return said

        noise, state, model = noise_for(x), made.init(x), WithVariance(denoise)
        for number, (here, there) in enumerate(pairwise(levels)):
            noise.step = number
            with unchanged(x=x):
                after, state = made.step(x, here, there, model, noise, state)
            holds(
                all(torch.equal(said.nan_to_num(), before.nan_to_num()) for said, before in told),
                f"step {number + 1} changed an answer of the denoiser in place",
            )
            x = after

    @given(
        item=st.sampled_from(list(ITEMS)),
        dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16]),
        under=st.sampled_from(FEW),
        steps=st.integers(1, 6),
    )
    @drawn
    def test_keeps_shape_and_dtype(self, item: str, dtype: torch.dtype, under: str, steps: int) -> None:
        """Items of every rank come out finite, in their shape and dtype, after one step and after several."""
        x = _start(under, 2, *ITEMS[item]).to(dtype)
        made = self._run(steps=steps, x=x, under=under, denoise=drift)
        holds(made.shape == x.shape, f"{item} of shape {tuple(x.shape)} came out as {tuple(made.shape)}")
        holds(made.dtype == dtype, f"{item} of {dtype} came out as {made.dtype}")

    def test_keeps_the_device(self) -> None:
        """Items stay where they are, on a GPU too."""
        with another_device() as device:
            x = normal(2, 2, 3).to(device)
            made, _ = walked(self.made(), levels_of("flow", "uniform", 5), x, WithVariance(drift))
            lies_on(device, made, "step")

    def test_items_do_not_depend_on_their_shape(self) -> None:
        """The same numbers as a vector, a sound, a picture and a film come to the same end."""
        if self.made().stochastic:
            skip("its noise is drawn in the item's shape")
        flat = normal(2, *ITEMS["a vector"])
        expected = self._run(steps=4, x=flat, denoise=drift)
        for name, shape in ITEMS.items():
            made = self._run(steps=4, x=flat.reshape(2, *shape), denoise=drift)
            same(made.reshape(expected.shape), expected, f"{name} beside a vector of the same numbers", **CLOSE)

    def test_items_do_not_depend_on_their_batch(self) -> None:
        """An item alone comes to the end that it comes to in a batch."""
        x = normal(3, 2, 3)
        together = self._run(steps=5, x=x, seeds=(5, 6, 7), denoise=drift)
        for row in range(3):
            alone = self._run(steps=5, x=x[row : row + 1], seeds=(5 + row,), denoise=drift)
            same(alone[0], together[row], f"item {row} alone beside the same in a batch", **CLOSE)

    def test_few_steps_work(self) -> None:
        """One step, two and three from pure noise to the data are finite, where alpha begins at 0 too."""
        for under in ("flow", "vp-linear", "ve", "sub-vp"):
            for steps in (1, 2, 3):
                self._run(steps=steps, under=under)

    def test_data_of_one_point_are_met(self) -> None:
        """Where all data are one point, which the denoiser then always says, a run ends there."""
        if not self.exact_on_a_point:
            skip("the suite says that they are not met")
        point = torch.tensor([0.3, -1.2], dtype=torch.float64)
        for under, steps in (("flow", 1), ("flow", 7), ("vp-linear", 4), ("ve", 5)):
            made = self._run(steps=steps, under=under, denoise=lambda x, level: point.to(x.dtype).expand_as(x))
            same(made, point.expand_as(made), f"{steps} steps on {under} beside the only point of the data", atol=1e-6)

    def test_calls_are_as_declared(self) -> None:
        """The denoiser is called ``nfe_per_step`` times in a step, in the last one at most; in the first as claimed."""
        made, calls = self.made(), [0]
        if getattr(made, "nfe_varies", False) and self.first_step_calls is None:
            skip("it says that the number varies")

        def denoise(x: Tensor, level: Level[float]) -> Tensor:
            calls[-1] += 1
            return PLANE(x, level)

        self._run(made, steps=8, denoise=denoise, observers=[lambda step: calls.append(0)])
        first, *inner, last, _ = calls
        told = f"nfe_per_step is {made.nfe_per_step}, but"
        holds(last <= made.nfe_per_step, f"{told} the last step made {last} calls")
        if self.first_step_calls is None:
            cure = f"where that is meant, say first_step_calls = {first} in the suite"
            holds(first <= made.nfe_per_step, f"{told} the first step made {first} calls; {cure}")
        else:
            expected = self.first_step_calls
            holds(first == expected, f"first_step_calls is {expected}, but the first step made {first} calls")
        holds(set(inner) == {made.nfe_per_step}, f"{told} the steps between the first and the last made {inner}")

    def test_goes_on_from_any_step(self) -> None:
        """A run that stops and goes on with a copy of x and state, in another object, ends the same."""
        levels, x, model = levels_of("vp-linear", "uniform", 7), normal(3, 2), WithVariance(drift)
        expected, _ = walked(self.made(), levels, x, model)
        for stop in (1, 3, 6):
            half, state = walked(self.made(), levels[: stop + 1], x, model)
            rest: dict[str, Any] = {"noise": noise_for(x), "first": stop, "state": copy.deepcopy(state)}
            made, _ = walked(self.made(), levels[stop:], half.clone(), model, **rest)
            same(
                made, expected, f"stopped after step {stop} and gone on with, beside a run at once (is all in `state`?)"
            )

    def test_runs_do_not_mix(self) -> None:
        """Two runs of one object on two processes, step by step in turn, end as each does alone."""
        made, model = self.made(), WithVariance(drift)
        levels = [levels_of(under, "uniform", 5) for under in ("vp-linear", "flow")]
        xs = [normal(2, 2), normal(2, 2) * 0.5 + 1]
        expected = [walked(self.made(), *run, model)[0] for run in zip(levels, xs, strict=True)]
        states, noises = [made.init(x) for x in xs], [noise_for(x) for x in xs]
        for number in range(5):
            for run in (0, 1):
                noises[run].step = number
                here, there = levels[run][number : number + 2]
                xs[run], states[run] = made.step(xs[run], here, there, model, noises[run], states[run])
        for run in (0, 1):
            same(xs[run], expected[run], "two runs of one object in turn, beside one alone (is all in `state`?)")

    def test_order_of_convergence(self) -> None:
        """The error falls with the steps as the declared order says, within 0.2, on data whose solution is known."""
        made = self._ordered()
        if made.stochastic and not self.ordered_in_distribution:
            skip("the suite says that it holds under settings of its own only")
        order = self._order(made)
        measure, counts = (error_in_distribution, (8, 32)) if made.stochastic else (error_of_solution, _counts(order))
        slope, told = _slope({count: measure(made, count) for count in counts})
        holds(slope >= order - 0.2, f"order {order} is declared, {told}")
        cure = "declare that, or say superconvergent = True in the suite"
        holds(self.superconvergent or slope <= order + 0.2, f"order {order} is declared, {told}; {cure}")

    def test_order_on_uneven_steps(self) -> None:
        """So it does, of a deterministic one, where each long step is followed by one half as long."""
        made = self._ordered()
        if made.stochastic or self.equal_steps:
            skip("it draws noise, or the suite says that its steps must change slowly")
        order = self._order(made)
        slope, told = _slope({count: error_of_solution(made, count, uneven=True) for count in _counts(order)})
        cure = "let its weights follow the steps, or say equal_steps = True in the suite"
        holds(slope >= order - 0.2, f"order {order} is declared, with long and short steps in turn {told}; {cure}")

    def test_samples_are_like_the_data(self) -> None:
        """Many steps from noise lead to the exact solution, or, of a stochastic sampler, to the data's distribution."""
        made = self.made()
        if not made.stochastic:
            x = normal(24, 2)
            ended = self._run(made, steps=60, x=x, under="flow", grid="log-snr")
            wrong = (ended - exact(x, math.pi / 2, 0.0)).square().mean().sqrt().item()
            holds(wrong < 0.05, f"60 steps end {wrong:.2g} from the exact solution, of data of about unit size")
        elif self.like_the_data:
            rows = 3000  # one item, so that its noise is one draw
            model = lambda x, level: PLANE(x[0], level)[None]  # noqa: E731
            ended = self._run(
                made, steps=60, x=_start("flow", 1, rows, 2), under="flow", grid="log-snr", denoise=model
            )[0]
            share = PLANE.log_weights.exp()
            mean = share @ PLANE.means
            spread = (share @ (PLANE.means - mean).square() + share @ PLANE.widths.square()).sqrt()
            # The standard error of 3000 samples is 0.02; the rest is the bias of 60 steps.
            same(ended.mean(0), mean, "the mean of 3000 samples beside that of the data", atol=0.1)
            same(ended.std(0), spread, "the standard deviation of 3000 samples beside that of the data", atol=0.1)
        else:
            skip("the suite says that they are not")

    def answer(self, made: Any) -> Tensor:
        return torch.stack([self._run(made, steps=12, under=under, denoise=drift) for under in FEW])

    def _ordered(self) -> Sampler:
        """Return the sampler, if it claims an order that can be seen."""
        made: Sampler = self.made()
        if not self._order(made) or self.held_to_tolerance:
            skip("it claims none, or the suite says that its error is a tolerance's")
        return made

    def _order(self, made: Sampler) -> int:
        return made.order if self.declared_order is None else self.declared_order

    def _run(
        self,
        made: Any = None,
        *,
        steps: int,
        x: Tensor | None = None,
        under: str = "vp-linear",
        grid: str = "uniform",
        seeds: Sequence[int] | None = None,
        denoise: Denoise = PLANE,
        observers: Sequence[Any] = (),
    ) -> Tensor:
        """Return the end of a run through the one loop, which holds shape, dtype and finite values too."""
        __tracebackhide__ = True
        sampler, x = self.made() if made is None else made, _start(under, 4, 2) if x is None else x
        run: dict[str, Any] = {"process": under, "grid": grid, "steps": steps, "seeds": seeds, "observers": observers}
        try:
            return sample(WithVariance(denoise), sampler=sampler, x=x, **run)
        except NoiseformError as error:
            raise Finding(f"{steps} steps on {under}: {error}") from of_the_part(error)


def _counts(order: int) -> tuple[int, int]:
    """Return numbers of steps between which an order shows: few of a high one, whose errors reach rounding soon."""
    return (16, 64) if order < 5 else (6, 24)


def _slope(errors: Mapping[int, float]) -> tuple[float, str]:
    """Return by which power of the number of steps an error falls, and that in words."""
    (few, first), (many, last) = errors.items()
    slope = math.log(first / last) / math.log(many / few)
    return slope, f"{slope:.2f} is seen: {first:.2g} in {few} steps, {last:.2g} in {many} steps"


def _start(under: str, *shape: int) -> Tensor:
    """Return pure noise (\\*shape) of a process."""
    return normal(*shape) * levels_of(under, "uniform", 1)[0].sigma
