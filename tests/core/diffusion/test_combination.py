"""A sum with factors: the same bytes as written out, without touching what it is given."""

from __future__ import annotations

import math

import pytest
import torch
from noiseform.core.diffusion.combination import combined


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("of_x", "of_y"), [(0.3, 0.7), (0.0, 1.0), (-1e-3, 80.0), (1.0, 0.0)])
def test_bytes_are_those_of_the_sum_written_out(of_x, of_y, dtype):
    x, y = (torch.randn(2, 3, 5, dtype=torch.float64).to(dtype) for _ in range(2))
    before = x.clone(), y.clone()
    found = combined(x, of_x, y, of_y)
    assert found.dtype == dtype
    assert torch.equal(found, torch.add(x * of_x, y, alpha=of_y))
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_does_not_round_the_factors(dtype):
    x = torch.linspace(1, 2, 2001, dtype=torch.float64).to(dtype)
    found = combined(x, 0.3, torch.zeros_like(x), 1.0)
    # Roundings of the sums cancel on average; one of the factor would not.
    gain = (found.double().mean() / x.double().mean()).item()
    assert gain == pytest.approx(0.3, rel=torch.finfo(dtype).eps / 20)
    assert torch.tensor(0.3, dtype=dtype).item() != pytest.approx(0.3, rel=torch.finfo(dtype).eps / 20)


def test_what_is_not_finite_stays_so():
    x = torch.tensor([math.nan, math.inf, -math.inf, 1.0])
    found = combined(x, 0.0, torch.ones(4), 1.0)
    assert found.isfinite().tolist() == [False, False, False, True]
