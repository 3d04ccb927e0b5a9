"""What should be known of plugins though they work, and of the names by which they are settled: told once a process."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from .plugin_loading import Plugin
from .unmatched_names import Unmatched

__all__ = ["tell_unmatched", "tell_warnings"]

_told: set[str] = set()


def tell_warnings(plugins: Iterable[Plugin]) -> None:
    """Warn of each plugin of which there is something to tell, in one line and once."""
    for plugin in plugins:
        if plugin.warnings:
            _tell(f"plugin {plugin.label}: {'; '.join(plugin.warnings)}")


def tell_unmatched(names: Iterable[Unmatched]) -> None:
    """Warn of each name in the configuration that nothing has, in one line and once."""
    for name in names:
        _tell(str(name))


def _tell(line: str) -> None:
    if line not in _told:
        _told.add(line)
        warnings.warn(line, UserWarning, stacklevel=3)
