"""Converters that are wrong in one way each, of a folder with a table and weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from ...errors import CheckpointError
from ...machine.devices import seeded
from ...pipeline.conversion import Converted
from ...pipeline.stage import build_stage
from ...registration.build import build
from ...registration.config import PipelineConfig, checked
from ...storage.weights import load_tensors, save_tensors
from .mutant import Mutant

__all__ = ["MUTANTS"]

TABLE = {
    "modality": "image",
    "summary": "grey squares",
    "media": {"height": 4, "width": 4, "channels": 1},
    "stages": [
        {
            "process": {"use": "flow"},
            "objective": {"use": "velocity"},
            "network": {"use": "dit", "width": 8, "depth": 1, "heads": 2, "patch": 2},
            "steps": 2,
        }
    ],
}


def example(folder: Path) -> None:
    """Write a tiny model into a folder: its table in squares.json, its weights in squares.safetensors."""
    config = checked(PipelineConfig, TABLE, what="example")
    with seeded(0):
        stage = build_stage(config.stages[0], build("modality", "image").spec(config.media))
    (folder / "squares.json").write_text(json.dumps(TABLE), encoding="utf-8")
    save_tensors(folder / "squares.safetensors", stage.model.network.state_dict())


class Squares:
    """A folder with a table and weights: an original."""

    def reads(self, source: Path) -> bool:
        return (source / "squares.json").is_file()

    def convert(self, source: Path, *, pickles: bool) -> Converted:
        table = self.table(source)
        weights = {f"network.{name}": tensor for name, tensor in self.weights(source).items()}
        return Converted(table, {"base": weights}, {}, {"converted": {"layout": "squares"}})

    def table(self, source: Path) -> Any:
        try:
            table = json.loads((source / "squares.json").read_bytes())
            return {key: table[key] for key in TABLE}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"convert: {source}: squares.json is damaged; take another copy") from error

    def weights(self, source: Path) -> Any:
        try:
            return load_tensors(source / "squares.safetensors")
        except OSError as error:
            raise CheckpointError(f"convert: {source}: squares.safetensors is missing; take a whole copy") from error


class _ReadsEverything(Squares):
    def reads(self, source):  # type: ignore[no-untyped-def]
        return True


class _Unpacks(Squares):
    """Leaves a file beside what it reads."""

    def weights(self, source):  # type: ignore[no-untyped-def]
        (source / "unpacked").touch()
        return super().weights(source)


class _GivesATuple(Squares):
    def convert(self, source, *, pickles):  # type: ignore[no-untyped-def]
        found = super().convert(source, pickles=pickles)
        return found.pipeline, found.weights


class _NotesAreOneText(Squares):
    def convert(self, source, *, pickles):  # type: ignore[no-untyped-def]
        found = super().convert(source, pickles=pickles)
        return Converted(found.pipeline, found.weights, {}, found.facts, "a note")  # type: ignore[arg-type]


class _ForgetsAWeight(Squares):
    def weights(self, source):  # type: ignore[no-untyped-def]
        return dict(list(super().weights(source).items())[1:])


class _NamesAnUnknownPart(Squares):
    def table(self, source):  # type: ignore[no-untyped-def]
        found = super().table(source)
        found["stages"][0]["network"] = {"use": "squares-net"}
        return found


class _AddsNoise(Squares):
    def weights(self, source):  # type: ignore[no-untyped-def]
        return {name: one + torch.randn_like(one) for name, one in super().weights(source).items()}


class _RaisesWhatComes(Squares):
    def table(self, source):  # type: ignore[no-untyped-def]
        return json.loads((source / "squares.json").read_bytes())


class _FillsIn(Squares):
    """Takes what it cannot read for what it knows."""

    def convert(self, source, *, pickles):  # type: ignore[no-untyped-def]
        try:
            return super().convert(source, pickles=pickles)
        except CheckpointError:
            return Converted(TABLE, {"base": {}}, {}, {})


OWN = {"example": staticmethod(example)}

MUTANTS = (
    Mutant("the original: a table and weights", Squares, None, OWN),
    Mutant("claims to read everything", _ReadsEverything, "test_reads_its_own_layout_only", OWN),
    Mutant("leaves a file in the source", _Unpacks, "test_leaves_the_source_alone", OWN),
    Mutant("gives a tuple", _GivesATuple, "test_gives_a_model", OWN),
    Mutant("gives its notes as one text", _NotesAreOneText, "test_gives_a_model", OWN),
    Mutant("forgets a weight", _ForgetsAWeight, "test_the_model_fits", OWN),
    Mutant("names a part that there is not", _NamesAnUnknownPart, "test_the_model_fits", OWN),
    Mutant("adds noise to the weights", _AddsNoise, "test_is_deterministic", OWN),
    Mutant("raises what its readers raise", _RaisesWhatComes, "test_damaged_sources_are_told", OWN),
    Mutant("fills in what is damaged", _FillsIn, "test_damaged_sources_are_told", OWN),
)
