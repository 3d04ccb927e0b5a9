"""How suites are run here: on every built-in part of their kind, and on mutants."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from noiseform.core.registration.registry import Registry, load_registry, use_registry
from noiseform.core.testing.running import outcomes, suite_for


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
    """Return a function of the arguments of ``suite_for`` that gives the checks that fail, and what they find."""

    def failed(*about: object, only: str | None = None) -> dict[str, str]:
        suite = suite_for(*about)
        return {one.check: one.why for one in outcomes(suite, only=only) if one.verdict == "failed"}

    return failed
