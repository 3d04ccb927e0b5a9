"""Metrics: what is measured of models and of what they make."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_metrics() -> dict[str, str]:
    return {"likelihood": f"{__name__}.likelihood:LikelihoodMetric"}
