"""Conditioners: labels and other wishes to tensors that a network understands."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_conditioners() -> dict[str, str]:
    return {
        "labels": f"{__name__}.labels:Labels",
        "text": f"{__name__}.text:Text",
        "mask": f"{__name__}.mask:Mask",
        "low-res": f"{__name__}.low_res:LowRes",
        "media": f"{__name__}.media:Media",
        "embedding": f"{__name__}.embedding:Embedding",
        "clip": f"{__name__}.clip:CLIPText",
        "t5": f"{__name__}.t5:T5Text",
    }
