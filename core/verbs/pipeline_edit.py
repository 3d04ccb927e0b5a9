"""Items that are there, edited by all stages of a pipeline, and what lies between two of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from ..diffusion.noise import Key
from ..diffusion.sampling import Observer
from ..machine.memory import refuse_too_much
from ..media import MediaSpec, box
from ..pipeline.made import Made, Planned, digest, told_of_sources
from ..pipeline.pipeline import Pipeline
from ..pipeline.running import Conditions, Result, Running
from ..pipeline.stage import Stage
from .mixing import mixture
from .stage_edit import Edit, blended, edited, windows_of

__all__ = ["edit", "mix", "planned_edit"]


def edit(
    pipeline: Pipeline,
    media: Tensor,
    spec: MediaSpec,
    change: Edit,
    conditions: Conditions,
    *,
    seed: int,
    first: int = 0,
    wished: Mapping[str, object] | None = None,
    observers: Sequence[Observer] = (),
) -> Iterator[Made]:
    """Make edited forms of an item, one for each of ``conditions``.

    Args:
        pipeline: does it.
        media: the item (channels, \\*space), of the size and rates that the first stage makes, but for its length,
            and for what is to be added to it.
        spec: its shape and rates.
        change: what becomes of it.
        conditions: of each, as for ``Pipeline.make``.
        seed: of all of them.
        first: number of the first.
        wished: what the user said of it, for the record.
        observers: as for ``Pipeline.make``.

    Raises: what ``Pipeline.make`` raises.
    """
    stage, planned = planned_edit(pipeline, spec, change)
    refuse_too_much(planned[-1].spec.shape, stage.latent_shape, 1, "edit")
    last = planned[-1].spec
    wish = {"mask": digest(change.mask), "strength": change.strength, "resample": change.times}
    told = told_of_sources("edit", [media], **(wish if wished is None else wished))
    for number, condition in enumerate(conditions):

        def begun(running: Running, condition: Mapping[str, object] = condition) -> Result:
            latent = edited(running, media, spec, change, pipeline.config.extend, [condition])
            whole = tuple(max(pair) for pair in zip(spec.shape, stage.media.shape, strict=True))

            def decoded() -> Tensor:
                return running.decoded(latent.to(pipeline.device), whole).cpu()[box(map(slice, spec.shape[1:]))]

            return Result(spec, decoded, latent if whole == spec.shape else None, stage.config.codec)

        def finished(made: Tensor) -> Tensor:
            if last.shape != spec.shape or last.rates != spec.rates:
                return made
            exact = len(planned) == 1 and stage.latent_shape == stage.media.shape
            return blended(made.cpu(), media, change.mask, stage, exact=exact)

        key = Key(seed, item=first + number)
        yield from pipeline.run([condition], (key,), observers, begun, planned, "edit", told, finished)


def planned_edit(pipeline: Pipeline, spec: MediaSpec, change: Edit) -> tuple[Stage, tuple[Planned, ...]]:
    """Return the stage that edits, and which stages run for an item."""
    stage = pipeline.stages[0]
    begun = Planned(0, 0, windows_of(stage, change, pipeline.config.extend, spec, where=pipeline.where), spec)
    return stage, (begun, *pipeline.later(spec))


def mix(
    pipeline: Pipeline,
    items: Tensor,
    shares: Sequence[float],
    condition: Mapping[str, object],
    *,
    seed: int,
    first: int = 0,
    observers: Sequence[Observer] = (),
) -> Iterator[Made]:
    """Make items between two.

    Args:
        items: the two (2, channels, \\*space), of one window of the first stage.
        shares: of the second in each that is made.
        condition: what they are.
        seed: of what later stages add.
        first: number of the first.
        observers: as for ``Pipeline.make``.

    Raises: what ``Pipeline.make`` raises.
    """
    stage, spec = pipeline.stages[0], pipeline.stages[0].media
    planned = [Planned(0, 0, 1, spec), *pipeline.later(spec)]
    for number, share in enumerate(shares):

        def begun(running: Running, share: float = share) -> Result:
            latent = mixture(running, items, share, [condition])
            return Result(spec, lambda: running.decoded(latent, spec.shape), latent, stage.config.codec)

        told = told_of_sources("edit", list(items), at=share)
        key = Key(seed, item=first + number)
        yield from pipeline.run([condition], (key,), observers, begun, planned, "edit", told)
