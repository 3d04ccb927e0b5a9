"""A converter: reads models in another layout."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from noiseform import CheckpointError
from noiseform.core.pipeline.conversion import Converted


class JsonConv:
    """A folder with a conv.json, which holds the size and the weights of a ``conv-1d`` as lists of numbers."""

    def reads(self, source: Path) -> bool:
        return (source / "conv.json").is_file()

    def convert(self, source: Path, *, pickles: bool) -> Converted:
        try:
            table = json.loads((source / "conv.json").read_text(encoding="utf-8"))
            weights = {f"network.{name}": torch.tensor(values) for name, values in table["weights"].items()}
            stage = {
                "process": {"use": "cosine-power"},
                "objective": {"use": "huber"},
                "network": {"use": "conv-1d", **table["network"]},
                "codec": {"use": "dct"},
            }
            pipeline = {"modality": "series", "media": table["media"], "stages": [stage]}
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            raise CheckpointError(f"convert: {source}: conv.json is damaged ({error}); write it again") from error
        return Converted(pipeline, weights={"base": weights}, folders={}, facts={"converted": {"layout": "json-conv"}})
