"""The integrator: its pairs, its tolerance, and rows that do not notice each other."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.integrate
import torch
from noiseform.core.diffusion.integration import PAIRS, Walk, excess, integrated
from noiseform.core.errors import NumericError
from torch.testing import assert_close

PEERS = {3: scipy.integrate.RK23, 5: scipy.integrate.RK45}


def run(slope, y, start, end, order=5, tolerance=1e-6, longest=lambda place: math.inf):
    def error(before, after, wrong):
        return excess(before[0], after[0], wrong[0], rtol=tolerance, atol=tolerance)

    walk = Walk((y,), slope(start, (y,)), [abs(end - start)] * len(y))
    return integrated(slope, walk, start, end, pair=PAIRS[order], error=error, longest=longest)


@pytest.mark.parametrize("order", PAIRS)
def test_pairs_are_those_of_scipy(order):
    pair, peer = PAIRS[order], PEERS[order]
    inner = [[*row, *(0.0,) * (peer.n_stages - len(row))] for row in ((), *pair.stages[:-1])]
    np.testing.assert_allclose(np.array(inner)[:, : peer.A.shape[1]], peer.A, rtol=1e-15)
    np.testing.assert_allclose(pair.nodes, [*peer.C[1:], 1], rtol=1e-15)
    np.testing.assert_allclose(pair.stages[-1], peer.B[: len(pair.stages[-1])], rtol=1e-15)
    np.testing.assert_allclose(np.abs(pair.wrong), np.abs(peer.E), rtol=1e-13)
    assert pair.calls == peer.n_stages


@pytest.mark.parametrize("order", PAIRS)
@pytest.mark.parametrize(("start", "end"), [(0.0, 5.0), (5.0, 0.0)], ids=["up", "down"])
def test_an_oscillation_is_met_as_closely_as_asked(order, start, end, normal):
    """y'' = -y, side by side as y and y', forth and back."""

    def slope(t, state):
        (y,) = state
        return (torch.stack([y[:, 1], -y[:, 0]], 1),)

    y = normal(6, 2)
    turn = math.cos(end - start), math.sin(end - start)
    exact = torch.stack([turn[0] * y[:, 0] + turn[1] * y[:, 1], turn[0] * y[:, 1] - turn[1] * y[:, 0]], 1)
    errors = []
    for tolerance in (1e-3, 1e-5, 1e-7, 1e-9):
        off = (run(slope, y, start, end, order, tolerance).state[0] - exact).abs().max().item()
        assert off <= 20 * tolerance
        errors.append(off)
    assert all(finer < coarser / 20 for coarser, finer in pairwise(errors)), errors


def test_rows_do_not_notice_each_other():
    """Rows of very different pace, alone and together: the same to the last bit; each takes the steps it needs."""
    pace = torch.tensor([0.1, 1.0, 30.0, 300.0], dtype=torch.float64).reshape(-1, 1)

    def slopes(pace):
        return lambda t, state: (-pace * (state[0] - math.cos(t)),)

    y = torch.ones(4, 3, dtype=torch.float64)
    together = run(slopes(pace), y, 0.0, 2.0)
    for row in range(4):
        alone = run(slopes(pace[row : row + 1]), y[:1], 0.0, 2.0)
        assert torch.equal(alone.state[0][0], together.state[0][row])
        assert torch.equal(alone.slope[0][0], together.slope[0][row])
        assert alone.strides == together.strides[row : row + 1]
    assert together.strides[0] > 10 * together.strides[3]


def test_no_step_is_longer_than_allowed():
    """A bump that no stage of the first step sees is found where steps are short enough."""
    y = torch.zeros(1, 1, dtype=torch.float64)

    def bump(t, state):
        return (torch.full_like(state[0], math.exp(-(((t - 0.62) / 0.01) ** 2))),)

    exact = 0.01 * math.sqrt(math.pi)
    missed, found = (run(bump, y, 0.0, 1.0, longest=longest) for longest in (lambda t: 1.0, lambda t: 0.05))
    assert missed.state[0].item() < 1e-6
    assert_close(found.state[0].item(), exact, rtol=1e-3, atol=0)


def test_tensors_side_by_side_go_together(normal):
    """A second tensor of another shape and dtype: the integral of the sum of the first."""

    def slope(t, state):
        return -state[0], state[0].sum((1, 2)).float()

    y = normal(5, 2, 3)
    start = (y, torch.zeros(5))
    walk = Walk(start, slope(0, start), [1.0] * 5)
    walk = integrated(
        slope,
        walk,
        0.0,
        1.0,
        pair=PAIRS[5],
        error=lambda before, after, wrong: excess(before[0], after[0], wrong[0], rtol=1e-8, atol=1e-8),
    )
    assert_close(walk.state[0], y * math.exp(-1), rtol=1e-7, atol=1e-7)
    assert_close(walk.state[1], (y.sum((1, 2)) * (1 - math.exp(-1))).float(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("nonsense", [math.nan, math.inf])
def test_what_is_not_finite_ends_so_and_leaves_the_others_alone(nonsense):
    def slope(t, state):
        factor = torch.tensor([1.0, 1.0 if t < 0.5 else nonsense], dtype=torch.float64)
        return (state[0] * factor[: len(state[0]), None],)

    y = torch.ones(2, 1, dtype=torch.float64)
    together = run(slope, y, 0.0, 1.0).state[0]
    assert torch.isnan(together[1]).all()
    assert torch.equal(together[:1], run(slope, y[:1], 0.0, 1.0).state[0])


def test_what_cannot_be_met_ends_with_an_error():
    def noise(t, state):
        return (torch.full_like(state[0], math.sin(1e12 * t)),)

    with pytest.raises(NumericError, match="cannot be brought down to its tolerance"):
        run(noise, torch.ones(1, 1, dtype=torch.float64), 0.0, 1.0, tolerance=1e-12)
