"""A plugin as the commands that list plugins tell it, in a table or as JSON."""

from __future__ import annotations

from ..registration.plugin_loading import Plugin

__all__ = ["plugin_entry"]


def plugin_entry(plugin: Plugin) -> dict[str, object]:
    """Return what is told of a plugin wherever plugins are listed."""
    candidate = plugin.candidate
    return {
        "name": candidate.name,
        "distribution": plugin.distribution,
        "version": candidate.version,
        "built_for": str(plugin.built_for),
        "state": plugin.state,
        "file": plugin.file,
        "reason": plugin.reason,
        "warnings": list(plugin.warnings),
        "named_in": ", ".join(filter(None, [candidate.origin, candidate.also])),
        "seconds": round(plugin.seconds, 6),
    }
