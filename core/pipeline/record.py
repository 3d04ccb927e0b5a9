"""The record in a file: from it the item is made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field

from ..diffusion.noise import MAX_SEED
from ..errors import CheckpointError
from ..registration.config import PipelineConfig, checked
from ..storage.model_parts import RequiredPart, parsed

__all__ = ["Record", "read"]


class _MadeFrom(BaseModel):
    model_config = ConfigDict(extra="ignore")

    verb: str
    sources: list[str]
    factor: int | None = None
    mask: list[str] | None = None
    extend: str | float | dict[str, float | str] | None = None
    strength: float | None = None
    resample: int = 1
    at: float | None = None


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore")  # a later noiseform may say more

    noiseform: str
    pipeline: str = Field(min_length=1, max_length=200)
    config: dict[str, object]
    weights: dict[str, str]
    seed: int = Field(ge=0, le=MAX_SEED)
    item: int = Field(ge=0)
    dtype: str = "float32"
    compile: bool = False
    conditions: dict[str, object] = {}
    made_from: _MadeFrom | None = None
    parts: list[str] = []


@dataclass(frozen=True)
class Record:
    """What a file says of how it was made.

    Attributes:
        pipeline: name of the pipeline.
        config: its whole configuration.
        parts: what it was made with.
        weights: sha256 of each stage's weights.
        seed: of the run.
        item: number of the item.
        dtype: what the network computed in.
        compile: whether it ran compiled.
        conditions: what was asked for.
        made_from: what was made of which items, by the digests of these; None where it was made from noise alone.
        version: the noiseform that made it.
    """

    pipeline: str
    config: PipelineConfig
    parts: tuple[RequiredPart, ...]
    weights: Mapping[str, str]
    seed: int
    item: int
    dtype: str
    compile: bool
    conditions: Mapping[str, object]
    made_from: Mapping[str, Any] | None
    version: str


def read(table: Mapping[str, object], *, where: str) -> Record:
    """Return a record found in a file, checked.

    Args:
        table: what the file says.
        where: its name, for messages.

    Raises:
        CheckpointError: it is not one of noiseform's.
        ConfigError: a key of it is wrong.
    """
    if "noiseform" not in table:
        raise CheckpointError(f"replay: {where}: what the file says of itself is not a record of noiseform's")
    raw = checked(_Record, table, what=f"record of {where}")
    config = checked(PipelineConfig, raw.config, what=f"record of {where}: config")
    conditions = {
        name: tuple(cast("list[object]", value)) if isinstance(value, list) else value
        for name, value in raw.conditions.items()
    }
    parts = tuple(filter(None, map(parsed, raw.parts)))
    return Record(
        raw.pipeline,
        config,
        parts,
        raw.weights,
        raw.seed,
        raw.item,
        raw.dtype,
        raw.compile,
        conditions,
        None if raw.made_from is None else raw.made_from.model_dump(),
        raw.noiseform,
    )
