"""Whoever looks a built-in part up finds what each of its parameters means."""

from __future__ import annotations

import click
import pytest
from noiseform.core.registration.parameters import describe
from noiseform.core.registration.registry import current

BUILT_IN = [part for part in current().plugins.parts() if part.plugin.candidate.builtin]


@pytest.mark.parametrize("part", BUILT_IN, ids=[f"{part.kind}/{part.name}" for part in BUILT_IN])
def test_every_parameter_has_a_meaning(part):
    """What ``noiseform show`` prints in the column MEANING, and the reference of parts in its tables."""
    factory = part.load()
    if not callable(factory) or isinstance(factory, click.Command):
        pytest.skip("it has no parameters that a file sets")
    unsaid = [one.name for one in describe(factory) if not one.host and not one.meaning.strip()]
    assert not unsaid
