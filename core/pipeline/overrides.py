"""What a user wants otherwise than a pipeline has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import ConfigError
from ..limits import MAX_STEPS
from ..registration.build import find
from ..registration.config import ExtendConfig, PartConfig, PipelineConfig, StageConfig, checked
from ..registration.settings import parse_setting
from .modality import Modality
from .source import SOURCE

__all__ = ["Overrides", "takes_source"]


@dataclass(frozen=True)
class Overrides:
    """What a user wants otherwise than the pipeline has it.

    Attributes:
        steps: number of steps.
        sampler: name of another sampler, or its table.
        grid: name of another grid, or its table.
        guidance: scale of classifier-free guidance.
        seconds: length of an item, or of its first window where it is extended.
        extend: how many seconds an item goes on after that.
        settings: ``path=value`` inside the pipeline, such as ``stages.base.codec.iterations=64``.
    """

    steps: int | None = None
    sampler: str | Mapping[str, object] | None = None
    grid: str | Mapping[str, object] | None = None
    guidance: float | None = None
    seconds: float | None = None
    extend: float | None = None
    settings: tuple[str, ...] = ()

    def of_length(self, config: PipelineConfig, modality: Modality) -> PipelineConfig:
        """Return a pipeline's configuration with items of the length asked for.

        Raises:
            ConfigError: they have none, or it is out of bounds.
        """
        changed: dict[str, object] = {}
        if self.seconds is not None:
            lasting = getattr(modality, "lasting", None)
            if lasting is None:
                raise ConfigError(f"seconds: items of {modality.name} have no length; leave it out")
            first, *others = config.stages  # the others are as long as what they are made from
            media = lasting({**config.media, **first.media}, self.seconds)
            changed["stages"] = [first.model_copy(update={"media": media}), *others]
            changed["media"] = lasting(config.media, self.seconds) if config.media else {}
        if self.extend is not None:
            table = {**config.extend.model_dump(), "seconds": self.extend}
            changed["extend"] = checked(ExtendConfig, table, what="extend")
        return config.model_copy(update=changed)

    def of_stages(self, config: PipelineConfig, *, enlarging: bool) -> PipelineConfig:
        """Return a pipeline's configuration with these changes, which are about the first of the stages that run.

        Args:
            config: of the pipeline.
            enlarging: whether those run that make something larger; they have a conditioner, and the others of a
                cascade come before them.
        """
        first = 0
        if enlarging:
            sources = [takes_source(stage) for stage in config.stages]
            first = sources.index(True) if True in sources else 0
        stages = [self._of_stage(one, number) if number == first else one for number, one in enumerate(config.stages)]
        return config.model_copy(update={"stages": stages})

    def _of_stage(self, stage: StageConfig, number: int) -> StageConfig:
        """Return a stage's table with these changes; what settings say inside of a part is then of the new one.

        Raises:
            ConfigError: a wish and a setting say the same thing.
        """
        changed: dict[str, object] = {}
        if self.steps is not None:
            if type(self.steps) is not int or not 1 <= self.steps <= MAX_STEPS:
                raise ConfigError(f"steps: expected a whole number from 1 to {MAX_STEPS}, got {self.steps!r}")
            self._inside(stage, number, "steps", "")
            changed["steps"] = self.steps
        for kind, wanted in (("sampler", self.sampler), ("grid", self.grid)):
            if wanted is not None:
                table = {"use": wanted} if isinstance(wanted, str) else wanted
                if not isinstance(table, Mapping):
                    raise ConfigError(
                        f'{kind}: expected a name, or a table such as {{"use": "ddim", "eta": 0.5}}, got '
                        f"{type(wanted).__name__}; one of your own gets a name by a plugin"
                    )
                changed[kind] = checked(
                    PartConfig, {**table, **self._inside(stage, number, kind, "", "use")}, what=kind
                )
        if self.guidance is not None:
            self._inside(stage, number, "guidance", "scale")
            before = stage.guidance if stage.guidance.use != "none" else PartConfig(use="cfg").of("noiseform")
            guidance = PartConfig.model_validate({**before.model_dump(), "scale": self.guidance})
            changed["guidance"] = guidance.of(*before.owners)
        return stage.model_copy(update=changed)

    def _inside(self, stage: StageConfig, number: int, kind: str, *said: str) -> dict[str, object]:
        """Return what settings say inside of a stage's table ``kind``; a wish says ``said`` of it, "" being all of it.

        Raises:
            ConfigError: a setting says that, too.
        """
        inside: dict[str, object] = {}
        for setting in self.settings:
            path, value = parse_setting(setting)
            where, name, *rest = (*map(str, path), "", "", "")[:4]
            if where != "stages" or name not in (stage.name, str(number)) or rest[0] != kind:
                continue
            if rest[1] in said:
                raise ConfigError(f"{kind}: said by itself and by the setting {setting!r}; leave one of them out")
            if len(path) == 4:
                inside[rest[1]] = value
        return inside

    @property
    def named(self) -> set[str]:
        """The kinds whose part a setting names: ``sampler`` of ``stages.base.sampler.use=heun``."""
        paths = [tuple(map(str, parse_setting(setting)[0])) for setting in self.settings]
        return {path[-2] if path[-1] == "use" and len(path) > 1 else path[-1] for path in paths}


def takes_source(stage: StageConfig) -> bool:
    """Return whether a stage goes on from what is there."""
    parts = (find("conditioner", one.use, owners=one.owners) for one in stage.conditioners)
    return any(SOURCE in getattr(part.load(), "takes", ()) for part in parts)
