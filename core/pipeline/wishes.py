"""What items are asked to be, and not to be, as the networks of a stage hear it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..diffusion.denoiser import Cond
from ..errors import ConfigError
from .conditioning import mixed
from .guide import Bound
from .model import on_device
from .stage import Stage

__all__ = ["Heard", "heard"]

_NEGATIVE = {"negative_labels": "labels", "negative_text": "text"}


@dataclass(frozen=True)
class Heard:
    """What the networks of a stage hear of a few items.

    Attributes:
        cond: the conditioning asked for.
        null: what guidance leads away from.
        guide: bound to the items, if there is one.
        offset: what of the items is there already, and the scale of what is to be added, where the network makes only
            that.
    """

    cond: Cond
    null: Cond
    guide: Bound | None
    offset: tuple[Tensor, Tensor] | None


def heard(stage: Stage, conditions: Sequence[Mapping[str, object]], device: str) -> Heard:
    """Return what the networks of a stage hear of a few items.

    Guidance leads away from the null condition, or in its place from an item's ``negative_labels`` and
    ``negative_text``.

    Raises:
        ConfigError: the model, its guide or its guidance does not take what is asked for.
    """
    model = stage.model
    wanted = [{name: value for name, value in one.items() if name not in _NEGATIVE} for one in conditions]
    unwanted = [{_NEGATIVE[name]: value for name, value in one.items() if name in _NEGATIVE} for one in conditions]
    guide = None if stage.guide is None else stage.guide.bound(wanted)
    wanted = _without_own_labels(stage, wanted)
    if not any(unwanted):
        raw = on_device(device, model.encode(wanted))
        return Heard(model.condition(raw), model.condition(model.null(raw)), guide, model.offset(raw))
    _check_negative(stage, unwanted)
    # Encoded together, texts are filled up to one length.
    both = on_device(device, model.encode([*wanted, *unwanted]))
    raw, negative = ([{name: one[name][rows] for name in one} for one in both] for rows in _halves(len(wanted)))
    given = torch.tensor([bool(one) for one in unwanted], device=device)
    null = [mixed(given, one, nothing) for one, nothing in zip(negative, model.null(raw), strict=True)]
    return Heard(model.condition(raw), model.condition(null), guide, model.offset(raw))


def _check_negative(stage: Stage, unwanted: Sequence[Mapping[str, object]]) -> None:
    """Refuse negative wishes that the model does not understand, or that its guidance would not look at."""
    try:
        stage.model.encode(unwanted)
    except ConfigError as error:
        raise ConfigError(f"negative {error}") from error
    if not getattr(stage.guidance, "negative", True):
        raise ConfigError(
            f"negative prompt or label: guidance {stage.config.guidance.use!r} does not lead away from anything asked "
            "for; leave it out, or use guidance cfg or apg"
        )


def _without_own_labels(stage: Stage, wanted: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return the conditions without the labels that only the stage's guide listens to."""
    if stage.guide is None:
        return wanted
    known = {name for one in stage.model.conditioners for name in getattr(one, "names", ())}
    own = stage.guide.own_labels(known)
    return [
        {**one, "labels": tuple(label for label in one.get("labels") or () if label not in own)}  # type: ignore[attr-defined]
        for one in wanted
    ]


def _halves(count: int) -> tuple[slice, slice]:
    return slice(count), slice(count, None)
