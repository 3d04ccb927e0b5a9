"""Objectives: a prediction, a weighting of its errors and a density of training times."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_objectives() -> dict[str, str]:
    names = ("eps", "x0", "v", "score", "velocity", "edm")
    regressions = {name: f"{__name__}.predictions:{name}" for name in names}
    return {**regressions, "hybrid-vlb": f"{__name__}.hybrid_vlb:hybrid_vlb"}
