"""The training of a codec: what a diffusion model will later live in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..machine.memory import refuse_too_much
from ..pipeline.modality import DataSet, Modality
from ..pipeline.pretrained import CODEC
from ..registration.build import build_part, find
from ..registration.parameters import check_parameters
from ..storage.model_parts import RequiredPart
from .batches import Batch
from .recipe import CodecRecipe

__all__ = ["CodecTask"]

_MEASURED = 256  # items at most; each gives many values of every channel


class CodecTask:
    """Teaches a codec to give back what it is given, through latents that are easy to learn.

    The codec is a torch module with ``loss``, ``posterior``, ``reconstruct`` and ``measure``; see the guide on plugins.

    Args:
        recipe: what is trained, and how.
        modality: what its media are.

    Raises:
        ConfigError: the codec has nothing to learn, or a parameter is wrong.
    """

    conditioners = 0
    entry = CODEC

    def __init__(self, recipe: CodecRecipe, modality: Modality) -> None:
        self._recipe, self._modality = recipe, modality
        self._media = modality.spec(recipe.media)
        name = recipe.codec.use
        codec = build_part(recipe.codec, "codec", where="recipe", media=self._media)
        factory: Any = getattr(codec, "loss", None)
        if not isinstance(codec, nn.Module) or factory is None:
            raise ConfigError(f"recipe: codec {name!r} has nothing to learn; use it as it is, or choose kl-vae")
        settings = check_parameters(factory, recipe.loss, what=f"loss of codec {name!r}", where="recipe")
        channels, *space = self._media.shape
        self._codec = cast("Any", codec)
        self._loss = factory(**settings, channels=channels, rank=len(space))
        self._latent = tuple(self._codec.shape(self._media.shape))
        self.modules: Mapping[str, nn.Module] = {"model": codec, **self._loss.modules_beside}
        self.pipeline = recipe.pipeline
        part = find("codec", name)
        self.parts = [RequiredPart("codec", part.name, part.plugin.distribution, part.plugin.candidate.version)]

    def check(self, data: DataSet, batch_size: int) -> None:
        """Refuse batches that do not fit into memory."""
        refuse_too_much(self._media.shape, self._latent, batch_size, "training")

    def updates(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """Give the losses of the codec's own loss, in turn."""
        losses = self._loss.updates(self._codec, batch.media, batch.eps(self._latent), batch.step)
        while True:
            # Around each loss alone: the updates between them are none of autocast's business.
            with torch.autocast("cpu", torch.bfloat16, enabled=self._recipe.training.precision == "bf16"):
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
                codec.measure([codec.posterior(media)[0] for media in _spread(data, _MEASURED)])
        return {self.entry: average.state_dict()}

    def draw(self, average: nn.Module, data: DataSet, path: Path) -> None:
        """Draw items of the data, each beside what the codec makes of it."""
        codec: Any = average
        wrap, shown, captions = self._modality.wrap, [], []
        for number, media in enumerate(_spread(data, self._recipe.training.samples)):
            made = codec.decode(codec.encode(media), self._media.shape)
            shown += [wrap(media[0], self._media, None), wrap(made[0], self._media, None)]
            captions += [f"#{number}", "decoded"]
        self._modality.sheet(shown, captions, path, overwrite=True)


def _spread(data: DataSet, most: int) -> Iterator[Tensor]:
    """Give items from all over the data, each as a batch of one."""
    count = min(most, len(data))
    for number in range(count):
        yield data.item(number * len(data) // count, start=0.5).unsqueeze(0)
