"""The recipe of a training: a pipeline, the data, and how to train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..data.dataset import DataConfig
from ..diffusion.noise import MAX_SEED
from ..errors import ConfigError
from ..naming import printable
from ..pipeline.classifier import CLASSIFIER, ClassifierConfig
from ..registration.config import Name, PartConfig, PipelineConfig, StageConfig, checked
from ..registration.defaults import with_defaults_named
from ..registration.registry_layer import value_at
from ..registration.settings import apply_settings
from ..registration.toml_file import KeyPath, read_toml
from .precision import Wanted

__all__ = ["AnyRecipe", "ClassifierRecipe", "CodecRecipe", "Recipe", "TrainingConfig", "read_recipe"]

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Decay = Annotated[float, Field(ge=0, lt=1)]

_FROZEN_START: dict[str, Any] = {
    "if": {"required": ["freeze"], "properties": {"freeze": {"const": True}}},
    "then": {"required": ["start"]},
}
"""What ``freeze`` needs, as JSON Schema for editors."""


class TrainingConfig(BaseModel):
    """The ``[training]`` table of a recipe.

    Attributes:
        stage: which stage of the pipeline is trained; the first if omitted.
        start: a model folder, or ``package.module:folder``, whose weights the training starts from in the place of
            random ones; its network has to be the same, or one that this network adds to.
        freeze: what ``start`` gives stays as it is, conditioners too; only what the network adds to it learns.
        seed: of weights, order, noise and times.
        steps: optimizer steps in all.
        batch_size: items a step.
        learning_rate: at its highest.
        warmup: steps over which the learning rate rises from 0.
        decay: how the learning rate goes on: ``constant``, or ``cosine`` down to a hundredth at the last step.
        weight_decay: of AdamW, on matrices and kernels only.
        betas: of AdamW.
        clip: largest norm of the gradient; longer ones are shortened.
        ema: decay of the average of the weights, which is what the model ships; it starts low and rises to this.
        dropout: share of items whose conditions are all left out, and share of each conditioner's that are left out
            on their own, so that guidance has an unconditional model to lead away from.
        precision: ``fp32``, ``bf16`` for autocast (weights and their average stay in float32), or ``auto``: ``bf16``
            where the device multiplies bfloat16 itself, else ``fp32``; a run that is resumed keeps its own.
        weights: precision of the model folder's weights.
        checkpoint_every: steps between checkpoints.
        keep: checkpoints that stay.
        full_disk: what happens where there is no room for a checkpoint, a picture or the log: ``stop`` with an error,
            or ``go on`` with a warning, in the hope of room by the next; what was saved before stands either way.
        sample_every: steps between pictures of samples; 0 for none.
        samples: items in such a picture.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", json_schema_extra={"allOf": [_FROZEN_START]})

    stage: Name | None = None
    start: str | None = None
    freeze: bool = False
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    steps: Count = 10_000
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 32
    learning_rate: Positive = 1e-3
    warmup: Annotated[int, Field(ge=0)] = 100
    decay: Literal["constant", "cosine"] = "cosine"
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    betas: Annotated[tuple[Decay, Decay], Field(strict=False)] = (0.9, 0.99)  # which TOML writes as an array
    clip: Positive = 1.0
    ema: Decay = 0.999
    dropout: Share = 0.1
    precision: Wanted = "auto"
    weights: Literal["fp32", "fp16", "bf16"] = "fp16"
    checkpoint_every: Count = 500
    keep: Annotated[int, Field(ge=1, le=1000)] = 2
    full_disk: Literal["stop", "go on"] = "stop"
    sample_every: Annotated[int, Field(ge=0)] = 1000
    samples: Annotated[int, Field(ge=1, le=64)] = 10

    @model_validator(mode="after")
    def _frozen_start(self) -> TrainingConfig:
        if self.freeze and self.start is None:
            raise ValueError("freeze = true needs start, the model that stays as it is")
        return self


class Recipe(PipelineConfig):
    """A pipeline's tables, with ``[data]`` and ``[training]``."""

    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()

    @property
    def stage(self) -> StageConfig:
        """The stage that is trained.

        Raises:
            ConfigError: there is no stage of this name.
        """
        stages = {stage.name: stage for stage in self.stages}
        name = self.training.stage or self.stages[0].name
        if name not in stages:
            raise ConfigError(f"training.stage: there is no stage {name!r}; stages: {', '.join(stages)}")
        return stages[name]

    @property
    def items(self) -> dict[str, object]:
        """The ``[media]`` table of the items that it is trained on."""
        return {**self.media, **self.stage.media}

    @property
    def pipeline(self) -> dict[str, object]:
        """The pipeline alone, as tables that TOML can say, with its defaults named."""
        return with_defaults_named(self).model_dump(
            mode="json", exclude={"data", "training", "weights"}, exclude_none=True
        )


def _unlabelled(table: object) -> object:
    """Expect no labels in ``[data]`` unless they are asked for: a codec has no use for them."""
    return {"labels": "none", **table} if isinstance(table, dict) else table


class CodecRecipe(BaseModel):
    """The recipe of a codec, which is trained before the pipelines that use it.

    Attributes:
        modality: what it codes.
        summary: one line about it.
        media: shape and units of an item, as in a pipeline.
        codec: the codec.
        loss: what it learns by; the codec says which keys there are.
        data: as in a pipeline's recipe, but without labels.
        training: the same; ``stage`` and ``dropout`` mean nothing here.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    modality: Name
    summary: Annotated[str, Field(max_length=500)] = ""
    media: dict[str, object] = {}
    codec: PartConfig
    loss: dict[str, object] = {}
    data: Annotated[DataConfig, BeforeValidator(_unlabelled)] = DataConfig(labels="none")
    training: TrainingConfig = TrainingConfig()

    @property
    def items(self) -> dict[str, object]:
        """The ``[media]`` table of the items that it is trained on."""
        return self.media

    @property
    def pipeline(self) -> dict[str, object]:
        """What the model folder says of the codec, as tables that TOML can say."""
        return self.model_dump(
            mode="json", include={"modality", "summary", "media", "codec", "loss"}, exclude_none=True
        )


class ClassifierRecipe(BaseModel):
    """The recipe of a classifier of noisy items, which is to guide pipelines.

    Attributes:
        modality: what it classifies.
        summary: one line about it.
        media: shape and units of an item, as in a pipeline.
        classifier: its process, network, codec and labels.
        data: as in a pipeline's recipe.
        training: the same; ``stage`` and ``dropout`` mean nothing here.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    modality: Name
    summary: Annotated[str, Field(max_length=500)] = ""
    media: dict[str, object] = {}
    classifier: ClassifierConfig
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()

    @property
    def items(self) -> dict[str, object]:
        """The ``[media]`` table of the items that it is trained on."""
        return self.media

    @property
    def pipeline(self) -> dict[str, object]:
        """What the model folder says of the classifier, as tables that TOML can say."""
        return self.model_dump(mode="json", include={"modality", "summary", "media", CLASSIFIER}, exclude_none=True)


AnyRecipe = Recipe | CodecRecipe | ClassifierRecipe
"""A recipe of any kind."""


def read_recipe(path: Path, *, settings: tuple[str, ...] = ()) -> AnyRecipe:
    """Read a recipe file, with ``path=value`` settings laid over it.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown, missing or wrong; with its line.
    """
    try:
        file = read_toml(path)
    except FileNotFoundError:
        raise ConfigError(f"recipe: {printable(path)}: there is no such file; name a recipe") from None
    table = apply_settings(file.table, settings)

    def where(path: KeyPath) -> str:
        return file.where(path) if value_at(table, path) is value_at(file.table, path) else "--set"

    if CLASSIFIER in table:
        return checked(ClassifierRecipe, table, what="recipe of a classifier", where=where)
    if "codec" in table:
        return checked(CodecRecipe, table, what="recipe of a codec", where=where)
    return checked(Recipe, table, what="recipe", where=where)
