"""What a model has learnt: the parts that it was trained with, whoever else claims their names, and no others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from ..errors import ConfigError
from ..registration.build import find
from ..registration.config import PartConfig, PipelineConfig, StageConfig, checked
from ..registration.parameters import check_parameters, describe
from ..storage.model_parts import RequiredPart

__all__ = ["of_owners", "part_differences", "refuse_untrained"]

_SAMPLED = ("guidance", "sampler", "grid")
"""Kinds that say how a model is sampled, which is the user's to change."""


def of_owners(
    config: PipelineConfig,
    parts: Iterable[RequiredPart],
    *,
    otherwise: tuple[str, ...] = (),
    explicit: Collection[str] = (),
) -> PipelineConfig:
    """Return a configuration whose short names mean the parts of the distributions that it was made with.

    Args:
        config: the configuration.
        parts: what a model or a record says of the parts that it was made with.
        otherwise: whose parts the other short names mean, first to last.
        explicit: kinds whose part the user has just named: there a name that several claim stays an error.
    """
    owner = {(part.kind, part.name): (part.distribution,) for part in parts}

    def owned(kind: str, table: PartConfig) -> PartConfig:
        return table if kind in explicit else table.of(*owner.get((kind, table.use), ()), *otherwise)

    def stage(own: StageConfig) -> StageConfig:
        tables = {kind: owned(kind, getattr(own, kind)) for kind in ("process", "objective", "network", "codec")}
        tables |= {kind: owned(kind, getattr(own, kind)) for kind in _SAMPLED}
        conditioners = [owned("conditioner", one) for one in own.conditioners]
        return own.model_copy(update={**tables, "conditioners": conditioners})

    return config.model_copy(update={"stages": [stage(own) for own in config.stages]})


def refuse_untrained(
    stage: StageConfig, pipeline: Mapping[str, object], entry: str, parts: Iterable[RequiredPart], *, where: str
) -> None:
    """Refuse a stage whose parts are not those that its weights were trained with.

    Parameters that change nothing of what was learnt may differ: those that the part's class lists as ``settable``.

    Args:
        stage: what is about to run.
        pipeline: of the model folder.
        entry: the name that the stage has there.
        parts: the parts that the model folder names.
        where: the pipeline, for messages.

    Raises:
        ConfigError: a key differs; it is named, with both values.
    """
    model = of_owners(checked(PipelineConfig, pipeline, what=f"{where}: its model"), parts)
    stages = {one.name: one for one in model.stages}
    if entry not in stages:
        return  # it has no weights either, which is told where they are filled in
    for key, kind, table, before in _pairs(stage, stages[entry]):
        path = f"stages.{stage.name}.{key}"
        for name, was, now in part_differences(kind, table, before):
            raise ConfigError(
                f"{where}: {path}{name}: the weights were trained with {was}, not {now}; "
                "leave it as it was, or train a model of your own"
            )


def _pairs(stage: StageConfig, trained: StageConfig) -> Iterator[tuple[str, str, PartConfig | None, PartConfig | None]]:
    """Give key and kind of each part that was there in training, as it is and as it was."""
    for kind in ("process", "objective", "network", "codec"):
        yield kind, kind, getattr(stage, kind), getattr(trained, kind)
    for index in range(max(len(stage.conditioners), len(trained.conditioners))):
        now, before = (dict(enumerate(one.conditioners)).get(index) for one in (stage, trained))
        yield f"conditioners.{index}", "conditioner", now, before


def part_differences(kind: str, now: PartConfig | None, before: PartConfig | None) -> Iterator[tuple[str, str, str]]:
    """Give the differences of two parts: the key, what it was, what it is.

    Parameters that the part's class lists as ``settable`` may differ.
    """
    if now is None or before is None:
        yield "", before.use if before else "none", now.use if now else "none"
        return
    part, trained = (find(kind, table.use, owners=table.owners) for table in (now, before))
    if part.full_name != trained.full_name:
        was, is_now = (one.full_name if part.name == trained.name else one.name for one in (trained, part))
        yield ".use", repr(was), repr(is_now)
        return
    settable = getattr(part.load(), "settable", ())
    values, learnt = (_parameters(kind, table) for table in (now, before))
    for name in {**learnt, **values}:
        if name not in settable and values.get(name) != learnt.get(name):
            yield f".{name}", repr(learnt.get(name))[:80], repr(values.get(name))[:80]


def _parameters(kind: str, table: PartConfig) -> dict[str, object]:
    """Return every parameter that a file may set, those that a table leaves out with their defaults."""
    part = find(kind, table.use, owners=table.owners)
    factory = part.load()
    given = check_parameters(factory, table.params, what=part.label, where=table.origin)  # type: ignore[arg-type]
    defaults = {one.name: one.default for one in describe(factory) if not one.host}  # type: ignore[arg-type]
    return {name: _plain(value) for name, value in {**defaults, **given}.items()}


def _plain(value: object) -> object:
    """Return a value with its tuples as lists, since a file has no others."""
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
