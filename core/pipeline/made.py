"""What a pipeline has made, what it took, and what the record says of where it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..media import MediaSpec
from .modality import Media

__all__ = ["Made", "Planned", "StageMade", "digest", "told_of_sources"]


@dataclass(frozen=True)
class StageMade:
    """What one stage took for one item.

    Attributes:
        name: of the stage, and of its round where it runs more than once.
        nfe: network forward passes.
        seconds: the item's share of the time.
    """

    name: str
    nfe: int
    seconds: float


@dataclass(frozen=True)
class Planned:
    """A stage that is to run.

    Attributes:
        number: of the stage in its pipeline.
        key: of the stage in the keys of what it draws; another one where it runs again.
        windows: how many it makes of an item.
        spec: of what it makes.
        turn: which time it is that it runs, where it runs more than once; else 0.
    """

    number: int
    key: int
    windows: int
    spec: MediaSpec
    turn: int = 0

    def name(self, stage: str) -> str:
        """Return what a stage is called when it runs, so that its rounds can be told apart."""
        return f"{stage} round {self.turn}" if self.turn else stage


@dataclass(frozen=True)
class Made:
    """One item with what its making took.

    Attributes:
        media: the item.
        item: its number.
        nfe: network forward passes, of all stages.
        seconds: its share of the time.
        stages: the same for each stage.
    """

    media: Media
    item: int
    nfe: int
    seconds: float
    stages: tuple[StageMade, ...] = ()


def told_of_sources(verb: str, sources: Sequence[Tensor], **wish: object) -> dict[str, object]:
    """Return what the record of an item says of those that it was made from."""
    said = {name: value for name, value in wish.items() if value is not None}
    return {"made_from": {"verb": verb, "sources": [digest(one) for one in sources], **said}}


def digest(media: Tensor) -> str:
    """Return the sha256 of the values of an item, which tells it from others."""
    return hashlib.sha256(media.contiguous().cpu().numpy().data).hexdigest()
