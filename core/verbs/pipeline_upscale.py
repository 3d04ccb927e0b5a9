"""Items that are there, made larger by the stages of a pipeline that can."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence

from torch import Tensor

from ..diffusion.noise import Key
from ..diffusion.sampling import Observer
from ..errors import ConfigError
from ..machine.memory import refuse_too_much
from ..media import MediaSpec
from ..pipeline.enlarging import source_of, tiles_of
from ..pipeline.made import Made, Planned, told_of_sources
from ..pipeline.pipeline import Pipeline
from ..pipeline.running import Result

__all__ = ["planned_upscale", "refuse_wishes", "upscale"]


def planned_upscale(pipeline: Pipeline, spec: MediaSpec, factor: int | None = None) -> tuple[Planned, ...]:
    """Return which stages make an item larger, one after the other, and what they make of it.

    Args:
        pipeline: does it.
        spec: of the item.
        factor: how many times as many positions it is to have along the axes that grow; a power of what the
            pipeline makes at once, which is what is made if omitted.

    Raises:
        ConfigError: no stage takes such an item, or the factor is none of these.
    """
    spec = _acceptable(pipeline, spec)
    numbers = [number for number, stage in enumerate(pipeline.stages) if source_of(stage) is not None]
    stages = [pipeline.stages[number] for number in numbers]
    takens = [taken for taken in map(source_of, stages) if taken is not None]
    once = math.prod(max(taken.factors) for taken in takens)
    rounds = 1 if factor is None else round(math.log(factor, once)) if once > 1 and factor >= once else 0
    if factor is not None and once**rounds != factor:
        raise ConfigError(
            f"{pipeline.where}: factor: it makes items {once} times as large, or a power of that, not {factor}; "
            "take another factor or another pipeline"
        )
    timed = any(taken.factors[axis] > 1 for taken in takens for axis, rate in enumerate(taken.spec.rates) if rate)
    if rounds > 1 and timed:
        raise ConfigError(
            f"{pipeline.where}: factor: what it makes has the rate that it has learnt, so it makes {once} times as "
            "much once and no more; leave the factor out"
        )
    planned = []
    for again in range(rounds):
        for number, spec in zip(numbers, pipeline.specs_from(spec, stages), strict=True):  # noqa: B020
            windows = len(tiles_of(pipeline.stages[number], spec))
            turn = again + 1 if rounds > 1 else 0
            planned.append(Planned(number, number + again * len(pipeline.stages), windows, spec, turn))
    return tuple(planned)


def _acceptable(pipeline: Pipeline, spec: MediaSpec) -> MediaSpec:
    """Return what is to be made larger, refused where it is larger already than what is made."""
    takens = [taken for taken in map(source_of, pipeline.stages) if taken is not None]
    for axis, (had, made) in enumerate(zip(spec.rates, pipeline.stages[-1].media.rates, strict=True)):
        if had and made and had > made and not all(taken.free[axis] for taken in takens):
            raise ConfigError(
                f"{pipeline.where}: it makes {made:g} a second, and the item has {had:g} already; use another pipeline"
            )
    _ = pipeline.takes
    return spec


def refuse_wishes(pipeline: Pipeline, condition: Mapping[str, object]) -> None:
    """Raise ConfigError for a wish that none of the stages takes which make something larger."""
    larger = [stage for stage in pipeline.stages if source_of(stage) is not None]
    conditioners = [one for stage in larger for one in stage.model.conditioners]
    known = {name for one in conditioners for name in getattr(one, "names", ())}
    taken = {key for one in conditioners for key in getattr(one, "takes", ())}
    for key, value in condition.items():
        plain = key.removeprefix("negative_")
        refused = set(value) - known if plain == "labels" else value and plain not in taken  # type: ignore[call-overload]
        if refused:
            wish = {"text": "prompt", "labels": "label"}.get(plain, plain)
            raise ConfigError(f"{wish}: what makes larger here takes no such {wish}; leave it out")


def upscale(
    pipeline: Pipeline,
    media: Tensor,
    spec: MediaSpec,
    condition: Mapping[str, object],
    *,
    seed: int,
    factor: int | None = None,
    observers: Sequence[Observer] = (),
) -> Made:
    """Make an item larger by those stages that go on from what is there.

    Args:
        media: the item (channels, \\*space).
        spec: its shape and rates.
        condition: what the item is, as for ``Pipeline.make``.
        seed: of what is new.
        factor: see :func:`planned_upscale`.
        observers: as for ``Pipeline.make``.

    Raises: what ``Pipeline.make`` raises, and ConfigError where no stage takes such an item.
    """
    planned = planned_upscale(pipeline, spec, factor)
    first = source_of(pipeline.stages[planned[0].number])
    assert first is not None, "what makes something larger has a source"
    for had, taken in zip(spec.rates, first.rates(spec), strict=True):
        if had and taken and had > taken:
            warnings.warn(
                f"upscale: the item is brought from {had:g} to {taken:g} a second first; the rest is made anew",
                stacklevel=2,
            )
    refuse_too_much(planned[-1].spec.shape, pipeline.stages[planned[0].number].latent_shape, 1, "upscale")
    given = Result(spec, lambda: media[None])
    told = told_of_sources("upscale", [media], factor=factor)
    (made,) = pipeline.run([condition], (Key(seed),), observers, given, planned, "upscale", told)
    return made
