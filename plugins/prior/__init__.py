"""A network for embeddings: items without axes of space."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_networks() -> dict[str, str]:
    return {"prior": f"{__name__}.prior:Prior"}
