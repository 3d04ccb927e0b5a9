"""The schema of pipelines: in the registry, in recipes for ``train`` and in the ``pipeline.toml`` of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator

from ..errors import ConfigError, nearest
from ..limits import MAX_STEPS
from .kinds import NAME, NAME_RULE
from .registry_layer import value_at
from .toml_file import KeyPath

__all__ = ["ExtendConfig", "PartConfig", "PipelineConfig", "StageConfig", "checked"]

PartName = Annotated[str, Field(pattern=rf"^([a-z0-9][a-z0-9._-]*/)?{NAME.pattern}$", max_length=160)]
Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]


class PartConfig(BaseModel):
    """A part by name, with its parameters: ``{ use = "ddim", eta = 0.5 }``.

    ``weights`` names the model folder of a part that was trained before: a codec, or what guides.

    Attributes:
        use: the part's name.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    use: PartName

    _owners: tuple[str, ...] = PrivateAttr(default=())
    _origin: str = PrivateAttr(default="")

    @property
    def owners(self) -> tuple[str, ...]:
        """The distributions one of whose parts a short name means, first to last; empty: it has to be unique."""
        return self._owners

    @property
    def origin(self) -> str:
        """File and line that it was read from, where they are known; for messages."""
        return self._origin

    def of(self, *owners: str) -> PartConfig:
        """Return the same table, its name meaning a part of the first of these distributions that has one."""
        copy = self.model_copy()
        copy._owners = owners
        return copy

    @property
    def weights(self) -> str | None:
        """The model folder that its weights come from."""
        given = (self.model_extra or {}).get("weights")
        return None if given is None else str(given)

    @property
    def without_weights(self) -> PartConfig:
        """The same table without the reference to its weights."""
        if self.weights is None:
            return self
        bare = PartConfig.model_validate({"use": self.use, **self.params}).of(*self._owners)
        bare._origin = self._origin
        return bare

    @property
    def params(self) -> dict[str, object]:
        """The part's parameters, which its factory's signature judges."""
        return {key: value for key, value in (self.model_extra or {}).items() if key != "weights"}


class StageConfig(BaseModel):
    """One stage of a pipeline: a process, what is learnt of it, and how it is run backwards.

    Attributes:
        name: of the stage and of its weights.
        media: what it makes, where that is not what the pipeline makes: laid over the pipeline's table.
        weights: a model folder of its own, as for a pipeline; what the stage does not say is as it was trained there.
        process: how data is destroyed.
        objective: what the network learns.
        network: the network.
        codec: what the network sees of the media.
        conditioners: what may be asked for.
        guidance: how much that counts.
        sampler: how a step is made.
        grid: which times are visited.
        steps: how many.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: Name = "base"
    media: dict[str, object] = {}
    weights: Annotated[str, Field(max_length=1000)] | None = None
    process: PartConfig
    objective: PartConfig
    network: PartConfig
    codec: PartConfig = PartConfig(use="identity")
    conditioners: list[PartConfig] = []
    guidance: PartConfig = PartConfig(use="none")
    sampler: PartConfig = PartConfig(use="default")
    grid: PartConfig = PartConfig(use="default")
    steps: Annotated[int, Field(ge=1, le=MAX_STEPS)] = 20


class ExtendConfig(BaseModel):
    """The ``[extend]`` table of a pipeline: how items get longer than the window that its model sees.

    Attributes:
        seconds: how much longer an item is than the ``[media]`` table says; 0 for one window.
        context: how much of what is there a new window is shown, in seconds; half a window if omitted.
        noise: share of noise that it is disturbed by where the model is told of it.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 0.0
    context: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] | None = None
    noise: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0


class PipelineConfig(BaseModel):
    """A named pipeline: what it makes, from which weights, in which stages.

    Attributes:
        modality: what it makes.
        summary: one line about it.
        weights: a model folder: ``"package.module:folder"`` or a path. Not in recipes.
        media: shape and units of an item; the modality says which keys there are.
        extend: how items go on beyond that.
        stages: one after the other; this version runs one. A pipeline of a registry that names ``weights`` may leave
            them out: it is then sampled as its model folder says.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    modality: Name
    summary: Annotated[str, Field(max_length=500)] = ""
    weights: Annotated[str, Field(max_length=1000)] | None = None
    media: dict[str, object] = {}
    extend: ExtendConfig = ExtendConfig()
    stages: Annotated[list[StageConfig], Field(min_length=1, max_length=16)]

    @field_validator("stages")
    @classmethod
    def _distinct(cls, stages: list[StageConfig]) -> list[StageConfig]:
        names = [stage.name for stage in stages]
        if len(set(names)) < len(names):
            raise ValueError(f"two stages have the same name ({', '.join(names)})")
        return stages


Model = TypeVar("Model", bound=BaseModel)


def checked(
    model: type[Model], table: Mapping[str, object], *, what: str, where: Callable[[KeyPath], str] = lambda path: ""
) -> Model:
    """Return a table of a file as a model of its schema.

    Args:
        model: the schema.
        table: what the file says.
        what: what the table is, for messages: ``pipeline 'spoken-digits'``.
        where: gives ``file:line`` of a key.

    Raises:
        ConfigError: an unknown key, a missing one, a wrong type or a value out of bounds; the first one is named.
    """
    try:
        return _located(model.model_validate(table), (), where)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)[0]
        path = tuple(details["loc"])
        key = _spoken(table, path)
        place = where(path)
        head = f"{what}: {place}: " if place else f"{what}: "
        if details["type"] == "extra_forbidden":
            hint = nearest(str(path[-1]), _fields(model, path[:-1]))
            raise ConfigError(f"{head}unknown key {key!r}; {hint}") from error
        if details["type"] == "missing":
            raise ConfigError(f"{head}{key} is missing; add it") from error
        if details["type"] == "model_type":
            raise ConfigError(f"{head}{key}: {_table_expected(model, path, key, details['input'], place)}") from error
        why = details["msg"].replace("Input should be", "expected").replace("Value error, ", "")
        why = NAME_RULE if details["type"] == "string_pattern_mismatch" else why
        got = "" if details["type"] == "value_error" else f", got {details['input']!r:.80}"
        raise ConfigError(f"{head}{key}: {why}{got}; correct it") from error


def _located(found: Model, path: KeyPath, where: Callable[[KeyPath], str]) -> Model:
    """Tell the parts that were read where they stand; those of defaults are shared, and stand nowhere."""
    if isinstance(found, PartConfig):
        found._origin = where(path)
    for name in found.model_fields_set & type(found).model_fields.keys():
        value = getattr(found, name)
        for key, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, BaseModel):
                _located(child, (*path, name) if key is None else (*path, name, key), where)
    return found


def _spoken(table: Mapping[str, object], path: KeyPath) -> str:
    """Return a path as ``--set`` takes it, with the names of stages: ``stages.base.steps``."""
    words = []
    for end, key in enumerate(path):
        stage = value_at(table, path[: end + 1]) if isinstance(key, int) and path[end - 1] == "stages" else None
        words.append(str(stage.get("name", "base")) if isinstance(stage, Mapping) else str(key))
    return ".".join(words)


def _table_expected(model: type[BaseModel], path: KeyPath, key: str, got: object, place: str) -> str:
    """Return what is wrong with a value where a table belongs, and what to write; a part's name alone is told apart."""
    if _model_at(model, path) is not PartConfig:
        return f"expected a table, got {got!r:.80}; correct it"
    named = isinstance(got, str) and NAME.fullmatch(got.rpartition("/")[2]) is not None
    table = f'{{ use = "{got if named else "NAME"}" }}'
    by_set = named and place == "--set" and isinstance(path[-1], str)
    return f"expected {table}, got {got!r:.80}; " + (f"write --set {key}.use={got}" if by_set else "correct it")


def _fields(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Return the keys that the schema knows at a path."""
    return list(_model_at(model, path).model_fields)


def _model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel]:
    """Return the model of the table at a path, or of what that stands in."""
    for key in path:
        field = model.model_fields.get(str(key))
        if field is None:  # an index
            continue
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)), model)
    return model
