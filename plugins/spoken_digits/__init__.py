"""The demonstration model ``spoken-digits``: see CARD.md beside this file."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_pipelines() -> dict[str, str]:
    return {"spoken-digits": f"{__name__}.pipeline:table"}
