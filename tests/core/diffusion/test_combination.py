"""A sum with factors: the same bytes as written out, without touching what it is given."""

from __future__ import annotations

import math

import pytest
import torch
from noiseform.core.diffusion.combination import added_to, combined, plus, scaled, weighted_sum

HALF = [torch.bfloat16, torch.float16]


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


@pytest.mark.parametrize("dtype", HALF)
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *HALF])
def test_a_product_is_that_of_torch(dtype):
    x = torch.randn(2, 3, 5).to(dtype)
    assert torch.equal(scaled(x, 0.3), x * 0.3)
    assert scaled(x, 1.0) is not x


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sum_of_many_is_written_out(dtype):
    x, *values = (torch.randn(2, 3, dtype=torch.float64).to(dtype) for _ in range(4))
    before = [one.clone() for one in (x, *values)]
    found = weighted_sum(x, 0.3, (0.2, -0.7), values[:2])
    assert torch.equal(found, (x * 0.3).add_(values[0], alpha=0.2).add_(values[1], alpha=-0.7))
    for factors in ((0.2, -0.7), (0.2, -0.7, 0.1, 0.4)):  # none without the other
        with pytest.raises(ValueError, match="zip"):
            weighted_sum(x, 0.3, factors, values)
    assert all(torch.equal(*pair) for pair in zip((x, *values), before, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *HALF])
def test_what_is_added_to_is_one_s_own_tensor(dtype):
    x, y = (torch.randn(2, 3).to(dtype) for _ in range(2))
    before, made = x.clone(), x.clone()
    found = plus(x, y, 0.3)
    assert torch.equal(x, before)
    assert added_to(made, y, 0.3) is made
    assert torch.equal(made, found)


SUMS = [
    lambda x, y, z: plus(x, y, 0.3),
    lambda x, y, z: combined(x, 0.9, y, 0.3),
    lambda x, y, z: weighted_sum(x, 0.9, (0.3, -0.7), (y, z)),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *HALF])
@pytest.mark.parametrize("size", [1, 7, 21, 50])
@pytest.mark.parametrize("made", SUMS)
def test_no_bit_of_a_sum_depends_on_the_batch(made, size, dtype):
    given = [torch.randn(5, size).to(dtype) for _ in range(3)]
    together = made(*given)
    for row in range(5):
        assert torch.equal(made(*(one[row : row + 1] for one in given)), together[row : row + 1])
