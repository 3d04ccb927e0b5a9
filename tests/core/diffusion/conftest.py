"""The mathematics asks the registry for thousands of parts and changes nothing in it: one is read for all its tests."""

from __future__ import annotations

import pytest
from noiseform.core.registration.registry import Registry, load_registry, use_registry


@pytest.fixture(scope="session")
def _registries() -> list[Registry]:
    return []


@pytest.fixture(autouse=True)
def _own_configuration(_own_configuration: None, _registries: list[Registry]) -> None:
    if not _registries:  # read here, where the environment is the tests' own
        _registries.append(load_registry())
    use_registry(_registries[0])
