"""What authors of plugins should know of them though they work: told to whoever uses them, once a process."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from ..errors import nearest
from .installed import REGISTRY, Candidate, normalized
from .plugin_loading import Plugin

__all__ = ["tell_unknown", "tell_warnings"]

_told: set[str] = set()


def tell_warnings(plugins: Iterable[Plugin]) -> None:
    """Warn of each plugin of which there is something to tell, in one line and once."""
    for plugin in plugins:
        if plugin.warnings:
            _tell(f"plugin {plugin.label}: {'; '.join(plugin.warnings)}")


def tell_unknown(value: str, candidates: Iterable[Candidate]) -> None:
    """Warn of each name in ``NOISEFORM_PLUGINS`` that allows nothing, since no distribution with a plugin has it."""
    known = {candidate.distribution for candidate in candidates if not candidate.builtin}
    for name in value.split(","):
        if normalized(name.strip()) not in known | {"", "0", "1", REGISTRY}:
            hint = nearest(normalized(name.strip()), known, listing="noiseform plugins list")
            _tell(f"NOISEFORM_PLUGINS: no installed plugin is of the distribution {name.strip()!r:.80}; {hint}")


def _tell(line: str) -> None:
    if line not in _told:
        _told.add(line)
        warnings.warn(line, UserWarning, stacklevel=3)
