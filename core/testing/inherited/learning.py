"""What the suites of parts that may learn share: weights by a seed, out of a module and into another, and learning."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from fnmatch import fnmatch
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...machine.devices import seeded
from ...registration.parameters import describe
from ...registration.plugin_loading import reason_of
from ..finding import Finding, holds, same, skip
from ..suite import Suite
from ..tried_on.numbers import normal

__all__ = ["LearningSuite", "stirred"]


def stirred(part: Any) -> Any:
    """Move every weight that learns away from where it starts, so that none stands at zero; return the part."""
    if isinstance(part, nn.Module):
        with torch.no_grad():
            for name, weight in part.named_parameters():
                if weight.requires_grad:
                    scale = 0.5 * weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.2
                    noise = normal(1, weight.numel(), purpose=name).reshape(weight.shape)
                    weight.add_((scale * noise).to(weight))
    return part


class LearningSuite(Suite, ABC):
    """A part that may be a torch module, and the checks that hold for any such part.

    A suite of such a kind says what the part's answer is, and by what it learns.

    Attributes:
        unused: names of parameters that need not learn, which may have ``*`` in them.
    """

    unused: ClassVar[Sequence[str]] = ()

    @abstractmethod
    def _answer(self, part: Any) -> Tensor:
        """Return what a part makes of inputs that are always the same, as one tensor."""

    @abstractmethod
    def _loss(self, part: Any) -> Tensor:
        """Return a number by which all that it has to learn learns."""

    def made(self, **host: object) -> Any:
        """Return the part, made anew from one seed, whatever the state of torch's global generator."""
        with seeded(0):
            return super().made(**host)

    def _started(self, seed: int) -> Any:
        """Return the part as it starts with a seed, in evaluation."""
        with seeded(seed):
            part = super().made(**self.host())
        return part.eval() if isinstance(part, nn.Module) else part

    def _ready(self) -> Any:
        """Return the part as it is used: in evaluation, with no weight at zero."""
        return stirred(self._started(0))

    def _module(self, *, ready: bool = True) -> nn.Module:
        """Return the part, if it is a torch module; leave the check out otherwise."""
        part = self._ready() if ready else self._started(0)
        if not isinstance(part, nn.Module):
            skip("it is no torch module, and has no weights")
        return part

    def test_weights_go_out_and_in_again(self) -> None:
        """The weights of one, put into another that began otherwise, make it the same: nothing else is drawn or kept.

        That is what a file of a model holds.
        """
        first, second = self._module(), self._started(1)
        state = {name: value.clone() for name, value in first.state_dict().items()}
        try:
            second.load_state_dict(state, strict=True)
        except (RuntimeError, KeyError) as error:
            raise Finding(f"its state_dict does not go into another of its kind: {reason_of(error)}") from error
        told = "its weights in another of its kind, beside itself (register as a buffer what else it draws or measures)"
        same(self._answer(second), self._answer(first), told)

    def test_copies_are_alike_and_apart(self) -> None:
        """A copy answers as the original does, and still does when the original's weights change."""
        part = self._ready()
        expected = self._answer(part)
        twin = copy.deepcopy(part)
        same(self._answer(twin), expected, "a deep copy beside the original")
        if isinstance(part, nn.Module) and any(weight.requires_grad for weight in part.parameters()):
            stirred(part)
            same(self._answer(twin), expected, "a deep copy once the original's weights have changed")

    def test_seed_makes_the_weights(self) -> None:
        """Weights are drawn from torch's global generator, which the program seeds, and from nothing else."""
        self._module(ready=False)
        states = []
        for _ in range(2):
            with seeded(7):
                states.append(super().made(**self.host()).state_dict())
                holds(torch.initial_seed() == 7, "it seeds the global generator when it is made; leave that alone")
        for name, value in states[0].items():
            told = f"{name}: two that were made from one seed differ; draw weights with torch's global generator"
            holds(torch.equal(value, states[1][name]), told)

    def test_tensors_are_registered(self) -> None:
        """Every tensor of it is a parameter or a buffer, so that all of it goes to another device and dtype."""
        for place, module in self._module(ready=False).named_modules():
            loose = [name for name, value in vars(module).items() if isinstance(value, Tensor)]
            where = f"{place}." if place else ""
            holds(
                not loose,
                f"{where}{loose[:1]} is a plain tensor, which stays behind when the rest goes to a GPU; use "
                "register_buffer(name, value, persistent=False)",
            )

    def test_every_parameter_learns(self) -> None:
        """Each parameter gets a gradient that is finite, and not zero once no layer stands at zero any more."""
        module = self._module().train()
        if not any(weight.requires_grad for weight in module.parameters()):
            skip("it has nothing to learn")
        with seeded(0):  # dropout is training's own
            self._loss(module).backward()
        cure = "use it, leave it out, or name it in the suite's `unused`"
        for name, weight in module.named_parameters():
            if not weight.requires_grad or any(fnmatch(name, pattern) for pattern in self.unused):
                continue
            holds(weight.grad is not None, f"parameter {name} has no part in the loss; {cure}")
            assert weight.grad is not None
            holds(weight.grad.isfinite().all(), f"parameter {name} gets a gradient that is not finite")
            holds(weight.grad.any(), f"parameter {name} gets a gradient of nothing but zeros; {cure}")

    def test_settable_parameters_exist(self) -> None:
        """What may be set otherwise than in training is among its parameters."""
        part, factory = self.made(**self.host()), self.part().load()
        assert callable(factory)
        known = [parameter.name for parameter in describe(factory) if not parameter.host]
        for name in getattr(part, "settable", ()):
            holds(name in known, f"settable names {name!r}, but the parameters are {', '.join(known) or 'none'}")
