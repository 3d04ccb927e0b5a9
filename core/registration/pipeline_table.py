"""The registry table of a pipeline that a plugin brings."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import NoiseformError, PluginError
from .plugin_loading import Part, reason_of

__all__ = ["pipeline_table"]


def pipeline_table(part: Part) -> Mapping[str, object]:
    """Return the table that a part of the kind ``pipeline`` is, or that its function returns.

    Raises:
        PluginError: the plugin's code raises, or gives no table.
    """
    given = part.load()
    if callable(given):
        try:
            given = given()
        except (NoiseformError, KeyboardInterrupt):
            raise
        except BaseException as error:  # a plugin may raise SystemExit, or worse
            raise PluginError(f"{part.label} raised {reason_of(error)}; report it to its author") from error
    if not isinstance(given, Mapping):
        raise PluginError(f"{part.label}: expected a table, got {type(given).__name__}; report it to its author")
    return given
