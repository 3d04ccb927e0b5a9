"""The training of a classifier of noisy items, which later guides a diffusion model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..contract import check_tensor
from ..diffusion.process import level_at, levels_at
from ..errors import ConfigError
from ..machine.memory import refuse_too_much
from ..naming import printable
from ..pipeline.classifier import CLASSIFIER, Classifier
from ..pipeline.modality import DataSet, Modality, spec_of
from ..pipeline.pretrained import codec_entry, has_weights, pretrained_codec
from ..registration.build import build_part, find
from ..storage.model_parts import RequiredPart
from .batches import Batch
from .precision import autocast
from .recipe import ClassifierRecipe

__all__ = ["ClassifierTask"]


class ClassifierTask:
    """Teaches a network to tell the label of an item from the item with noise, at every time alike.

    Args:
        recipe: what is trained, and how.
        modality: what its media are.
        device: where it is trained.

    Raises:
        ConfigError: a part is unknown or wrongly set, or two parts do not go together.

    Source: Dhariwal and Nichol 2021, arXiv 2105.05233, section 4.
    """

    conditioners = 0
    entry = CLASSIFIER

    def __init__(self, recipe: ClassifierRecipe, modality: Modality, device: str = "cpu") -> None:
        config = recipe.classifier
        self._recipe, self._modality, self._device = recipe, modality, device
        self._media = spec_of(modality, recipe.media)
        self._trained = pretrained_codec(config.codec)
        if self._trained is not None:
            config = config.model_copy(update={"codec": self._trained.config})
        self._codec: Any = build_part(config.codec, "codec", where="recipe", media=self._media)
        if self._trained is not None:
            self._trained.fill(self._codec)
        elif has_weights(self._codec):
            raise ConfigError(
                f"recipe: codec {config.codec.use!r} has to be trained first, by a recipe of its own; "
                "then name its folder as its weights"
            )
        self._latent = tuple(self._codec.shape(self._media.shape))
        self._of_codec = f"codec {config.codec.use!r}: encode"
        if isinstance(self._codec, nn.Module):
            self._codec.to(device)
        self._model = Classifier(config, self._latent).to(device)
        self.modules: Mapping[str, nn.Module] = {"model": self._model}
        self.pipeline = recipe.model_copy(update={"classifier": config}).pipeline
        parts = (("process", config.process), ("network", config.network), ("codec", config.codec))
        found = [(kind, find(kind, table.use, owners=table.owners)) for kind, table in parts]
        self.parts = [
            RequiredPart(kind, part.name, part.plugin.distribution, part.plugin.candidate.version)
            for kind, part in found
        ]

    def check(self, data: DataSet, batch_size: int) -> None:
        """Refuse items that carry none of the labels, or several, and batches that do not fit into memory."""
        refuse_too_much(self._media.shape, self._latent, batch_size, "training", self._device)
        for index in range(len(data)):
            where = f"data: {printable(data.name(index))}"
            try:
                number = self._model.number_of(data.conditions(index))
            except ConfigError as error:
                raise ConfigError(f"{where}: {error}; rename it in [data], or set data.labels") from error
            if number is None:
                raise ConfigError(
                    f"{where}: it carries none of the classifier's labels ({', '.join(self._model.names)[:80]}); "
                    "add its label to classifier.names, or set data.labels"
                )

    def updates(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """Give the mean cross-entropy of a batch, whose items stand at times spread evenly over [0, 1)."""
        x0 = self._encoded(batch.media.to(self._device))
        exact = level_at(self._model.process, batch.u)
        level = exact.like(x0)
        x = level.alpha * x0 + level.sigma * batch.eps(self._latent)
        with autocast(self._recipe.training.precision, self._device):
            scores = self._model(x, exact)
        targets = torch.tensor([self._model.number_of(one) for one in batch.conditions], device=scores.device)
        yield "model", cross_entropy(scores, targets)

    def exported(self, average: nn.Module, data: DataSet) -> Mapping[str, Mapping[str, Tensor]]:
        """Return the averaged weights, and beside them those of a learnt codec."""
        codec = {codec_entry(CLASSIFIER): self._trained.tensors} if self._trained is not None else {}
        return {self.entry: average.state_dict(), **codec}

    def draw(self, average: nn.Module, data: DataSet, path: Path) -> None:
        """Draw items from all over the data, each with its label and how probable it is, told from the clean item."""
        model = cast(Classifier, average)
        (clean,) = levels_at(model.process, torch.zeros(1, dtype=torch.float64))
        shown, captions = [], []
        count = min(self._recipe.training.samples, len(data))
        for index in (number * len(data) // count for number in range(count)):
            media = data.item(index, start=0.5)
            with torch.no_grad():
                scores = model(clean.alpha * self._encoded(media.unsqueeze(0).to(self._device)), clean)
            shares = scores[0].softmax(0).cpu()
            number = model.number_of(data.conditions(index))
            assert number is not None  # which `check` has seen to
            shown.append(self._modality.wrap(media, self._media, None))
            captions.append(f"{model.names[number]} {shares[number]:.0%}")
        self._modality.sheet(shown, captions, path, overwrite=True)

    def _encoded(self, media: Tensor) -> Tensor:
        return check_tensor(self._codec.encode(media), (len(media), *self._latent), of=self._of_codec)
