"""Objectives that are wrong in one way each, of a plain regression and of one that learns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...diffusion.denoiser import Cond
from ...diffusion.level import Level
from ...diffusion.prediction import EPS, Prediction, V
from ...diffusion.process import CompleteProcess, level_at
from .mutant import Mutant

__all__ = ["MUTANTS"]


class Regression:
    """The mean squared error of v: an original."""

    prediction = V

    def times(self, u: Tensor, process: CompleteProcess) -> Tensor:
        return u.clamp(1e-4, 1 - 1e-4)

    def loss(
        self, network: nn.Module, process: CompleteProcess, x0: Tensor, t: Tensor, eps: Tensor, cond: Cond
    ) -> Tensor:
        exact = level_at(process, t)
        level = exact.like(x0)
        x, time = self.shown(x0, eps, level, exact)
        return self.of_item(network(x, time.to(x0), cond) - self.target(x0, eps, level))

    def shown(self, x0: Tensor, eps: Tensor, level: Level[Tensor], exact: Level[Tensor]) -> tuple[Tensor, Tensor]:
        return (level.alpha * x0 + level.sigma * eps) * self.prediction.scale(level), self.prediction.time(exact)

    def target(self, x0: Tensor, eps: Tensor, level: Level[Tensor]) -> Tensor:
        return self.prediction.target(x0, eps, level)

    def of_item(self, error: Tensor) -> Tensor:
        return error.square().flatten(1).mean(1)


class _Mean(nn.Module):
    """A running mean of losses."""

    size: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("size", torch.ones((), dtype=torch.float64))


class Learning(Regression):
    """Divides losses by the mean of those before, so that they stay at 1: an original that learns."""

    def __init__(self) -> None:
        self.memory = _Mean()

    def of_item(self, error: Tensor) -> Tensor:
        return self.divided(super().of_item(error), self.memory.size)

    def divided(self, losses: Tensor, size: Tensor) -> Tensor:
        before = size.to(losses.dtype, copy=True)
        size.lerp_(losses.detach().double().mean().to(size.device), 0.1)
        return losses / before


class _OneForAll(Regression):
    def of_item(self, error):  # type: ignore[no-untyped-def]
        return super().of_item(error).mean()


class _OneForEachNumber(Regression):
    def of_item(self, error):  # type: ignore[no-untyped-def]
        return error.square()


class _PicturesOnly(Regression):
    def of_item(self, error):  # type: ignore[no-untyped-def]
        return error.square().mean((1, 2, 3))


class _Rounds(Regression):
    def of_item(self, error):  # type: ignore[no-untyped-def]
        return super().of_item(error.float())


class _InTheNetworksDtype(Regression):
    def loss(self, network, process, x0, t, eps, cond):  # type: ignore[no-untyped-def]
        said = network(x0, t.to(x0.dtype), cond)
        return super().loss(network, process, x0, t, eps, cond).to(said.dtype)


class _TimesOnTheCPU(Regression):
    """Hands on the times that it was given, wherever the items lie."""

    def loss(self, network, process, x0, t, eps, cond):  # type: ignore[no-untyped-def]
        exact = level_at(process, t)
        level = exact.like(x0)
        x, time = self.shown(x0, eps, level, exact)
        return self.of_item(network(x, time.to(x0.dtype), cond) - self.target(x0, eps, level))


class _ComparedWithOthers(Regression):
    def of_item(self, error):  # type: ignore[no-untyped-def]
        losses = super().of_item(error)
        return losses / losses.detach().mean()


class _CentredOnTheBatch(Regression):
    def of_item(self, error):  # type: ignore[no-untyped-def]
        return super().of_item(error - 0.1 * error.mean(0, keepdim=True))


class _AnotherTarget(Regression):
    def target(self, x0, eps, level):  # type: ignore[no-untyped-def]
        return EPS.target(x0, eps, level)


class _WrongSign(Regression):
    """Takes v for alpha eps + sigma x0."""

    def target(self, x0, eps, level):  # type: ignore[no-untyped-def]
        return level.alpha * eps + level.sigma * x0


class _ABitTooLarge(Regression):
    def target(self, x0, eps, level):  # type: ignore[no-untyped-def]
        return 1.02 * super().target(x0, eps, level)


class _MoreAboveThanBelow(Regression):
    """Counts what is too large less than what is too small."""

    def of_item(self, error):  # type: ignore[no-untyped-def]
        return super().of_item(torch.where(error > 0, error, 1.5 * error))


class _LikesErrors(Regression):
    def of_item(self, error):  # type: ignore[no-untyped-def]
        return -super().of_item(error)


class _SaysNothing(Regression):
    """Predicts x_t, of which the network was shown the same."""

    prediction = Prediction("x", lambda level: (level.alpha, level.sigma))


class _Misread(Prediction):
    def x0(self, output, x, level):  # type: ignore[no-untyped-def]
        return 0.99 * super().x0(output, x, level)


class _ReadOtherwise(Regression):
    """Reads its prediction back by other factors than it makes it by."""

    prediction = _Misread(V.name, V.factors)


class _Detached(Regression):
    def of_item(self, error):  # type: ignore[no-untyped-def]
        return super().of_item(error.detach()).requires_grad_()


class _HalfTheGradient(Regression):
    def of_item(self, error):  # type: ignore[no-untyped-def]
        return (error * error.detach()).flatten(1).mean(1)


class _WritesIntoX0(Regression):
    def shown(self, x0, eps, level, exact):  # type: ignore[no-untyped-def]
        x0 += 1e-3
        return super().shown(x0, eps, level, exact)


class _GoesBackward(Regression):
    def of_item(self, error):  # type: ignore[no-untyped-def]
        losses = super().of_item(error)
        if losses.requires_grad:
            losses.sum().backward(retain_graph=True)
        return losses


class _Evaluates(Regression):
    def loss(self, network, *given):  # type: ignore[no-untyped-def]
        return super().loss(network.eval(), *given)


class _OwnNoise(Regression):
    def loss(self, network, process, x0, t, eps, cond):  # type: ignore[no-untyped-def]
        return super().loss(network, process, x0, t, torch.randn_like(eps), cond)


class _RoundTimes(Regression):
    def times(self, u, process):  # type: ignore[no-untyped-def]
        return super().times(u, process).float()


class _Indices(Regression):
    """Gives numbers of a table where times are asked for."""

    def times(self, u, process):  # type: ignore[no-untyped-def]
        return (u * 1000).floor()


class _OneTime(Regression):
    def times(self, u, process):  # type: ignore[no-untyped-def]
        return torch.full_like(u, 0.5)


class _NearTheDataOnly(Regression):
    def times(self, u, process):  # type: ignore[no-untyped-def]
        return super().times(0.8 * u, process)


class _SpreadOverTheBatch(Regression):
    """Spreads times over a batch, as training has done already."""

    def times(self, u, process):  # type: ignore[no-untyped-def]
        places = torch.arange(len(u), dtype=torch.float64)
        return super().times((places + u[0]) / len(u), process)


class _InfiniteAtTheData(Regression):
    """Weighs by 1 / sigma**2 at t = 0 too."""

    def times(self, u, process):  # type: ignore[no-untyped-def]
        return u.clone()

    def loss(self, network, process, x0, t, eps, cond):  # type: ignore[no-untyped-def]
        return super().loss(network, process, x0, t, eps, cond) / level_at(process, t).sigma.to(x0.dtype) ** 2


class _ShowsTheAnswer(Regression):
    def shown(self, x0, eps, level, exact):  # type: ignore[no-untyped-def]
        return x0, super().shown(x0, eps, level, exact)[1]


class _ShowsUnscaled(Regression):
    def shown(self, x0, eps, level, exact):  # type: ignore[no-untyped-def]
        return level.alpha * x0 + level.sigma * eps, super().shown(x0, eps, level, exact)[1]


class _TellsIndices(Regression):
    def shown(self, x0, eps, level, exact):  # type: ignore[no-untyped-def]
        x, time = super().shown(x0, eps, level, exact)
        return x, 1000 * time


class _DropsTheCondition(Regression):
    def loss(self, network, process, x0, t, eps, cond):  # type: ignore[no-untyped-def]
        return super().loss(network, process, x0, t, eps, {})


class _HasNoMemory(Learning):
    """Learns, and tells nobody."""

    def __init__(self) -> None:
        self._of = _Mean()

    def of_item(self, error):  # type: ignore[no-untyped-def]
        return self.divided(Regression.of_item(self, error), self._of.size)


class _ForgetsAPart(Learning):
    """Counts its steps beside its memory."""

    _steps = 0

    def times(self, u, process):  # type: ignore[no-untyped-def]
        return super().times(u, process) ** (1 + 0.1 * min(self._steps, 5))

    def of_item(self, error):  # type: ignore[no-untyped-def]
        self._steps += 1
        return super().of_item(error)


_LEAST, _SHOWN = "test_the_ideal_network_has_the_least_loss", "test_network_is_shown_what_a_run_shows"

MUTANTS = (
    Mutant("the original: regression on v", Regression, None),
    Mutant("the original: one that learns", Learning, None),
    Mutant("has one loss for all items", _OneForAll, "test_loss_is_one_number_an_item"),
    Mutant("has a loss for each number", _OneForEachNumber, "test_loss_is_one_number_an_item"),
    Mutant("takes every item for a picture", _PicturesOnly, "test_loss_is_one_number_an_item"),
    Mutant("works in float32", _Rounds, "test_loss_is_one_number_an_item"),
    Mutant("takes over the network's half precision", _InTheNetworksDtype, "test_takes_networks_of_half_precision"),
    Mutant("leaves times on the CPU", _TimesOnTheCPU, "test_keeps_the_device"),
    Mutant("measures an item by the others", _ComparedWithOthers, "test_items_do_not_depend_on_their_batch"),
    Mutant("centres errors on their batch", _CentredOnTheBatch, "test_items_do_not_depend_on_their_batch"),
    Mutant("has the target of another prediction", _AnotherTarget, _LEAST),
    Mutant("has a wrong sign in its target", _WrongSign, _LEAST),
    Mutant("has a target that is 2 % too large", _ABitTooLarge, _LEAST),
    Mutant("prefers too much to too little", _MoreAboveThanBelow, _LEAST),
    Mutant("rewards errors", _LikesErrors, _LEAST),
    Mutant("predicts what it shows", _SaysNothing, "test_says_what_is_predicted"),
    Mutant("reads its prediction otherwise", _ReadOtherwise, "test_prediction_can_be_read_back"),
    Mutant("detaches the network", _Detached, "test_gradients_are_those_of_the_loss"),
    Mutant("has half its gradient", _HalfTheGradient, "test_gradients_are_those_of_the_loss"),
    Mutant("writes into the items", _WritesIntoX0, "test_leaves_its_inputs_alone"),
    Mutant("goes backward itself", _GoesBackward, "test_leaves_its_inputs_alone"),
    Mutant("switches the network to evaluation", _Evaluates, "test_leaves_its_inputs_alone"),
    Mutant("draws noise of its own", _OwnNoise, "test_is_deterministic"),
    Mutant("gives times in float32", _RoundTimes, "test_times_are_times"),
    Mutant("gives indices of a table", _Indices, "test_times_are_times"),
    Mutant("looks at one time", _OneTime, "test_times_cover_the_process"),
    Mutant("never looks at noise", _NearTheDataOnly, "test_times_cover_the_process"),
    Mutant("spreads times over a batch", _SpreadOverTheBatch, "test_a_time_depends_on_its_number_alone"),
    Mutant("weighs the data infinitely", _InfiniteAtTheData, "test_loss_is_finite_at_every_time"),
    Mutant("shows the network the answer", _ShowsTheAnswer, _SHOWN),
    Mutant("shows items as large as they are", _ShowsUnscaled, _SHOWN),
    Mutant("tells the network indices", _TellsIndices, _SHOWN),
    Mutant("drops the condition", _DropsTheCondition, _SHOWN),
    Mutant("learns without a memory", _HasNoMemory, "test_keeps_what_it_learns_in_its_memory"),
    Mutant("has a part of its memory elsewhere", _ForgetsAPart, "test_keeps_what_it_learns_in_its_memory"),
)
