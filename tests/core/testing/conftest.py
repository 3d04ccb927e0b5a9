"""How suites are run here: on every built-in part of their kind, and on mutants."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from noiseform.core.registration.registry import Registry, load_registry, use_registry
from noiseform.core.testing.running import Outcome, outcomes, suite_for
from noiseform.core.testing.tried_on.another_device import NO_GPU


@pytest.fixture(scope="session")
def _registries() -> list[Registry]:
    return []


@pytest.fixture(autouse=True)
def _own_configuration(_own_configuration: None, _registries: list[Registry]) -> None:
    """Suites ask the registry for thousands of parts and change nothing in it: one is read for all."""
    if not _registries:  # read here, where the environment is the tests' own
        _registries.append(load_registry())
    use_registry(_registries[0])


@pytest.fixture
def found() -> Callable[..., dict[str, str]]:
    """Return a function of the arguments of ``suite_for`` that gives the checks that fail, and what they find.

    A part that the pretended device cannot try counts as one that fails there: it is to try every built-in one.
    """

    def failed(one: Outcome) -> bool:
        return one.verdict == "failed" or one.why.startswith(NO_GPU)

    def found_of(*about: object, only: str | None = None) -> dict[str, str]:
        return {one.check: one.why for one in outcomes(suite_for(*about), only=only) if failed(one)}

    return found_of
