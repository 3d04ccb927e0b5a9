"""What guides a model from beside it: a classifier, or a weaker model, with weights of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from ..diffusion.denoiser import Cond, Denoiser
from ..diffusion.level import Level
from ..errors import ConfigError
from .classifier import Classifier
from .model import on_device
from .stage import Stage

__all__ = ["Bound", "ClassifierGuide", "DenoiserGuide", "Guide"]

Conditions = Sequence[Mapping[str, object]]


class Bound(Protocol):
    """A guide with the conditions of the items, as a guidance is given it.

    Attributes:
        rows: network forward passes so far, one for each row of each call.
    """

    @property
    def rows(self) -> int: ...

    def __call__(self, x: Tensor, level: Level[float]) -> Tensor:
        """Return log p(label | x) (batch,) of a classifier, or x0 (batch, \\*item) of a weaker model."""


class Guide(Protocol):
    """A trained model that a guidance asks beside the one that is guided."""

    @property
    def sha256(self) -> str:
        """Of its weights."""

    def own_labels(self, known: Iterable[str]) -> frozenset[str]:
        """Return the labels that it alone listens to, given those that the guided model knows."""

    def bound(self, conditions: Conditions) -> Bound:
        """Return it for these items.

        Raises:
            ConfigError: it does not understand a condition.
        """


@dataclass(frozen=True)
class ClassifierGuide:
    """A classifier of noisy items: ``(x, level) -> log p(label | x)`` (batch,), differentiable by x.

    Of an item that asks for none of its labels this is 0, so that nothing guides it.
    """

    model: Classifier
    sha256: str

    def own_labels(self, known: Iterable[str]) -> frozenset[str]:
        return frozenset(self.model.names) - frozenset(known)

    def bound(self, conditions: Conditions) -> Bound:
        return _LogProbability(self.model, [self.model.number_of(one) for one in conditions])


class _LogProbability:
    def __init__(self, model: Classifier, numbers: Sequence[int | None]) -> None:
        self._model, self.rows = model, 0
        self._asked = torch.tensor([row for row, number in enumerate(numbers) if number is not None])
        self._numbers = torch.tensor([number for number in numbers if number is not None])

    def __call__(self, x: Tensor, level: Level[float]) -> Tensor:
        nothing = 0 * x.flatten(1).sum(1)  # of which a gradient can be asked all the same
        if not len(self._asked):
            return nothing
        self.rows += len(self._asked)
        asked, numbers = self._asked.to(x.device), self._numbers.to(x.device)
        chances = log_softmax(self._model(x[asked], level), 1).gather(1, numbers.unsqueeze(1)).squeeze(1)
        return nothing.index_put((asked,), chances.to(x.dtype))


@dataclass(frozen=True)
class DenoiserGuide:
    """A weaker model of the same data: ``(x, level) -> x0`` under the conditions of the items."""

    stage: Stage
    sha256: str
    device: str
    dtype: torch.dtype

    def own_labels(self, known: Iterable[str]) -> frozenset[str]:
        return frozenset()

    def bound(self, conditions: Conditions) -> Bound:
        model = self.stage.model
        try:
            raw = model.encode(conditions)
        except ConfigError as error:
            raise ConfigError(f"guidance: the weaker model: {error}") from error
        cond = model.condition(on_device(self.device, raw))
        return _Weaker(Denoiser(self.stage.network, self.stage.objective.prediction, dtype=self.dtype), cond)


class _Weaker:
    def __init__(self, denoise: Denoiser, cond: Cond) -> None:
        self._denoise, self._cond = denoise, cond

    @property
    def rows(self) -> int:
        return self._denoise.rows

    def __call__(self, x: Tensor, level: Level[float]) -> Tensor:
        return self._denoise(x, level, self._cond)
