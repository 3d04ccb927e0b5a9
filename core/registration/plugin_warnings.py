"""What authors of plugins should know of them though they work: told to whoever uses them, once a process."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from .plugin_loading import Plugin

__all__ = ["tell_warnings"]

_told: set[str] = set()


def tell_warnings(plugins: Iterable[Plugin]) -> None:
    """Warn of each plugin of which there is something to tell, in one line and once."""
    for plugin in plugins:
        line = f"plugin {plugin.label}: {'; '.join(plugin.warnings)}"
        if plugin.warnings and line not in _told:
            _told.add(line)
            warnings.warn(line, UserWarning, stacklevel=2)
