"""Networks that are wrong in how they are made, in their weights or in what they declare."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from .convolutions import Convolutions
from .mutant import Mutant

__all__ = ["MUTANTS"]


class _DeadWeight(Convolutions):
    def __init__(self, **host: int) -> None:
        super().__init__(**host)
        self.second = nn.Linear(3, 3)


class _LooseTensor(Convolutions):
    def __init__(self, **host: int) -> None:
        super().__init__(**host)
        self.scale = torch.tensor(0.5)

    def changed(self, hidden):  # type: ignore[no-untyped-def]
        return super().changed(hidden) * self.scale


class _ForgetsAWeight(Convolutions):
    """Draws something that does not go into files."""

    waves: Tensor

    def __init__(self, **host: int) -> None:
        super().__init__(**host)
        self.register_buffer("waves", torch.rand(12, 1), persistent=False)

    def changed(self, hidden):  # type: ignore[no-untyped-def]
        return super().changed(hidden) * self.waves


class _Seeds(Convolutions):
    def __init__(self, **host: int) -> None:
        torch.manual_seed(3)
        super().__init__(**host)


class _DrawsByNumpy(Convolutions):
    def __init__(self, **host: int) -> None:
        super().__init__(**host)
        self.body.weight.data += (
            torch.from_numpy(np.random.default_rng().normal(size=(12, 12, 3))).float().to(self.body.weight)
        )


class _CopyIsItself(Convolutions):
    def __deepcopy__(self, memo: object) -> _CopyIsItself:
        return self


class _LooksAtWeights(Convolutions):
    def __init__(self, **host: int) -> None:
        super().__init__(**host)
        self.norm = self.body.weight.square().mean().item()


class _StartsLarge(Convolutions):
    def __init__(self, **host: int) -> None:
        super().__init__(**host)
        nn.init.normal_(self.leave.weight, std=100.0)


class _AsWideAsItsItems(Convolutions):
    """Takes no heed of how many channels the output is to have."""

    def __init__(self, *, channels_in: int, channels_out: int, **host: int) -> None:
        super().__init__(channels_in=channels_in, channels_out=channels_in, **host)


class _OneAxisTooMany(Convolutions):
    item_ndim = 2


class _RankIsText(Convolutions):
    item_ndim = "1"


class _UnknownKind(Convolutions):
    conditioning = frozenset({"vector", "sequence", "channels", "caption"})


class _UnknownAddition(Convolutions):
    additions = (frozenset({"temporal.weight"}),)


class _SettableByNoName(Convolutions):
    settable = ("depth",)


MUTANTS = (
    Mutant("has a layer that it does not use", _DeadWeight, "test_every_parameter_learns"),
    Mutant("holds a tensor that is not registered", _LooseTensor, "test_tensors_are_registered"),
    Mutant("draws something that no file holds", _ForgetsAWeight, "test_weights_go_out_and_in_again"),
    Mutant("seeds the global generator", _Seeds, "test_seed_makes_the_weights"),
    Mutant("draws weights by a generator of its own", _DrawsByNumpy, "test_seed_makes_the_weights"),
    Mutant("its copy is itself", _CopyIsItself, "test_copies_are_alike_and_apart"),
    Mutant("looks at its weights when it is made", _LooksAtWeights, "test_is_made_on_meta"),
    Mutant("starts a hundred times too large", _StartsLarge, "test_starts_at_a_usual_size"),
    Mutant("gives as many channels as it takes", _AsWideAsItsItems, "test_takes_other_widths"),
    Mutant("says that items have an axis more", _OneAxisTooMany, "test_keeps_shape_and_dtype"),
    Mutant("gives its rank as text", _RankIsText, "test_declares_what_it_is"),
    Mutant("takes a kind of conditioning that there is not", _UnknownKind, "test_declares_what_it_is"),
    Mutant("adds weights that it does not have", _UnknownAddition, "test_declares_what_it_is"),
    Mutant("lets a parameter be set that it does not have", _SettableByNoName, "test_settable_parameters_exist"),
)
