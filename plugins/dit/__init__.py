"""Transformers of patches, for items of any rank."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_networks() -> dict[str, str]:
    return {"dit": f"{__name__}.dit:DiT", "mm-dit": f"{__name__}.mm_dit:MMDiT"}
