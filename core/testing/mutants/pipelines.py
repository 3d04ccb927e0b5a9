"""Pipelines that are wrong in one way each, of a table of one stage."""

from __future__ import annotations

from collections.abc import Callable

from .converters import TABLE
from .mutant import Mutant

__all__ = ["MUTANTS"]


def _changed(**changes: object) -> Callable[[], dict[str, object]]:
    """Return what gives the table with changes; those that are None are taken out."""
    return lambda: {key: value for key, value in {**TABLE, **changes}.items() if value is not None}


def _stage(**changes: object) -> Callable[[], dict[str, object]]:
    return _changed(stages=[{**TABLE["stages"][0], **changes}])  # type: ignore[index]


MUTANTS = (
    Mutant("the original: a table of one stage", _changed(), None),
    Mutant("is a list", lambda: [TABLE], "test_keeps_its_contract"),
    Mutant("has an unknown key", _changed(medium="image"), "test_keeps_its_contract"),
    Mutant("does not say what it makes", _changed(summary=None), "test_says_what_it_makes"),
    Mutant("makes a modality that there is not", _changed(modality="pictures"), "test_its_media_are_right"),
    Mutant("has media that its modality refuses", _changed(media={"height": 4}), "test_its_media_are_right"),
    Mutant("names a part that there is not", _stage(network={"use": "no-such-net"}), "test_its_parts_are_there"),
    Mutant("names weights that are not there", _changed(weights="/no/such/folder"), "test_its_weights_are_there"),
)
