"""What must be the same for a resumed run to go on as if it had not been interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from pydantic import BaseModel, ValidationError

from ..data.dataset import DataConfig
from ..pipeline.modality import DataSet
from .recipe import AnyRecipe, TrainingConfig
from .task import Task

__all__ = ["differences", "identity_of"]

_FREE = {"keep", "checkpoint_every", "sample_every", "samples", "weights", "full_disk"}
"""Keys of ``[training]`` that change nothing of what is computed."""


def identity_of(recipe: AnyRecipe, task: Task, data: DataSet) -> dict[str, object]:
    """Return everything that a run's losses depend on, as what JSON can say."""
    return {
        "pipeline": dict(task.pipeline),
        "training": recipe.training.model_dump(mode="json", exclude=_FREE),
        "data": recipe.data.model_dump(mode="json"),
        "files": data.fingerprint,
    }


def differences(before: object, now: object, path: str = "") -> list[str]:
    """Return, for people, where two nested values differ: ``training.steps: was 100, is 200``.

    A key of ``[data]`` or ``[training]`` that an older version did not know counts as having been at its default.
    """
    return list(_differences(_completed(before), now, path))


def _completed(before: object) -> object:
    if not isinstance(before, dict):
        return before
    tables: dict[str, type[BaseModel]] = {"data": DataConfig, "training": TrainingConfig}
    completed = dict(before)
    for key, table in tables.items():
        if isinstance(before.get(key), dict):
            with suppress(ValidationError):
                completed[key] = table.model_validate(before[key]).model_dump(mode="json", exclude=_FREE)
    return completed


def _differences(before: object, now: object, path: str) -> Iterator[str]:
    if before == now:
        return
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        before, now = dict(enumerate(before)), dict(enumerate(now))
    if isinstance(before, dict) and isinstance(now, dict):
        for key in (*before, *(key for key in now if key not in before)):
            yield from _differences(before.get(key), now.get(key), f"{path}.{key}" if path else str(key))
    else:
        yield f"{path}: was {_short(before)}, is {_short(now)}"


def _short(value: object) -> str:
    text = "absent" if value is None else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
