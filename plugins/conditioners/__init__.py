"""Conditioners: labels and other wishes to tensors that a network understands."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_conditioners() -> dict[str, str]:
    return {"labels": f"{__name__}.labels:Labels"}
