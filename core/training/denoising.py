"""The training of a diffusion model: one stage of a pipeline."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..contract import check_tensor
from ..diffusion.noise import MAX_SEED, Key
from ..errors import ConfigError, NumericError
from ..errors import nearest as nearest_name
from ..machine.memory import refuse_too_much
from ..naming import printable
from ..pipeline.conditioning import mixed
from ..pipeline.enlarging import source_of
from ..pipeline.modality import DataSet, Media, Modality, spec_of
from ..pipeline.model import Model, on_device
from ..pipeline.pipeline import Pipeline
from ..pipeline.pretrained import codec_entry, decodes, has_weights, pretrained_codec, pretrained_encoder
from ..pipeline.running import Running
from ..pipeline.source import Items
from ..pipeline.stage import build_stage
from ..verbs.pipeline_upscale import upscale
from .batches import Batch
from .latents import Latents
from .neighbours import middle, nearest, spread_over
from .precision import autocast
from .recipe import Recipe

__all__ = ["DenoisingTask"]

Drawn = tuple[list[Media], list[str]]
"""Items with what stands under each."""


class DenoisingTask:
    """Teaches a network, and the conditioners that feed it, to tell clean items from noisy ones.

    Args:
        recipe: what is trained, and how.
        modality: what its media are.
        device: where it is trained.

    Raises:
        ConfigError: there is no such stage, or its parts do not go together.
        PluginError: a part breaks its contract.
    """

    def __init__(self, recipe: Recipe, modality: Modality, device: str = "cpu") -> None:
        self._recipe, self._modality, self._device = recipe, modality, device
        stages = {stage.name: stage for stage in recipe.stages}
        name = recipe.stage.name
        self._media = spec_of(modality, recipe.items)
        self._codec = pretrained_codec(stages[name].codec)
        if self._codec is not None:
            stages[name] = stages[name].model_copy(update={"codec": self._codec.config})
        encoders = [pretrained_encoder(one) for one in stages[name].conditioners]
        stages[name] = stages[name].model_copy(update={"conditioners": [table for table, _ in encoders]})
        self._stage = build_stage(stages[name], self._media, where="recipe")
        if getattr(self._stage.guidance, "guide", None) is not None or stages[name].guidance.weights is not None:
            raise ConfigError(
                f"recipe: guidance {stages[name].guidance.use!r} with weights of its own is for generating: leave it "
                "out here, and name it in a registry's pipeline or by --set"
            )
        if self._codec is not None:
            self._codec.fill(self._stage.codec)
        elif has_weights(self._stage.codec):
            raise ConfigError(
                f"recipe: codec {stages[name].codec.use!r} has to be trained first, by a recipe of its own; "
                "then name its folder as its weights"
            )
        for conditioner, (table, encoder) in zip(self._stage.model.conditioners, encoders, strict=True):
            if encoder is not None:
                encoder.fill(getattr(conditioner, "encoder", None))
            elif "codec" in table.params and has_weights(getattr(conditioner, "encoder", None)):
                raise ConfigError(
                    f"recipe: conditioner {table.use!r}: its codec has to be trained first, by a recipe of its own; "
                    "then name its folder as the weights of that codec"
                )
        self._latents = Latents(self._stage, device)
        memory = getattr(self._stage.objective, "memory", None)
        for part in (self._stage.model, self._stage.codec):
            if isinstance(part, nn.Module):
                part.to(device)
        self.modules: Mapping[str, nn.Module] = {"model": self._stage.model}
        self.memory: Mapping[str, nn.Module] = {} if memory is None else {"objective": memory}
        self.conditioners = len(self._stage.model.conditioners)
        self.entry = name
        # The model folder holds the stage that was trained, which runs alone and as a part of cascades.
        alone = {"stages": [stages[name].model_copy(update={"media": {}})], "media": recipe.items}
        self.pipeline = recipe.model_copy(update=alone).pipeline
        self.parts = self._stage.parts

    def check(self, data: DataSet, batch_size: int) -> None:
        """Refuse items with labels that the model does not know, and batches that do not fit into memory."""
        refuse_too_much(self._media.shape, self._stage.latent_shape, batch_size, "training", self._device)
        tried = set()
        for index in range(len(data)):
            conditions = data.conditions(index)
            if repr(conditions) in tried:  # items described alike are judged alike, and there may be many of them
                continue
            tried.add(repr(conditions))
            where = f"data: {printable(data.name(index))}"
            self._refuse_unknown(conditions, where)
            try:
                self._stage.model.encode([conditions])
            except ConfigError as error:
                raise ConfigError(f"{where}: {error}") from error

    def _refuse_unknown(self, conditions: Mapping[str, Any], where: str) -> None:
        """Refuse what the data say of an item and the model does not take, with what to write in the recipe."""
        model = self._stage.model
        if conditions.get("text") and "text" not in model.takes:
            raise ConfigError(f'{where}: a caption, but no conditioner takes text; set data.captions = "none"')
        for label in conditions.get("labels") or ():
            if not model.names:
                raise ConfigError(
                    f'{where}: label {label!r}, but no conditioner takes labels; set data.labels = "none"'
                )
            if label not in model.names:
                raise ConfigError(
                    f"{where}: label: unknown label {label!r}; {nearest_name(label, model.names)}; "
                    "add it to the names of a conditioner, or rename it in [data]"
                )

    def updates(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """Give the mean loss of the objective over a batch, some of whose conditions are left out."""
        stage, model = self._stage, self._stage.model
        x0 = self._latents.of(batch.media)
        items = Items(
            x0,
            batch.media.to(self._device),
            batch.chances.to(self._device),
            partial(batch.eps, purpose="train-shown"),
            self._media,
            getattr(self._modality, "resampled", None),
        )
        raw = on_device(self._device, model.shown(model.encode(batch.conditions), items))
        offset = model.offset(raw)
        if offset is not None:
            x0 = (x0 - offset[0]) / offset[1]
        null, drop = model.null(raw), batch.drop.to(self._device).unbind(1)
        kept = [mixed(gone, nothing, one) for gone, one, nothing in zip(drop, raw, null, strict=True)]
        of = f"objective {stage.config.objective.use!r}"
        t = check_tensor(stage.objective.times(batch.u, stage.process), batch.u.shape, of=f"{of}: times")
        with autocast(self._recipe.training.precision, self._device):
            cond = model.condition(kept)
            losses = stage.objective.loss(model.network, stage.process, x0, t, batch.eps(x0.shape[1:]), cond)
        yield "model", check_tensor(losses, batch.u.shape, of=f"{of}: loss").mean()

    def exported(self, average: nn.Module, data: DataSet) -> Mapping[str, Mapping[str, Tensor]]:
        """Return the averaged weights under the stage's name, and beside them those of a learnt codec."""
        codec = {codec_entry(self.entry): self._codec.tensors} if self._codec is not None else {}
        return {self.entry: average.state_dict(), **codec}

    def draw(self, average: nn.Module, data: DataSet, path: Path) -> None:
        """Make a few items, of labels that occur in the data, and draw them on one sheet.

        What goes on from something is shown beside the item of the data that it was made from; of embeddings, the items
        of the data that are nearest to them.
        """
        stage = replace(self._stage, model=cast(Model, average))
        pipeline = Pipeline("training", self._recipe, self._modality, (stage,), {}, self._device)
        draw = self._drawn if source_of(stage) is None else self._drawn_from_data
        try:
            made, captions = draw(pipeline, data)
        except NumericError as error:  # of a model that has not learnt enough: no reason to end its training
            warnings.warn(f"no picture of samples: {error}", stacklevel=2)
            return
        self._modality.sheet(made, captions, path, overwrite=True)

    def _drawn(self, pipeline: Pipeline, data: DataSet) -> Drawn:
        """Return items of what occurs in the data."""
        (stage,), config = pipeline.stages, self._recipe.training
        wishes = list(_wishes(data, config.samples))
        captions = [_caption(wish, number) for number, wish in enumerate(wishes)]
        if decodes(stage.codec):
            items = pipeline.make(wishes, seed=config.seed, batch_size=len(wishes))
            return [one.media for one in items], captions
        keys = tuple(Key(config.seed, item=number) for number in range(len(wishes)))
        with torch.no_grad():
            latents = Running(pipeline.name, stage, keys, self._device).window(wishes, keys)
            items_near = [middle(data, number)[0] for number in nearest(stage.codec, latents, data)]
        return [self._modality.wrap(item, self._media, None) for item in items_near], captions

    def _drawn_from_data(self, pipeline: Pipeline, data: DataSet) -> Drawn:
        """Return items of the data, each before what is made from it."""
        taken = pipeline.takes
        resample = getattr(self._modality, "resampled", None)
        shown: list[Media] = []
        captions: list[str] = []
        for place, number in enumerate(spread_over(data, self._recipe.training.samples)):
            item, condition = middle(data, number), data.conditions(number)
            given = item if taken == self._media or resample is None else resample(item, self._media, taken)
            seed = (self._recipe.training.seed + place) % (MAX_SEED + 1)  # each of noise of its own
            made = upscale(pipeline, given[0].clamp(taken.low, taken.high), taken, condition, seed=seed)
            shown += [self._modality.wrap(item[0], self._media, None), made.media]
            captions += [_caption(condition, place), "made from it"]
        return shown, captions


def _caption(wish: Mapping[str, Any], number: int) -> str:
    """Return what stands under an item."""
    return " ".join((*(wish.get("labels") or ()), *filter(None, [wish.get("text")]))) or f"#{number}"


def _wishes(data: DataSet, count: int) -> Iterator[dict[str, Any]]:
    """Give what to ask for: every label in its turn, and texts from all over the data."""
    for number in range(count):
        wish: dict[str, Any] = {"labels": tuple(labels[number % len(labels)] for labels in data.vocabulary)}
        text = data.conditions(number * len(data) // count).get("text")
        yield {**wish, "text": text} if text else wish
