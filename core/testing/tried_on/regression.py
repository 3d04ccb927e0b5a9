"""What objectives are tried on: items, a network to teach, and data on which the ideal one is known."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ...diffusion.level import Level, expand
from ...diffusion.objective import Objective
from ...diffusion.prediction import Prediction
from ...diffusion.process import CompleteProcess, level_at
from .closed_form import LINE
from .numbers import normal

__all__ = ["Batch", "Pairs", "SmallNetwork", "batch_of"]


def batch_of(
    rows: int, item: Sequence[int], *, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Return clean items and noise (rows, \\*item), the same in every run, and a condition of each."""
    x0, eps = (normal(rows, *item, purpose=purpose).to(dtype) for purpose in ("x0", "eps"))
    return 0.6 * x0 + 0.2, eps, {"vector": normal(rows, 1, purpose="vector").to(dtype)}


@dataclass(frozen=True)
class Batch:
    """What an objective is given: items, noise, times and conditions, of one process."""

    made: Objective
    process: CompleteProcess
    x0: Tensor
    t: Tensor
    eps: Tensor
    cond: Mapping[str, Tensor]

    def rows(self, places: Sequence[int]) -> Batch:
        """Return some of its items."""
        cond = {name: value[places] for name, value in self.cond.items()}
        return replace(self, x0=self.x0[places], t=self.t[places], eps=self.eps[places], cond=cond)

    def loss(self, network: nn.Module) -> Tensor:
        return self.made.loss(network, self.process, self.x0, self.t, self.eps, self.cond)


class SmallNetwork(nn.Module):
    """A network of four weights that looks at an item, its time and its condition, number by number.

    Attributes:
        told: what each call was given: x, time and cond.
    """

    def __init__(self, prediction: Prediction, *, said_in: torch.dtype | None = None) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([0.7, -0.2, 0.4, 0.3], dtype=torch.float64))
        self.told: list[tuple[Tensor, Tensor, Mapping[str, Tensor]]] = []
        self._twice, self._said_in = prediction.learns_variance, said_in

    def forward(self, x: Tensor, time: Tensor, cond: Mapping[str, Tensor]) -> Tensor:
        self.told.append((x.detach().clone(), time.detach().clone(), cond))
        of_x, offset, of_time, of_cond = self.weights.to(x.dtype)
        asked = cond["vector"].flatten(1)[:, 0] if "vector" in cond else torch.zeros_like(time)
        shift = of_time * torch.sin(time.to(x.dtype)) + of_cond * asked.to(x.dtype)
        said = torch.tanh(of_x * x + offset) + expand(shift, x)
        said = torch.cat([said, 0.3 * said], 1) if self._twice else said
        return said if self._said_in is None else said.to(self._said_in)


class _Says(nn.Module):
    """A network that says what it was given to say, whatever it is shown."""

    def __init__(self, said: Tensor) -> None:
        super().__init__()
        self._said = said

    def forward(self, x: Tensor, time: Tensor, cond: Mapping[str, Tensor]) -> Tensor:
        return self._said


class Pairs:
    """Noisy items of LINE, each with two clean ones that are equally likely: as far above the posterior mean as below.

    Whatever loss grows alike to both sides has no slope at all at the mean of a pair, so that none of the noise of
    sampling is left; of another one the slope is 0 within its standard error.

    Args:
        made: the objective.
        process: how data is destroyed.

    Attributes:
        t: the times at which it is tried.
    """

    times, count = 8, 200

    def __init__(self, made: Objective, process: CompleteProcess) -> None:
        u = (torch.arange(self.times, dtype=torch.float64) + 0.5) / self.times
        self.t = made.times(u, process)
        exact = level_at(process, self.t.repeat_interleave(self.count))
        place, off = normal(self.times * self.count, 2, purpose="pairs").unsqueeze(-1).unbind(1)
        level: Level[Tensor] = exact.like(place)
        mean, width = LINE.means, LINE.widths
        x = level.alpha * mean + torch.sqrt((level.alpha * width) ** 2 + level.sigma**2) * place
        centre, deviation = LINE(x, exact), LINE.posterior_variance(x, exact).sqrt()
        clean = torch.cat([centre + deviation * off, centre - deviation * off])
        noise = (x.repeat(2, 1) - level.alpha.repeat(2, 1) * clean) / level.sigma.repeat(2, 1)
        best = made.prediction.target(centre, (x - level.alpha * centre) / level.sigma, level)
        self._batch = Batch(made, process, clean, exact.t.repeat(2), noise, {})
        self._best, self._place = best, place

    def slopes(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Give a direction, the slope of the loss along it at each time where the network is ideal, and its doubt."""
        said = self._best.repeat(2, 1).requires_grad_()
        (slope,) = torch.autograd.grad(self._loss(said).sum(), said)
        size = self._by_time(slope.abs()).mean(1)
        for name, along in self._directions().items():
            of_pairs = self._by_time(slope * along.repeat(2, 1))
            error = of_pairs.std(1) / math.sqrt(self.count)
            yield name, of_pairs.mean(1), 5 * error + 1e-7 * size

    def rise(self) -> tuple[Tensor, Tensor]:
        """Return by how much the loss is larger at each time where the network is not ideal, and the doubt of it."""
        ideal = self._loss(self._best.repeat(2, 1)).detach()
        scale = self._best.square().mean().sqrt()
        others = [side * 0.3 * scale * along for along in self._directions().values() for side in (-1, 1)]
        risen = sum(self._loss((self._best + other).repeat(2, 1)).detach() - ideal for other in others)
        assert isinstance(risen, Tensor)
        of_pairs = self._by_time(risen[:, None])
        return of_pairs.mean(1), 5 * of_pairs.std(1) / math.sqrt(self.count) + 1e-9 * of_pairs.abs().mean(1)

    def _directions(self) -> dict[str, Tensor]:
        """Return functions of the noisy item, at unit size."""
        x = self._place
        return {"a constant": torch.ones_like(x), "x": x, "x**2": x**2 - 1, "sin(3 x)": torch.sin(3 * x)}

    def _by_time(self, value: Tensor) -> Tensor:
        """Return the mean of each pair (times, count)."""
        above, below = value.flatten().chunk(2)
        return ((above + below) / 2).reshape(self.times, self.count)

    def _loss(self, said: Tensor) -> Tensor:
        batch = replace(self._batch, made=copy.deepcopy(self._batch.made))  # one that learns has learnt nothing yet
        twice = batch.made.prediction.learns_variance
        return batch.loss(_Says(torch.cat([said, torch.zeros_like(said)], 1) if twice else said))
