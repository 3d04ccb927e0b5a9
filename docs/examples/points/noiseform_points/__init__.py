"""Point clouds for noiseform. This module only names its parts: it is imported whenever noiseform starts.

>>> from noiseform import points
>>> cloud = points.generate("shapes", label="torus")[0]
>>> cloud.save("torus.ply")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from noiseform import hookimpl

if TYPE_CHECKING:
    from .cloud import Cloud as Cloud
    from .reading import read as read

__all__ = ["Cloud", "read"]

noiseform_api = 1  # the version of the hooks that this is written for


@hookimpl
def noiseform_modalities():
    return {"points": "noiseform_points.modality:PointsModality"}


@hookimpl
def noiseform_networks():
    return {"point-transformer": "noiseform_points.network:PointTransformer"}


@hookimpl
def noiseform_metrics():
    return {"chamfer": "noiseform_points.metric:Chamfer"}


@hookimpl
def noiseform_commands():
    return {
        "make-shapes": "noiseform_points.make_shapes:make_shapes",
        "fit-points": "noiseform_points.fit_points:fit_points",
    }


@hookimpl
def noiseform_pipelines():
    summary = "a cloud of 512 points on a shape, by its name: torus, helix, table, …"
    return {"shapes": {"modality": "points", "summary": summary, "weights": "noiseform_points:weights"}}


def __getattr__(name: str) -> object:
    """Load a public name on its first use: they bring torch along."""
    if name == "Cloud":
        from .cloud import Cloud

        return Cloud
    if name == "read":
        from .reading import read

        return read
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
