"""The suite of objectives: a prediction that can be read back, losses of each item alone, and where they are least."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...diffusion.level import Level
from ...diffusion.objective import Objective
from ...diffusion.prediction import Prediction
from ...diffusion.process import CompleteProcess, level_at, levels_at
from ..finding import Finding, holds, no_global_draws, same, skip, unchanged
from ..suite import Suite
from ..tried_on.another_device import another_device, lies_on, moved
from ..tried_on.items_and_processes import ITEMS, PROCESSES, process_of
from ..tried_on.regression import Batch, Pairs, SmallNetwork, batch_of

__all__ = ["ObjectiveSuite"]

NUMBERS = (0.0, 1e-12, 1e-3, 0.25, 0.5, 0.75, 0.999, 1 - 2**-24, 1 - 2**-53)
"""Numbers in [0, 1), the outermost among them, that training may turn into times."""


class ObjectiveSuite(Suite):
    """Holds an objective to its contract: ``prediction``, ``times(u, process)`` and ``loss(network, ...)``.

    It is tried on those built-in processes whose data its prediction can tell at t = 1.

    Attributes:
        covers: times between which training looks on the process flow, at the least; a run visits all.
        learns_the_mean: False where the loss of a single Gaussian is least elsewhere than at the posterior mean.
        shows_what_runs_show: False where the network is shown something else in training than in a run.
        stops_gradients: True where a part of the loss does not teach all that it depends on.

    Source: for the minimum, Vincent 2011, Neural Computation 23(7), section 4; the pairs are antithetic variates,
    Hammersley and Morton 1956.
    """

    kind: ClassVar[str] = "objective"
    covers: ClassVar[tuple[float, float]] = (0.1, 0.9)
    learns_the_mean: ClassVar[bool] = True
    shows_what_runs_show: ClassVar[bool] = True
    stops_gradients: ClassVar[bool] = False

    def test_says_what_is_predicted(self) -> None:
        """``prediction`` is a Prediction, from which the clean item can be told at t = 1 of some process."""
        made = self.made()
        for name in ("prediction", "times", "loss"):
            holds(hasattr(made, name), f"the objective has no {name}")
        told = type(made.prediction).__name__
        holds(isinstance(made.prediction, Prediction), f"prediction: expected a Prediction, got a {told}")
        holds(any(self._served()), f"{made.prediction.name} tells the clean item at t = 1 of no process; correct it")

    def test_prediction_can_be_read_back(self) -> None:
        """Clean item and noise come back from what the network should say of them, at every level."""
        for name, process, made in self._served():
            prediction, t = made.prediction, torch.linspace(0.02, 0.98, 13, dtype=torch.float64)
            x0, eps, _ = batch_of(len(t), (2, 3))
            level = level_at(process, t).like(x0)
            x = level.alpha * x0 + level.sigma * eps
            output = prediction.target(x0, eps, level)
            told = f"{name}: read back from what the network should say, the"
            same(prediction.x0(output, x, level), x0, f"{told} clean item", rtol=1e-7, atol=1e-7)
            for which, got, wanted in zip(
                ("clean item", "noise"), prediction.pair(output, x, level), (x0, eps), strict=True
            ):
                same(got, wanted, f"{told} {which}", rtol=1e-6, atol=1e-6)
            for row, one in enumerate(levels_at(process, t)):
                same(
                    prediction.x0(output[row], x[row], one), x0[row], f"{told} clean item of one", rtol=1e-7, atol=1e-7
                )

    def test_times_are_times(self) -> None:
        """Numbers in [0, 1), the outermost too, become float64 times within [0, 1]."""
        for name, process, made in self._served():
            for numbers in (NUMBERS, NUMBERS[:1]):
                u = torch.tensor(numbers, dtype=torch.float64)
                with unchanged(u=u):
                    t = made.times(u, process)
                holds(isinstance(t, Tensor), f"times: expected a tensor, got a {type(t).__name__}")
                holds(t.shape == u.shape, f"times: expected shape {tuple(u.shape)}, got {tuple(t.shape)}")
                holds(t.dtype == torch.float64, f"times: expected float64, got {t.dtype}")
                holds(((t >= 0) & (t <= 1)).all(), f"{name}: times: expected numbers in [0, 1], got {t.tolist()}")

    def test_times_cover_the_process(self) -> None:
        """Numbers that lie evenly become times from near the data to near the noise."""
        for name, process, made in self._served():
            t = made.times((torch.arange(2048, dtype=torch.float64) + 0.5) / 2048, process)
            holds(len(t.unique()) > 1, f"{name}: all times are one; `u` are numbers spread evenly over [0, 1)")
            if name == "flow":
                (low, high), least, most = self.covers, t.min().item(), t.max().item()
                told = f"times are drawn from {least:.3g} to {most:.3g}"
                holds(least < low and most > high, f"{told}, not from {low} to {high}; or say covers = (…, …)")

    def test_a_time_depends_on_its_number_alone(self) -> None:
        """A number alone, among others and in another order becomes the same time."""
        for name, process, made in self._served():
            u = (torch.arange(16, dtype=torch.float64) + 0.5) / 16
            t = made.times(u, process)
            alone = torch.cat([made.times(one[None], process) for one in u])
            same(alone, t, f"{name}: times of each number alone beside all at once", rtol=1e-9, atol=1e-12)
            same(made.times(u.flip(0), process).flip(0), t, f"{name}: times in another order", rtol=1e-9, atol=1e-12)

    def test_loss_is_one_number_an_item(self) -> None:
        """Items of every rank have one finite loss each, in their dtype, in batches of one too."""
        for item, shape in ITEMS.items():
            for dtype in (torch.float64, torch.float32):
                for rows in (1, 3):
                    batch = self._batch(rows, shape, dtype=dtype)
                    _right(self._loss(batch), batch.x0, f"{item} of {dtype}, {rows} at once")

    def test_loss_is_finite_at_every_time(self) -> None:
        """So it is at every time that training may draw, in float32, whatever the process."""
        for name, process, made in self._served():
            x0, eps, cond = batch_of(len(NUMBERS), (2, 4), dtype=torch.float32)
            t = made.times(torch.tensor(NUMBERS, dtype=torch.float64), process)
            _right(self._loss(Batch(made, process, x0, t, eps, cond)), x0, f"{name}, at t = {t.tolist()}")

    def test_takes_networks_of_half_precision(self) -> None:
        """A network under autocast says bfloat16; losses keep the dtype of the items."""
        batch = self._batch(3, (2, 4), dtype=torch.float32)
        network = SmallNetwork(batch.made.prediction, said_in=torch.bfloat16)
        _right(batch.loss(network), batch.x0, "under a network that says bfloat16")

    def test_keeps_the_device(self) -> None:
        """Losses lie where the items do, on a GPU too; numbers and times lie on the CPU."""
        batch = self._batch(3, (2, 4), dtype=torch.float32)
        with another_device() as device:
            there = {name: moved(getattr(batch, name), device) for name in ("x0", "eps", "cond")}
            loss = replace(batch, **there).loss(SmallNetwork(batch.made.prediction).to(device))
            lies_on(device, loss, "loss")

    def test_items_do_not_depend_on_their_batch(self) -> None:
        """An item has the loss that it has alone; another beside it changes nothing."""
        for name, _, _ in self._served():
            together = self._loss(self._batch(4, (2, 3), under=name))
            for row in range(4):
                alone = self._batch(4, (2, 3), under=name).rows([row])
                told = f"{name}: the loss of item {row} alone beside that in a batch"
                same(self._loss(alone)[0], together[row], told, rtol=1e-9, atol=1e-12)

    def test_leaves_its_inputs_alone(self) -> None:
        """Items, noise, times, conditions and the network stay as they are; backward is the program's to call."""
        batch = self._batch(4, (2, 3))
        network = SmallNetwork(batch.made.prediction)
        weights = network.weights.detach()
        with unchanged(x0=batch.x0, eps=batch.eps, t=batch.t, **batch.cond, **{"the network's weights": weights}):
            batch.loss(network)
        holds(network.training, "the network was switched to evaluation; leave it as it is")
        holds(network.weights.grad is None, "loss went backward itself; return the losses, training does that")

    def test_is_deterministic(self) -> None:
        """Two objects give the same losses, and nothing is drawn from a global generator: noise is ``eps``."""
        with no_global_draws():
            one = self._loss(self._batch(4, (2, 3)))
        same(self._loss(self._batch(4, (2, 3))), one, "losses of another object")

    def test_gradients_are_those_of_the_loss(self) -> None:
        """They reach every weight of the network, and are what finite differences see."""
        batch = self._batch(6, (2, 3))
        network = SmallNetwork(batch.made.prediction)
        loss = batch.loss(network).mean()
        holds(loss.requires_grad, "the loss knows no gradient of the network; it was detached on the way")
        (gradient,) = torch.autograd.grad(loss, network.weights)
        holds(torch.isfinite(gradient).all() and (gradient != 0).all(), f"gradients: got {gradient.tolist()}")
        if self.stops_gradients:
            return
        seen = []
        for place in range(len(gradient)):
            ends = []
            for side in (-1e-5, 1e-5):
                moved = SmallNetwork(batch.made.prediction)
                with torch.no_grad():
                    moved.weights[place] += side
                    ends.append(self._loss(self._batch(6, (2, 3)), moved).mean().item())
            seen.append((ends[1] - ends[0]) / 2e-5)
        told = "gradients beside finite differences of the loss (where it is so meant, say stops_gradients = True)"
        scale = gradient.abs().max().item()
        same(gradient, torch.tensor(seen, dtype=torch.float64), told, rtol=1e-5, atol=1e-6 * scale)

    def test_the_ideal_network_has_the_least_loss(self) -> None:
        """On data whose posterior mean is known, the loss is least where the network says that, at every time."""
        if not self.learns_the_mean:
            skip("the suite says that it is least elsewhere")
        for name, process, made in self._served():
            pairs = Pairs(made, process)
            for feature, slope, doubt in pairs.slopes():
                wrong = (slope.abs() > doubt).nonzero().flatten().tolist()
                told = (
                    f"{name}: a network that says the posterior mean would be led away from it, along {feature}, at t ="
                )
                holds(
                    not wrong,
                    f"{told} {[round(pairs.t[at].item(), 4) for at in wrong[:3]]}; hold target and reading together",
                )
            rise, doubt = pairs.rise()
            holds(
                rise.mean() > 0 and (rise >= -doubt).all(), f"{name}: another network than the ideal one has less loss"
            )

    def test_network_is_shown_what_a_run_shows(self) -> None:
        """In training it sees ``prediction.scale * x_t``, ``prediction.time`` and the condition, as in a run."""
        for name, _, _ in self._served():
            batch = self._batch(4, (2, 3), under=name)
            network = SmallNetwork(batch.made.prediction)
            batch.loss(network)
            told = f"{name}: the network"
            holds(network.told, f"{told} was not called")
            for x, time, _ in network.told:
                holds(
                    x.shape[1:] == batch.x0.shape[1:] and x.dtype == batch.x0.dtype,
                    f"{told} saw {tuple(x.shape)} {x.dtype}",
                )
                holds(
                    time.shape == x.shape[:1],
                    f"{told} was told times of shape {tuple(time.shape)}, expected one an item",
                )
            right = any(torch.equal(cond.get("vector", x), batch.cond["vector"]) for x, _, cond in network.told)
            holds(right, f"{told} was not given the condition of its items; hand `cond` on")
            if self.shows_what_runs_show:
                self._as_in_a_run(network.told, batch, told)

    def test_keeps_what_it_learns_in_its_memory(self) -> None:
        """What it learns of the losses is in the buffers of ``memory``: another object with these goes on alike."""
        name, process, made = self._first()
        x0, eps, cond = batch_of(200, (1,))
        for turn in range(12):
            u = (torch.arange(200, dtype=torch.float64) + (turn + 0.5) / 12) / 200
            self._loss(Batch(made, process, x0, made.times(u, process), eps, cond))
        memory, other = getattr(made, "memory", None), self.made()
        cure = "keep what it learns in buffers of a torch module, its attribute memory"
        if memory is not None:
            holds(
                isinstance(memory, torch.nn.Module), f"memory: expected a torch module, got a {type(memory).__name__}"
            )
            other.memory.load_state_dict(memory.state_dict())
            cure = "keep all of it in buffers of memory"
        t = made.times(u, process)
        same(other.times(u, process), t, f"{name}: times of another object with the same memory ({cure})")
        one, two = (self._loss(Batch(which, process, x0, t, eps, cond)) for which in (made, other))
        same(two, one, f"{name}: losses of another object with the same memory ({cure})")

    def _served(self, *only: str | None) -> Iterator[tuple[str, CompleteProcess, Objective]]:
        """Give the processes that its prediction goes with, each with an object of its own."""
        prediction = self.made().prediction
        for name in PROCESSES:
            if (not any(only) or name in only) and prediction.blindness(process_of(name)) is None:
                yield name, process_of(name), self.made()

    def _first(self, only: str | None = None) -> tuple[str, CompleteProcess, Objective]:
        """Return the first of these."""
        for served in self._served(only):
            return served
        raise Finding("its prediction tells the clean item at t = 1 of no process, so that there is nothing to try")

    def _batch(
        self, rows: int, item: Sequence[int], *, dtype: torch.dtype = torch.float64, under: str | None = None
    ) -> Batch:
        """Return items of an objective made anew, at times that it draws itself."""
        _, process, made = self._first(under)
        x0, eps, cond = batch_of(rows, item, dtype=dtype)
        u = (torch.arange(rows, dtype=torch.float64) + 0.5) / rows
        return Batch(made, process, x0, made.times(u, process), eps, cond)

    def _loss(self, batch: Batch, network: SmallNetwork | None = None) -> Tensor:
        """Return its losses, without their gradients."""
        return batch.loss(SmallNetwork(batch.made.prediction) if network is None else network).detach()

    def _as_in_a_run(self, told: Sequence[tuple[Tensor, Tensor, Any]], batch: Batch, who: str) -> None:
        prediction = batch.made.prediction
        exact: Level[Tensor] = level_at(batch.process, batch.t)
        level = exact.like(batch.x0)
        x = (level.alpha * batch.x0 + level.sigma * batch.eps) * prediction.scale(level)
        near = [one for one, _, _ in told if one.shape == x.shape and torch.allclose(one, x, rtol=1e-5, atol=1e-6)]
        cure = "or say shows_what_runs_show = False"
        holds(near, f"{who} was not shown prediction.scale * x_t, which a run will show it; {cure}")
        time = prediction.time(exact)
        right = [
            one for _, one, _ in told if one.shape == time.shape and torch.allclose(one, time, rtol=1e-5, atol=1e-6)
        ]
        holds(right, f"{who} was told {told[0][1].tolist()} as time, a run will tell it {time.tolist()}; {cure}")


def _right(loss: object, x0: Tensor, where: str) -> None:
    holds(isinstance(loss, Tensor), f"loss: expected a tensor, got a {type(loss).__name__}")
    assert isinstance(loss, Tensor)
    expected = (len(x0),)
    holds(loss.shape == expected, f"{where}: loss: expected one number an item, {expected}, got {tuple(loss.shape)}")
    holds(loss.dtype == x0.dtype, f"{where}: loss: expected {x0.dtype} like the items, got {loss.dtype}")
    holds(torch.isfinite(loss).all(), f"{where}: the loss is not finite: {loss.tolist()}")
