"""The training of a codec: what a diffusion model will later live in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..machine.memory import refuse_too_much
from ..pipeline.modality import DataSet, Media, Modality, spec_of
from ..pipeline.pretrained import CODEC, decodes
from ..registration.build import build_part, find
from ..registration.parameters import check_parameters, host_parameters
from ..storage.model_parts import RequiredPart
from .batches import Batch
from .neighbours import middle, nearest, spread_over
from .precision import autocast
from .recipe import CodecRecipe

__all__ = ["CodecTask"]

_MEASURED = 256  # items at most; each gives many values of every channel
_MEASURED_WHOLE = 1024  # items at most where each gives a single value


class CodecTask:
    """Teaches a codec to give back what it is given, through latents that are easy to learn.

    The codec is a torch module with ``loss``, ``posterior`` and ``measure``, and what its loss asks for; see the guide
    on plugins.

    Args:
        recipe: what is trained, and how.
        modality: what its media are.
        device: where it is trained.

    Raises:
        ConfigError: the codec has nothing to learn, or a parameter is wrong.
    """

    conditioners = 0
    entry = CODEC

    def __init__(self, recipe: CodecRecipe, modality: Modality, device: str = "cpu") -> None:
        self._recipe, self._modality, self._device = recipe, modality, device
        self._media = spec_of(modality, recipe.media)
        name = recipe.codec.use
        codec = build_part(recipe.codec, "codec", where="recipe", media=self._media)
        factory: Any = getattr(codec, "loss", None)
        if not isinstance(codec, nn.Module) or factory is None:
            raise ConfigError(f"recipe: codec {name!r} has nothing to learn; use it as it is, or choose kl-vae")
        settings = check_parameters(factory, recipe.loss, what=f"loss of codec {name!r}", where="recipe")
        channels, *space = self._media.shape
        asked = host_parameters(factory)
        host = {"channels": channels, "rank": len(space)}
        self._codec = cast("Any", codec.to(device))
        self._loss = factory(**settings, **{key: value for key, value in host.items() if key in asked or "**" in asked})
        self._takes = tuple(getattr(self._loss, "takes", ()))
        if "text" in self._takes and recipe.data.captions == "none":
            raise ConfigError(
                f'recipe: codec {name!r} learns from captions: say where they are by [data] captions = "table", '
                '"jsonl" or "text"'
            )
        self._latent = tuple(self._codec.shape(self._media.shape))
        beside = {name: module.to(device) for name, module in self._loss.modules_beside.items()}
        self.modules: Mapping[str, nn.Module] = {"model": codec, **beside}
        self.pipeline = recipe.pipeline
        part = find("codec", name)
        self.parts = [RequiredPart("codec", part.name, part.plugin.distribution, part.plugin.candidate.version)]

    def check(self, data: DataSet, batch_size: int) -> None:
        """Refuse batches that do not fit into memory."""
        refuse_too_much(self._media.shape, self._latent, batch_size, "training", self._device)

    def updates(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """Give the losses of the codec's own loss, in turn."""
        told = (batch.conditions,) if self._takes else ()
        media = batch.media.to(self._device)
        losses = self._loss.updates(self._codec, media, batch.eps(self._latent), batch.step, *told)
        while True:
            # Around each loss alone: the updates between them are none of autocast's business.
            with autocast(self._recipe.training.precision, self._device):
                found = next(losses, None)
            if found is None:
                return
            yield found

    def exported(self, average: nn.Module, data: DataSet) -> Mapping[str, Mapping[str, Tensor]]:
        """Return the averaged weights, with the figures of their latents over items from all over the data.

        Latents of weights that the training started from and leaves as they are keep their figures too, so that a model
        which lives in them goes on living in them.
        """
        codec: Any = average
        if not self._recipe.training.freeze:
            with torch.no_grad():
                most = _MEASURED if len(self._latent) > 1 else _MEASURED_WHOLE
                items = (middle(data, number).to(self._device) for number in spread_over(data, most))
                codec.measure([codec.posterior(item)[0] for item in items])
        return {self.entry: average.state_dict()}

    def draw(self, average: nn.Module, data: DataSet, path: Path) -> None:
        """Draw items of the data, each beside what the codec makes of it.

        Of a codec without a way back: captions, each with its item and with the one whose embedding is nearest to it.
        """
        codec: Any = average
        wrap, shown = self._modality.wrap, list[Media]()
        captions: list[str] = []
        numbers = spread_over(data, self._recipe.training.samples)
        items = [middle(data, number) for number in numbers]
        if decodes(codec):
            latents = [codec.encode(item.to(self._device)) for item in items]
            beside = [codec.decode(latent, self._media.shape).cpu() for latent in latents]
            told = [(f"#{place}", "decoded") for place in range(len(items))]
        else:
            texts = [data.conditions(number) for number in numbers]
            beside = [middle(data, number) for number in nearest(codec, codec.described(texts), data)]
            told = [(str(text.get("text", "")), "nearest") for text in texts]
        for item, other, words in zip(items, beside, told, strict=True):
            shown += [wrap(item[0], self._media, None), wrap(other[0], self._media, None)]
            captions += words
        self._modality.sheet(shown, captions, path, overwrite=True)
