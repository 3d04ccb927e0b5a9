"""The objective: what the network predicts, which errors matter, and at which times it is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from ..contract import check_tensor
from .level import Level
from .prediction import Prediction
from .process import CompleteProcess, level_at

__all__ = ["EDGE", "Adaptive", "Answer", "Density", "Objective", "PredictionObjective", "Weighting"]

EDGE = 1e-6
"""How far from both ends of a process training stays: weights and derivatives may be infinite there."""

Weighting = Callable[[Prediction, Level[Tensor]], Tensor]
"""(prediction, level of (batch,) tensors) -> weight (batch,) of the squared error of the network's output."""

Density = Callable[[Tensor, CompleteProcess], Tensor]
"""(u uniform in [0, 1) (batch,), process) -> times (batch,): the inverse distribution function of t."""


@runtime_checkable
class Adaptive(Protocol):
    """A density that follows the losses; it is a torch module, which keeps in buffers what it has learnt of them."""

    def corrected(self, t: Tensor, losses: Tensor) -> Tensor:
        """Return ``losses`` (batch,) at times ``t`` (batch,) over the density of t, and take note of them.

        Times and buffers lie on the CPU, losses where the items do.
        """


class Objective(Protocol):
    """What training asks of an objective; sampling only asks for its ``prediction``.

    An objective that learns from step to step has a torch module ``memory`` as well: training keeps its buffers, which
    stay on the CPU, in the checkpoints, so that a resumed run goes on where it stood.
    """

    @property
    def prediction(self) -> Prediction:
        """How the network's output is read."""

    def times(self, u: Tensor, process: CompleteProcess) -> Tensor:
        """Return the training times (batch,) float64 for numbers ``u`` (batch,) drawn uniformly from [0, 1).

        Numbers and times lie on the CPU, wherever the items are: there are few of them.
        """

    def loss(
        self,
        network: nn.Module,
        process: CompleteProcess,
        x0: Tensor,
        t: Tensor,
        eps: Tensor,
        cond: Mapping[str, Tensor],
    ) -> Tensor:
        """Return the loss of each item (batch,), for clean items and noise (batch, \\*item) and times (batch,)."""


class Answer(NamedTuple):
    """What a network was shown in training, and what it said.

    Attributes:
        x: items with noise (batch, \\*item).
        level: of each, broadcast to it.
        said: the prediction, like x.
        spread: what is said of the variance, like x; None where the network learns none.
    """

    x: Tensor
    level: Level[Tensor]
    said: Tensor
    spread: Tensor | None


@dataclass(frozen=True)
class PredictionObjective:
    """Regression on a prediction: ``weight(t) * mean((network(x_t, t) - target)**2)``.

    Attributes:
        prediction: what the network predicts.
        weighting: see :data:`Weighting`.
        density: see :data:`Density`.
    """

    prediction: Prediction
    weighting: Weighting
    density: Density

    @property
    def memory(self) -> nn.Module | None:
        """What the density has learnt of the losses, if it is one that learns."""
        return self.density if isinstance(self.density, nn.Module) else None

    def times(self, u: Tensor, process: CompleteProcess) -> Tensor:
        return self.density(u, process)

    def loss(
        self,
        network: nn.Module,
        process: CompleteProcess,
        x0: Tensor,
        t: Tensor,
        eps: Tensor,
        cond: Mapping[str, Tensor],
    ) -> Tensor:
        exact = level_at(process, t)
        level = exact.like(x0)
        x = level.alpha * x0 + level.sigma * eps
        output = network(x * self.prediction.scale(level), self.prediction.time(exact).to(x0), cond)
        expected = self.prediction.output_shape(x.shape)
        check_tensor(output, expected, of=f"network {type(network).__name__}", device=x.device)
        output = output.to(x0.dtype)
        said, spread = output.chunk(2, 1) if self.prediction.learns_variance else (output, None)
        error = (said - self.prediction.target(x0, eps, level)) ** 2
        weight = self.weighting(self.prediction, exact).to(x0)
        answer = Answer(x, level, said, spread)
        return self.corrected(t, self.completed(error.flatten(1).mean(1) * weight, process, x0, t, answer))

    def completed(self, losses: Tensor, process: CompleteProcess, x0: Tensor, t: Tensor, answer: Answer) -> Tensor:
        """Return the weighted squared errors (batch,) with what an objective adds to them: nothing here."""
        return losses

    def corrected(self, t: Tensor, losses: Tensor) -> Tensor:
        """Return losses (batch,) at times (batch,), divided by the density of those times where it follows them."""
        return self.density.corrected(t, losses) if isinstance(self.density, Adaptive) else losses
