"""The combinations of parts that the fast tests run on: every two parts of different kinds meet in one of them."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from noiseform.core.registration.registry import current


def pairs(rows):
    """Return every two (kind number, name) that stand together in a row."""
    return {pair for row in rows for pair in combinations(enumerate(row), 2)}


@pytest.mark.parametrize(
    "sizes", [*product((1, 2, 3, 7), repeat=3), (8, 11, 18), (18, 8, 11), *product((1, 4), (3, 6))]
)
def test_every_pair_is_covered(covering_of, sizes):
    parts = {f"kind-{k}": [f"{k}-{i}" for i in range(size)] for k, size in enumerate(sizes)}
    rows = covering_of(parts)
    assert pairs(rows) == pairs(product(*parts.values()))
    most, next, *_ = sorted(sizes, reverse=True)
    assert len(rows) == len(set(rows)) == most * next  # no covering is shorter


@pytest.mark.parametrize("third", ["process", "objective"])
def test_every_pair_of_the_registry_is_covered(covering_of, third):
    names = {kind: [part.name for part in current().plugins.parts(kind)] for kind in (third, "grid", "sampler")}
    assert pairs(covering_of(names)) == pairs(product(*names.values()))


@pytest.mark.only(sampler=lambda sampler: sampler.nfe_per_step == 2)
def test_only_leaves_the_other_parts_out(sampler):
    assert sampler.nfe_per_step == 2
