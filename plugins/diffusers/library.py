"""The one door to the library: its classes of models by name, made from a configuration of a file."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from ...core.errors import ConfigError, PluginError
from ...core.registration.plugin_loading import reason_of

__all__ = ["configured", "known_options", "model_class"]


def model_class(name: str, part: str) -> Any:
    """Return a class of diffusers, imported at the first call; that takes seconds.

    Args:
        name: of the class.
        part: who asks, for messages.

    Raises:
        PluginError: diffusers is not installed, or has no such class.
    """
    try:
        return getattr(importlib.import_module("diffusers"), name)
    except ModuleNotFoundError as error:
        if error.name != "diffusers":
            raise
        raise PluginError(
            f"{part}: needs diffusers, which is not installed; pip install 'noiseform[diffusers]'"
        ) from error
    except (ImportError, AttributeError, RuntimeError, OSError) as error:
        raise PluginError(
            f"{part}: the installed diffusers gives no {name} ({reason_of(error)[:200]}); install a later one"
        ) from error


def known_options(name: str, part: str) -> Mapping[str, object]:
    """Return the options that a class of models knows, with their defaults."""
    parameters = inspect.signature(model_class(name, part).__init__).parameters
    return {key: one.default for key, one in parameters.items() if key != "self"}


def configured(name: str, part: str, config: Mapping[str, object], nulls: Sequence[str]) -> Any:
    """Return a model of the library, its weights drawn at random.

    Args:
        name: of its class.
        part: who asks, for messages.
        config: options of its class.
        nulls: options that are null.

    Raises:
        ConfigError: the class does not take such options.
        PluginError: as `model_class`.
    """
    given = {**config, **dict.fromkeys(nulls)}
    unknown = sorted(given.keys() - known_options(name, part).keys())
    if unknown:
        raise ConfigError(f"{part}: config: {name} of diffusers has no option {unknown[0]!r}; leave it out")
    try:
        return model_class(name, part)(**given)
    except Exception as error:  # whatever a wrong value leads to
        raise ConfigError(f"{part}: config: {name} cannot be made so ({reason_of(error)[:300]}); correct it") from error
