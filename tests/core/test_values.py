"""What is asked of all values of an item."""

from __future__ import annotations

import math

import pytest
import torch
from noiseform.core.values import all_finite, share

LARGE = (2, 1_100_000)  # more than a piece a row


@pytest.mark.parametrize("shape", [(), (1,), (3, 4, 5), LARGE])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_found_wherever_it_stands(shape: tuple[int, ...], value: float) -> None:
    x = torch.zeros(shape)
    assert all_finite(x)
    x.view(-1)[-1] = value
    assert not all_finite(x)


def test_what_is_laid_out_otherwise_is_seen_whole() -> None:
    x = torch.zeros(4, 6, 5).permute(2, 0, 1)
    x[4, 3, 5] = math.nan
    assert not all_finite(x)
    assert share(x, torch.isnan) == 1 / 120


def test_the_share_is_that_of_all_values() -> None:
    x = torch.rand(LARGE, generator=torch.Generator().manual_seed(0))
    assert share(x, lambda values: values < 0.25) == (x < 0.25).double().mean().item()


def test_nothing_has_no_share() -> None:
    assert share(torch.zeros(0, 3), torch.isnan) == 0
    assert all_finite(torch.zeros(0, 3))
