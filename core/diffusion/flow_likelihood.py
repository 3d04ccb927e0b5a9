"""The exact likelihood of a model's probability-flow ODE, by the instantaneous change of variables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from .angle import Arc
from .integration import PAIRS, State, Walk, excess, integrated
from .level import Level
from .noise import Draws, Key
from .sampling import Denoise

__all__ = ["Trace", "flow_log_density"]

Trace = Literal["auto", "exact", "rademacher", "gaussian"]

_EXACT = 16  # numbers of an item up to which "auto" takes the exact trace


def flow_log_density(
    denoise: Denoise,
    x0: Tensor,
    first: Level[float],
    end: Level[float],
    *,
    keys: Sequence[Key],
    trace: Trace,
    probes: int,
    rtol: float,
    atol: float,
) -> tuple[Tensor, Tensor]:
    """Return the log-density (rows,) float64 in nats of items of the data at ``first``, and its standard error (rows,).

    In the angle theta, ``log p(y_first) = log N(y_end; 0, sin(theta_end)**2) + integral of div(dy / dtheta)``; its
    divergence is found for the clean items: ``(size * cos(theta) - tr(d x0 / d y)) / sin(theta)``.

    Args:
        denoise: the model, which is differentiated.
        x0: items (rows, \\*item); their noise is not added, see ``log_likelihood``.
        first: the level at which they stand.
        end: the level at t = 1.
        keys: of the rows.
        trace: see ``log_likelihood``.
        probes: estimates of the trace.
        rtol: tolerated error of a step.
        atol: likewise.

    Source: Song et al. 2021, arXiv 2011.13456, equation 39; Chen et al. 2018, arXiv 1806.07366, theorem 1; Grathwohl
    et al. 2019, arXiv 1810.01367, equation 7 (one vector for the whole way); Hutchinson 1990.
    """
    arc, size = Arc(first, end, denoise), math.prod(x0.shape[1:])
    vectors = _vectors(x0, keys, trace, probes)
    exact = vectors.ndim == x0.ndim  # the axes themselves, the same for every row

    def slope(theta: float, state: State) -> State:
        y = state[0]
        with torch.enable_grad():
            at = y.detach().requires_grad_()
            clean = arc.x0(theta, at)
        inside = torch.stack([_along(clean, at, one) for one in vectors], 1)  # (rows, probes)
        if exact:
            inside = inside.sum(1, keepdim=True)
        cos, sin = math.cos(theta), math.sin(theta)
        return arc.slope(theta, y, clean.detach()), (size * cos - inside) / sin

    def error(before: State, after: State, wrong: State) -> Tensor:
        of_items = excess(before[0], after[0], wrong[0], rtol=rtol, atol=atol).double()
        return torch.maximum(of_items, excess(before[1], after[1], wrong[1], rtol=rtol, atol=size * atol))

    y = math.cos(arc.start) * x0.detach()
    state = (y, torch.zeros(len(x0), 1 if exact else len(vectors), dtype=torch.float64, device=x0.device))
    walk = Walk(state, slope(arc.start, state), [arc.start] * len(x0))
    walk = integrated(
        slope,
        walk,
        arc.start,
        arc.end,
        pair=PAIRS[5],
        error=error,
        longest=lambda theta: min(0.4, 3 * theta),  # see angle.longest_step, the other way round
    )
    width = math.sin(arc.end)
    square = walk.state[0].double().flatten(1).square().sum(1) / width**2
    prior = -0.5 * (square + size * math.log(2 * math.pi * width**2))
    grown = walk.state[1]
    nats = prior + grown.mean(1) + size * math.log(math.cos(arc.start))
    if exact:
        return nats, torch.zeros_like(nats)
    return nats, grown.std(1) / math.sqrt(probes) if probes > 1 else torch.full_like(nats, math.nan)


def _vectors(x0: Tensor, keys: Sequence[Key], trace: Trace, probes: int) -> Tensor:
    """Return what the derivative is asked along: probes (probes, rows, \\*item), or all axes (size, \\*item)."""
    size = math.prod(x0.shape[1:])
    if trace == "exact" or (trace == "auto" and size <= _EXACT):
        return torch.eye(size, dtype=x0.dtype, device=x0.device).reshape(size, *x0.shape[1:])
    drawn = Draws()
    normal = torch.stack(
        [
            drawn.normal(keys, x0.shape[1:], purpose="trace", step=number, dtype=x0.dtype, device=x0.device)
            for number in range(probes)
        ]
    )
    return normal if trace == "gaussian" else torch.where(normal < 0, -1.0, 1.0).to(x0)


def _along(clean: Tensor, at: Tensor, vector: Tensor) -> Tensor:
    """Return ``v . (d clean / d at) v`` of each row (rows,), float64."""
    if not clean.requires_grad:  # the same whatever it is shown
        return torch.zeros(len(at), dtype=torch.float64, device=at.device)
    vector = vector.expand_as(clean)
    (moved,) = torch.autograd.grad(clean, at, vector, retain_graph=True)
    return (moved * vector).double().flatten(1).sum(1)
