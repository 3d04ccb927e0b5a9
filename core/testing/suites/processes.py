"""The suite of processes: their ends, a signal-to-noise ratio that falls, and what follows from alpha and sigma."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ...diffusion.level import FIELDS
from ...diffusion.process import NEGLIGIBLE, CompleteProcess, complete, levels_at
from ...diffusion.sde import diffusion, drift
from ..finding import Finding, drawn, holds, no_global_draws, same, unchanged
from ..inherited.answering import AnsweringSuite
from ..tried_on.closed_form import error_of_run

__all__ = ["ProcessSuite"]

FORWARD = ("alpha", "sigma", "d_alpha", "d_sigma", "log_snr")
"""The functions of time; the sixth is the inverse of the last."""

INSIDE = (torch.arange(1, 25, dtype=torch.float64) * 0.6180339887498949).remainder(1) * 0.99 + 0.005
"""Times that lie evenly, and at no entry of any table."""


class ProcessSuite(AnsweringSuite):
    """Holds a process to its contract: ``alpha(t)`` and ``sigma(t)``, and whatever else it brings.

    What it does not bring (derivatives, log-SNR and the inverse of that) the program derives; that is held to the same
    laws, since a function that autograd cannot follow would be derived wrong.

    Attributes:
        idle: parameters without effect on what the suite tries, such as those that another one switches on.

    Source: for the moments, Song et al. 2021, arXiv 2011.13456, equation 5, and Särkkä and Solin 2019, section 5.5.
    """

    kind: ClassVar[str] = "process"

    def test_keeps_shape_and_float64(self) -> None:
        """Every function returns the shape of its times, none and several axes alike, in float64."""
        process = self._process()
        for shape in ((), (1,), (5,), (2, 3), (0,)):
            t = torch.full(shape, 0.37, dtype=torch.float64)
            for name in (*FORWARD, "t_of_log_snr"):
                _shaped(name, getattr(process, name)(t), t)
        t = torch.tensor(0.37, dtype=torch.float64).expand(2, 3)
        for name in FORWARD:
            _shaped(name, getattr(process, name)(t), t)

    def test_starts_at_clean_data(self) -> None:
        """At t = 0 alpha is 1 and sigma 0, up to rounding; at t = 1 there is noise."""
        process = self._process()
        (alpha, last_alpha), (sigma, last_sigma) = (fn(_ends()).tolist() for fn in (process.alpha, process.sigma))
        holds(abs(alpha - 1) <= NEGLIGIBLE, f"alpha(0): expected 1, got {alpha!r}; t = 0 is clean data")
        holds(abs(sigma) <= NEGLIGIBLE, f"sigma(0): expected 0, got {sigma!r}; t = 0 is clean data")
        holds(last_sigma > 0, f"sigma(1): expected noise, got {last_sigma!r}")
        holds(last_alpha >= -NEGLIGIBLE * last_sigma, f"alpha(1): expected 0 or more, got {last_alpha!r}")

    def test_is_finite_inside(self) -> None:
        """Between the ends all is finite, alpha and sigma above 0; at the ends nothing is NaN."""
        process, t = self._process(), _dense()[1:-1]
        for name in FORWARD:
            value = getattr(process, name)(t)
            wrong = t[~torch.isfinite(value)].tolist()
            holds(not wrong, f"{name} is not finite at t = {wrong[:1]}")
        for name in ("alpha", "sigma"):
            holds((getattr(process, name)(t) > 0).all(), f"{name}: expected numbers above 0 inside (0, 1)")
        for level in levels_at(process, _ends()):
            for name in FIELDS:
                value = getattr(level, name)
                holds(value == value, f"{name}({level.t:g}) is NaN; an infinite one may stay, else write its limit")

    def test_signal_to_noise_falls(self) -> None:
        """The signal-to-noise ratio falls strictly, from end to end."""
        _falls(self._process(), _dense())

    @given(start=st.floats(0, 1 - 1e-5), gap=st.floats(1e-5, 1))
    @drawn
    def test_signal_to_noise_falls_between_any_two(self, start: float, gap: float) -> None:
        """Of any two times the later one has the lower signal-to-noise ratio."""
        _falls(self._process(), torch.tensor([start, min(1.0, start + gap)], dtype=torch.float64))

    def test_derivatives_are_those_of_alpha_and_sigma(self) -> None:
        """``d_alpha`` and ``d_sigma``, brought or derived, are what finite differences see."""
        process, made = self._process(), self.made()
        width = 1e-5 * torch.minimum(INSIDE, 1 - INSIDE)
        for name in ("alpha", "sigma"):
            function, slope = getattr(process, name), getattr(process, f"d_{name}")(INSIDE)
            before, here, after = (function(INSIDE + side * width) for side in (-1, 0, 1))
            seen = (after - before) / (2 * width)
            kink = ((after - here) - (here - before)).abs() / width  # at which anything between is right
            slack = 1e-6 * slope.abs() + kink + 1e-15 * here.abs() / width
            wrong = ((slope - seen).abs() > slack).nonzero().flatten().tolist()
            cure = "correct it" if hasattr(made, f"d_{name}") else f"write {name} in torch alone, or a d_{name} to it"
            if wrong:
                at = wrong[0]
                told = f"d_{name}({INSIDE[at].item():.4g}) is {slope[at].item():.6g}, but {name} rises by"
                raise Finding(f"{told} {seen[at].item():.6g}; {cure}")

    def test_log_snr_is_that_of_alpha_and_sigma(self) -> None:
        """``log_snr`` is ``log(alpha**2 / sigma**2)``: the whole, not the half of it that some papers call lambda."""
        process = self._process()
        expected = 2 * (torch.log(process.alpha(INSIDE)) - torch.log(process.sigma(INSIDE)))
        same(process.log_snr(INSIDE), expected, "log_snr beside log(alpha**2 / sigma**2)", rtol=1e-8, atol=1e-8)

    def test_time_is_the_inverse_of_log_snr(self) -> None:
        """``t_of_log_snr`` undoes ``log_snr`` and is undone by it."""
        process = self._process()
        t = torch.cat([INSIDE, torch.tensor([1e-4, 1 - 1e-4], dtype=torch.float64)])
        log_snr = process.log_snr(t)
        same(process.t_of_log_snr(log_snr), t, "t_of_log_snr(log_snr(t)) beside t", atol=1e-7)
        high, low = process.log_snr(torch.tensor([0.01, 0.99], dtype=torch.float64)).tolist()
        between = torch.linspace(low, high, 33, dtype=torch.float64)
        back = process.log_snr(process.t_of_log_snr(between))
        same(back, between, "log_snr(t_of_log_snr(l)) beside l", rtol=1e-6, atol=1e-6)

    def test_time_of_a_log_snr_beyond_the_ends(self) -> None:
        """A log-SNR that the process does not reach leads to the nearer end, or out of [0, 1] on its side."""
        process = self._process()
        last = process.log_snr(_ends()[1]).item()
        beyond = torch.tensor([torch.inf, last - 60, -torch.inf], dtype=torch.float64)
        made = process.t_of_log_snr(beyond).clamp(0, 1)
        told = f"t_of_log_snr of {beyond.tolist()}, within [0, 1], beside the ends"
        same(made, torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64), told, atol=1e-6)

    def test_moments_are_those_of_its_stochastic_equation(self) -> None:
        """Mean and variance along ``dx = f x dt + g dw`` grow as alpha and sigma say, and ``g**2`` is never below 0."""
        process = self._process()
        ends = torch.tensor([0.05, 0.95], dtype=torch.float64)
        (first, last), (begun, ended) = (
            process.alpha(ends).tolist(),
            (process.sigma(ends) / process.alpha(ends)).tolist(),
        )
        t = torch.linspace(0.05, 0.95, 3601, dtype=torch.float64)[:-1] + 0.45 / 3600  # at no entry of a table
        noise = diffusion(process, t)
        holds(torch.isfinite(noise).all(), "g**2 of the SDE is below 0: noise would have to be taken away again")
        told, kept = "between t = 0.05 and 0.95 the", torch.exp(0.9 * drift(process, t).mean()).item()
        holds(
            abs(kept - last / first) <= 2e-3 * kept,
            f"{told} mean of the SDE shrinks by {kept:.5g}, alpha by {last / first:.5g}",
        )
        added = 0.9 * (noise / process.alpha(t)).square().mean().item()
        holds(
            abs(added - (ended**2 - begun**2)) <= 2e-3 * added,
            f"{told} SDE adds {added:.5g} to (sigma / alpha)**2, which grows by {ended**2 - begun**2:.5g}",
        )

    def test_a_time_does_not_depend_on_the_others(self) -> None:
        """A time asked alone, among others and after others is answered alike."""
        process = self._process()
        for name in FORWARD:
            function = getattr(process, name)
            together = function(INSIDE)
            alone = torch.stack([function(one) for one in INSIDE])
            same(alone, together, f"{name} of each time alone beside all at once", rtol=1e-12, atol=1e-14)
            same(function(INSIDE.flip(0)).flip(0), together, f"{name} in another order", rtol=1e-12, atol=1e-14)

    def test_leaves_its_inputs_alone(self) -> None:
        """Times are not changed in place, and what is returned is no view of what is returned next time.

        It may be the times themselves, as in ``sigma = t``: nobody writes into it.
        """
        process = self._process()
        for name in (*FORWARD, "t_of_log_snr"):
            t = INSIDE.clone()
            with unchanged(**{f"the argument of {name}": t}):
                answer = getattr(process, name)(t)
            expected = answer.clone()
            answer.detach()[0].add_(1.0)  # in one place, since places may share their memory, as of an expanded number
            told = f"{name} asked again after its first answer was written to (return a new tensor)"
            same(getattr(process, name)(INSIDE.clone()), expected, told)

    def test_needs_no_gradients(self) -> None:
        """Under ``no_grad`` all is as without, and no answer waits for a gradient that nobody asked for."""
        process = self._process()
        for name in (*FORWARD, "t_of_log_snr"):
            free = getattr(process, name)(INSIDE)
            with torch.no_grad():
                same(getattr(process, name)(INSIDE), free, f"{name} under torch.no_grad beside the same without")
            holds(not free.requires_grad, f"{name}: its answer requires a gradient; detach what it is made of")

    def test_is_deterministic(self) -> None:
        """Two objects and a copy give the same bits, and nothing is drawn from a global generator."""
        process = self._process()
        others = {"another object": self._process(), "a copy": copy.deepcopy(process)}
        for name in FORWARD:
            with no_global_draws():
                expected = getattr(process, name)(INSIDE)
            for other, twin in others.items():
                same(getattr(twin, name)(INSIDE), expected, f"{name} of {other}")

    def test_length_is_that_of_a_table(self) -> None:
        """``length``, where there is one, is how many entries a table has: grids go by it."""
        length = getattr(self.made(), "length", None)
        right = length is None or (type(length) is int and length >= 2)
        holds(right, f"length: expected a whole number of a table's entries, got {length!r}; name it something else")

    def test_a_run_ends_at_the_data(self) -> None:
        """Forty steps from pure noise lead to the exact solution, on data whose solution is known."""
        wrong = error_of_run(self.made(), "angle", 40, sampler="dpmpp-2m")
        holds(wrong < 0.05, f"40 steps end {wrong:.2g} from the exact solution, of data of width 0.6")

    def answer(self, made: Any) -> Tensor:
        return torch.stack([made.alpha(INSIDE), made.sigma(INSIDE)])

    def _process(self) -> CompleteProcess:
        """Return the process with what it does not bring itself."""
        return complete(self.made())


def _ends() -> Tensor:
    return torch.tensor([0.0, 1.0], dtype=torch.float64)


def _dense() -> Tensor:
    """Return both ends, and times between them that come as near to an end as training does."""
    inside = torch.linspace(0, 1, 2003, dtype=torch.float64)[1:-1]
    near = torch.logspace(-6, -4, 9, dtype=torch.float64)
    return torch.cat([torch.zeros(1, dtype=torch.float64), near, inside, (1 - near).flip(0), torch.ones(1).double()])


def _shaped(name: str, value: object, t: Tensor) -> None:
    holds(isinstance(value, Tensor), f"{name}: expected a tensor, got a {type(value).__name__}")
    assert isinstance(value, Tensor)
    holds(value.shape == t.shape, f"{name}: expected shape {tuple(t.shape)}, got {tuple(value.shape)}")
    holds(value.dtype == torch.float64, f"{name}: expected float64, got {value.dtype}")


def _falls(process: CompleteProcess, t: Tensor) -> None:
    """Raise a Finding unless the ratio of alpha to sigma falls over rising times."""
    alpha, sigma = process.alpha(t), process.sigma(t)
    wrong = (~(alpha[:-1] * sigma[1:] > alpha[1:] * sigma[:-1])).nonzero().flatten().tolist()
    if wrong:
        here, there = t[wrong[0]].item(), t[wrong[0] + 1].item()
        raise Finding(f"the signal-to-noise ratio does not fall from t = {here:.6g} to {there:.6g}")
