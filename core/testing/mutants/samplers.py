"""Samplers that are wrong in one way each, of Heun's method and of ancestral sampling."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...diffusion.level import Level
from ...diffusion.sampling import Denoise, Noise
from .mutant import Mutant
from .samplers_beside import MUTANTS as BESIDE
from .samplers_beside import Euler

__all__ = ["MUTANTS"]


class Trapezoid:
    """Heun's method for d(x / alpha) / d(nsr) = eps: an original."""

    order = 2
    stochastic = False
    nfe_per_step = 2

    def init(self, x: Tensor) -> Any:
        return None

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: Any
    ) -> tuple[Tensor, Any]:
        x0 = denoise(x, here)
        eps = (x - here.alpha * x0) / here.sigma
        ahead = next.alpha * x0 + next.sigma * eps
        if here.alpha == 0 or next.sigma == 0:
            return ahead, state
        eps_ahead = (ahead - next.alpha * denoise(ahead, next)) / next.sigma
        width = next.sigma / next.alpha - here.sigma / here.alpha
        return next.alpha * (x / here.alpha + width * (eps + eps_ahead) / 2), state


class Ancestral:
    """Draws from the posterior of x at the next level, of Ho et al. 2020, equation 6, for any process: an original."""

    order = 1
    stochastic = True
    nfe_per_step = 1

    def init(self, x: Tensor) -> Any:
        return None

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: Any
    ) -> tuple[Tensor, Any]:
        mean, deviation = self.posterior(x, denoise(x, here), here, next)
        return (mean + deviation * noise(), state) if deviation else (mean, state)

    def posterior(self, x: Tensor, x0: Tensor, here: Level[float], next: Level[float]) -> tuple[Tensor, float]:
        kept = here.alpha / next.alpha
        share = (next.sigma / here.sigma) ** 2
        fresh = here.sigma**2 - (kept * next.sigma) ** 2
        mean = kept * share * x + next.alpha * fresh / here.sigma**2 * x0
        return mean, (max(fresh, 0.0) * share) ** 0.5


class TwoStep(Trapezoid):
    """Adams-Bashforth's method of two steps for d(x / alpha) / d(nsr) = eps, begun by Heun's: an original."""

    nfe_per_step = 1

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: Any
    ) -> tuple[Tensor, Any]:
        x0 = denoise(x, here)
        eps = (x - here.alpha * x0) / here.sigma
        ahead = next.alpha * x0 + next.sigma * eps
        if here.alpha == 0 or (state is None and next.sigma == 0):
            return ahead, (here, eps)
        if state is None:
            change = ((ahead - next.alpha * denoise(ahead, next)) / next.sigma - eps) / 2
        else:
            change = self.share(state[0], here, next) * (eps - state[1])
        width = next.sigma / next.alpha - here.sigma / here.alpha
        return next.alpha * (x / here.alpha + width * (eps + change)), (here, eps)

    def share(self, before: Level[float], here: Level[float], next: Level[float]) -> float:
        if before.alpha == 0:
            return 0.0
        first, middle, last = (level.sigma / level.alpha for level in (before, here, next))
        return (last - middle) / (middle - first) / 2


class _OrderTooHigh(Euler):
    order = 2


class _OrderVaries(Trapezoid):
    """Says that its calls vary, which is no leave to say anything of its order."""

    order = 3
    nfe_varies = True


class _FixedWeights(TwoStep):
    """Has the weights 3/2 and -1/2 of equal steps."""

    def share(self, before, here, next):  # type: ignore[no-untyped-def]
        return 0.5


class _KnowsTheTimes(Euler):
    """Keeps what it has made of two levels, by their times, which are other levels of another process."""

    def __init__(self) -> None:
        self._known: dict[tuple[float, float], float] = {}

    def step(self, x, here, next, denoise, noise, state):  # type: ignore[no-untyped-def]
        ratio = self._known.setdefault((here.t, next.t), next.sigma / here.sigma)
        x0 = denoise(x, here)
        return next.alpha * x0 + ratio * (x - here.alpha * x0), state


class _OrderTooLow(Trapezoid):
    order = 1


class _OrderIsText(Trapezoid):
    order: Any = "2"


class _CallsTooFew(Trapezoid):
    nfe_per_step = 1


class _CallsTwice(Euler):
    def step(self, x, here, next, denoise, noise, state):  # type: ignore[no-untyped-def]
        return super().step(x, here, next, lambda *asked: denoise(*asked) + 0 * denoise(*asked), noise, state)


class _WritesIntoX(Euler):
    def step(self, x, here, next, denoise, noise, state):  # type: ignore[no-untyped-def]
        x0 = denoise(x, here)
        return x.sub_(x0, alpha=here.alpha).mul_(next.sigma / here.sigma).add_(x0, alpha=next.alpha), state


class _WritesIntoX0(Euler):
    def step(self, x, here, next, denoise, noise, state):  # type: ignore[no-untyped-def]
        ratio = next.sigma / here.sigma
        return denoise(x, here).mul_(next.alpha - ratio * here.alpha).add_(x, alpha=ratio), state


class _DrawsItself(Ancestral):
    def step(self, x, here, next, denoise, noise, state):  # type: ignore[no-untyped-def]
        drawn: Any = lambda: torch.randn_like(x)  # noqa: E731
        return super().step(x, here, next, denoise, drawn, state)


class _Seeds(Ancestral):
    def init(self, x):  # type: ignore[no-untyped-def]
        torch.manual_seed(0)


class _UndeclaredNoise(Ancestral):
    stochastic = False


class _DeclaredNoise(Euler):
    stochastic = True


class _TooMuchNoise(Ancestral):
    def posterior(self, x, x0, here, next):  # type: ignore[no-untyped-def]
        mean, deviation = super().posterior(x, x0, here, next)
        return mean, 1.5 * deviation


class _NoNoise(Ancestral):
    """Draws once, at the first step, so that it does depend on the seeds."""

    def posterior(self, x, x0, here, next):  # type: ignore[no-untyped-def]
        mean, deviation = super().posterior(x, x0, here, next)
        return mean, deviation if here.t == 1 else 0.0


class _OneLevelBehind(Euler):
    def init(self, x):  # type: ignore[no-untyped-def]
        return None

    def step(self, x, here, next, denoise, noise, state):  # type: ignore[no-untyped-def]
        made, _ = super().step(x, here, here if next.sigma == 0 else next, denoise, noise, None)
        return made, None


class _OneFactorOff(Euler):
    """Puts the noise of the level before on the item of the next one."""

    def step(self, x, here, next, denoise, noise, state):  # type: ignore[no-untyped-def]
        x0 = denoise(x, here)
        return next.alpha * x0 + next.sigma / here.sigma * (x - next.alpha * x0), state


class _DividesByAlpha(Trapezoid):
    def step(self, x, here, next, denoise, noise, state):  # type: ignore[no-untyped-def]
        return super().step(here.alpha * (x / torch.tensor(here.alpha)), here, next, denoise, noise, state)


class _DividesBySigma(Trapezoid):
    def step(self, x, here, next, denoise, noise, state):  # type: ignore[no-untyped-def]
        made, state = super().step(x, here, next, denoise, noise, state)
        sigma = torch.tensor(next.sigma, dtype=x.dtype)
        return made / sigma * sigma, state


class _KeepsStateInSelf(Euler):
    """Averages with the x0 of the step before, which it keeps in itself."""

    def __init__(self) -> None:
        self._before: Tensor | None = None

    def step(self, x, here, next, denoise, noise, state):  # type: ignore[no-untyped-def]
        def averaged(x, level):  # type: ignore[no-untyped-def]
            x0 = denoise(x, level)
            first = self._before is None or self._before.shape != x0.shape
            blend, self._before = (x0 if first else (3 * x0 + self._before) / 4), x0
            return blend

        return super().step(x, here, next, averaged, noise, state)


class _MeanOfTheBatch(Euler):
    def step(self, x, here, next, denoise, noise, state):  # type: ignore[no-untyped-def]
        def pulled(x, level):  # type: ignore[no-untyped-def]
            x0 = denoise(x, level)
            return 0.99 * x0 + 0.01 * x0.mean(0, keepdim=True)

        return super().step(x, here, next, pulled, noise, state)


class _PicturesOnly(Euler):
    def step(self, x, here, next, denoise, noise, state):  # type: ignore[no-untyped-def]
        ratio = torch.full((len(x), 1, 1, 1), next.sigma / here.sigma, dtype=x.dtype)
        x0 = denoise(x, here)
        return next.alpha * x0 + ratio * (x - here.alpha * x0), state


class _BlursTheLastAxis(Euler):
    """Knows what stands beside what along the last axis, which is the modality's business."""

    def step(self, x, here, next, denoise, noise, state):  # type: ignore[no-untyped-def]
        def blurred(x, level):  # type: ignore[no-untyped-def]
            x0 = denoise(x, level)
            return 0.9 * x0 + 0.1 * x0.roll(1, -1)

        return super().step(x, here, next, blurred, noise, state)


class _Rounds(Euler):
    def step(self, x, here, next, denoise, noise, state):  # type: ignore[no-untyped-def]
        made, state = super().step(x, here, next, denoise, noise, state)
        return made.float(), state


class _IgnoresItsChurn(Trapezoid):
    def __init__(self, churn: int = 1) -> None:
        self.churn = churn


class _Unbounded(Euler):
    """Takes any text for its parameter."""

    def __init__(self, churn="none") -> None:  # type: ignore[no-untyped-def]
        self.churn = churn


class _OddDefault(Euler):
    """Has a default that a file could not say."""

    def __init__(self, churn: float = torch.inf) -> None:
        self.churn = churn


_BEGUN = {"first_step_calls": 2}

MUTANTS = (
    Mutant("the original: Heun's method", Trapezoid, None),
    Mutant("the original: ancestral sampling", Ancestral, None),
    Mutant("the original: a method of two steps", TwoStep, None, _BEGUN),
    Mutant("declares an order that it has not", _OrderTooHigh, "test_order_of_convergence"),
    Mutant("declares less than its order", _OrderTooLow, "test_order_of_convergence"),
    Mutant("says that its calls vary, and lies about its order", _OrderVaries, "test_order_of_convergence"),
    Mutant("has the weights of equal steps", _FixedWeights, "test_order_on_uneven_steps", _BEGUN),
    Mutant("gives its order as text", _OrderIsText, "test_declares_what_it_is"),
    Mutant("declares too few calls", _CallsTooFew, "test_calls_are_as_declared"),
    Mutant("calls the denoiser twice where it declares one call", _CallsTwice, "test_calls_are_as_declared"),
    Mutant("calls the denoiser once more in its first step", TwoStep, "test_calls_are_as_declared"),
    Mutant("claims more calls in its first step", Euler, "test_calls_are_as_declared", _BEGUN),
    Mutant("writes into x", _WritesIntoX, "test_leaves_its_inputs_alone"),
    Mutant("writes into the denoiser's answer", _WritesIntoX0, "test_leaves_its_inputs_alone"),
    Mutant("draws from the global generator", _DrawsItself, "test_is_deterministic"),
    Mutant("seeds the global generator", _Seeds, "test_leaves_global_generators_alone"),
    Mutant("does not declare that it draws noise", _UndeclaredNoise, "test_draws_noise_as_declared"),
    Mutant("declares noise and draws none", _DeclaredNoise, "test_draws_noise_as_declared"),
    Mutant("adds half as much noise again", _TooMuchNoise, "test_order_of_convergence"),
    Mutant("leaves the noise out after the first step", _NoNoise, "test_order_of_convergence"),
    Mutant("stops one level before the data", _OneLevelBehind, "test_data_of_one_point_are_met"),
    Mutant("takes a factor from the wrong level", _OneFactorOff, "test_order_of_convergence"),
    Mutant("divides by alpha = 0", _DividesByAlpha, "test_few_steps_work"),
    Mutant("divides by sigma = 0", _DividesBySigma, "test_few_steps_work"),
    Mutant("keeps its state in itself", _KeepsStateInSelf, "test_runs_do_not_mix"),
    Mutant("knows levels by their times", _KnowsTheTimes, "test_runs_do_not_mix"),
    Mutant("lets the items of a batch mix", _MeanOfTheBatch, "test_items_do_not_depend_on_their_batch"),
    Mutant("takes every item for a picture", _PicturesOnly, "test_keeps_shape_and_dtype"),
    Mutant("knows the last axis of an item", _BlursTheLastAxis, "test_items_do_not_depend_on_their_shape"),
    Mutant("works in float32", _Rounds, "test_keeps_shape_and_dtype"),
    Mutant("ignores its parameter", _IgnoresItsChurn, "test_numbers_change_something"),
    Mutant("has a parameter without a type", _Unbounded, "test_parameters_are_described"),
    Mutant("has a default that no file can say", _OddDefault, "test_parameters_are_described"),
    *BESIDE,
)
