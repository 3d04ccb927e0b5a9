"""A test class of an author inherits no names beside claims and checks, which it could overwrite by accident."""

from __future__ import annotations

import pytest
from noiseform.core.testing.suite import Suite
from noiseform.testing import CodecSuite, ConditionerSuite, NetworkSuite

KEPT = {"made", "host", "checks", "part", "lacks"}
"""What every suite has for authors, and for those who run it."""


@pytest.mark.parametrize("suite", [NetworkSuite, CodecSuite, ConditionerSuite], ids=lambda suite: suite.kind)
def test_nothing_else_is_public(suite: type[Suite]) -> None:
    owners = [owner for owner in suite.__mro__ if owner.__module__.startswith("noiseform")]
    claims = {name for owner in owners for name in vars(owner).get("__annotations__", {})}
    public = {name for owner in owners for name in vars(owner) if not name.startswith("_")}
    assert sorted(public - claims - KEPT - set(suite.checks())) == []
