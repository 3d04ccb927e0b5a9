"""Networks that are wrong in one way each, of a few convolutions that are told all there is."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .convolutions import Convolutions
from .mutant import Mutant
from .networks_made import MUTANTS as MADE

__all__ = ["MUTANTS"]


class _Timeless(Convolutions):
    def told(self, time, cond, dtype):  # type: ignore[no-untyped-def]
        return super().told(torch.full_like(time, 0.5), cond, dtype)


class _TimeOfTheFirst(Convolutions):
    def told(self, time, cond, dtype):  # type: ignore[no-untyped-def]
        return super().told(time[:1].expand(len(time)), cond, dtype)


class _Deaf(Convolutions):
    """Hears only the first two features of the vector."""

    def told(self, time, cond, dtype):  # type: ignore[no-untyped-def]
        if "vector" in cond:
            cond = {**cond, "vector": functional.pad(cond["vector"][:, :2], (0, cond["vector"].shape[1] - 2))}
        return super().told(time, cond, dtype)


class _FirstPlace(Convolutions):
    """Reads the first place of a sequence alone."""

    def told(self, time, cond, dtype):  # type: ignore[no-untyped-def]
        if "sequence" in cond:
            cond = {kind: value[:, :1] if "sequence" in kind else value for kind, value in cond.items()}
        return super().told(time, cond, dtype)


class _BlindBeside(Convolutions):
    """Looks at the first of the channels that lie beside an item, in the place of all."""

    def forward(self, x, time, cond):  # type: ignore[no-untyped-def]
        if "channels" in cond:
            cond = {**cond, "channels": cond["channels"][:, :1].expand_as(cond["channels"])}
        return super().forward(x, time, cond)


class _Unmasked(Convolutions):
    def told(self, time, cond, dtype):  # type: ignore[no-untyped-def]
        return super().told(time, {kind: value for kind, value in cond.items() if kind != "sequence_mask"}, dtype)


class _NothingIsNaN(Convolutions):
    """Attends to what the mask leaves, by a softmax that has no value where it leaves nothing."""

    def read(self, places, mask):  # type: ignore[no-untyped-def]
        shares = places.mean(-1).masked_fill(~mask, -torch.inf).softmax(-1)
        return (places * shares.unsqueeze(-1)).sum(1)


class _NeedsTheMask(Convolutions):
    def told(self, time, cond, dtype):  # type: ignore[no-untyped-def]
        return super().told(
            time, {**cond, "sequence_mask": cond["sequence_mask"]} if "sequence" in cond else cond, dtype
        )


class _NeedsTheVector(Convolutions):
    def told(self, time, cond, dtype):  # type: ignore[no-untyped-def]
        return super().told(time, cond, dtype) + 0 * cond["vector"].to(dtype).sum()


class _Centres(Convolutions):
    """Subtracts the mean of the batch."""

    def changed(self, hidden):  # type: ignore[no-untyped-def]
        return super().changed(hidden - hidden.mean(0, keepdim=True))


class _BatchNorm(Convolutions):
    def __init__(self, **host: int) -> None:
        super().__init__(**host)
        self.norm = nn.BatchNorm1d(12)

    def changed(self, hidden):  # type: ignore[no-untyped-def]
        return super().changed(self.norm(hidden))


class _Widens(Convolutions):
    def forward(self, x, time, cond):  # type: ignore[no-untyped-def]
        made = super().forward(x, time, cond)
        return made.float() if made.dtype == torch.bfloat16 else made


class _RoughTime(Convolutions):
    """Takes the sines of the time in the dtype of the items."""

    def told(self, time, cond, dtype):  # type: ignore[no-untyped-def]
        return super().told((1000 * time).to(dtype), cond, dtype)


class _OneDtypeOfTime(Convolutions):
    def told(self, time, cond, dtype):  # type: ignore[no-untyped-def]
        return super().told(time.view(torch.int32).view(torch.float32), cond, dtype)


class _TimeOnTheCPU(Convolutions):
    """Makes the frequencies of its time on the CPU, wherever the rest lies."""

    def frequencies(self, time):  # type: ignore[no-untyped-def]
        return super().frequencies(torch.zeros(1))


class _TrainsOnTheCPU(Convolutions):
    """Weighs channels in training by a tensor on the CPU."""

    def changed(self, hidden):  # type: ignore[no-untyped-def]
        return super().changed(hidden * torch.ones(hidden.shape[1:]) if self.training else hidden)


class _Fetched(torch.autograd.Function):
    """What comes in, whose gradient is left on the CPU."""

    @staticmethod
    def forward(ctx, value):  # type: ignore[no-untyped-def]
        return value.clone()

    @staticmethod
    def backward(ctx, slope):  # type: ignore[no-untyped-def]
        return slope.cpu()


class _LearnsOnTheCPU(Convolutions):
    def changed(self, hidden):  # type: ignore[no-untyped-def]
        return super().changed(_Fetched.apply(hidden))  # type: ignore[no-untyped-call]


class _GradientOnTheCPU(Convolutions):
    """Its last step is on the CPU, where no kernel comes after it."""

    def __init__(self, **host: int) -> None:
        super().__init__(**host)
        self.share = nn.Parameter(torch.ones(12, 1))

    def changed(self, hidden):  # type: ignore[no-untyped-def]
        return super().changed(hidden * _Fetched.apply(self.share))  # type: ignore[no-untyped-call]


class _WritesIntoX(Convolutions):
    def forward(self, x, time, cond):  # type: ignore[no-untyped-def]
        return super().forward(x.mul_(0.5), time, cond)


class _WritesIntoTheVector(Convolutions):
    def told(self, time, cond, dtype):  # type: ignore[no-untyped-def]
        if "vector" in cond:
            cond["vector"].clamp_(-1, 1)
        return super().told(time, cond, dtype)


class _AlwaysDrops(Convolutions):
    def changed(self, hidden):  # type: ignore[no-untyped-def]
        return functional.dropout(super().changed(hidden), 0.1, training=True)


class _Remembers(Convolutions):
    """Keeps what it was told for as long as the batch is of one size."""

    before: Tensor | None = None

    def told(self, time, cond, dtype):  # type: ignore[no-untyped-def]
        if self.before is None or len(self.before) != len(time) or self.before.dtype != dtype:
            object.__setattr__(self, "before", super().told(time, cond, dtype).detach())
        return self.before


class _Counts(Convolutions):
    calls: Tensor

    def __init__(self, **host: int) -> None:
        super().__init__(**host)
        self.register_buffer("calls", torch.zeros(()))

    def changed(self, hidden):  # type: ignore[no-untyped-def]
        self.calls += 1
        return super().changed(hidden)


class _Halves(Convolutions):
    """Works at half the resolution, and takes every size for an even one."""

    def changed(self, hidden):  # type: ignore[no-untyped-def]
        return super().changed(functional.avg_pool1d(hidden, 2)).repeat_interleave(2, -1)


class _BlindAtTheEnd(Convolutions):
    def forward(self, x, time, cond):  # type: ignore[no-untyped-def]
        return super().forward(functional.pad(x[..., :-1], (0, 1)), time, cond)


class _Detaches(Convolutions):
    def forward(self, x, time, cond):  # type: ignore[no-untyped-def]
        return super().forward(x.detach(), time, cond)


class _Views(Convolutions):
    def forward(self, x, time, cond):  # type: ignore[no-untyped-def]
        return super().forward(x.view(len(x), -1).view(x.shape), time, cond)


MUTANTS = (
    Mutant("the original: a few convolutions", Convolutions, None),
    Mutant("the original: one that needs no time", _Timeless, None, {"hears_time": False}),
    Mutant("does not hear the time", _Timeless, "test_hears_the_time"),
    Mutant("takes the time of the first item for all", _TimeOfTheFirst, "test_hears_the_time"),
    Mutant("hears the first features of the vector alone", _Deaf, "test_hears_its_conditioning"),
    Mutant("reads the first place of a sequence alone", _FirstPlace, "test_hears_its_conditioning"),
    Mutant("looks at one of the channels beside an item", _BlindBeside, "test_hears_its_conditioning"),
    Mutant("does not heed the mask", _Unmasked, "test_does_not_hear_what_is_masked"),
    Mutant("gives NaN where the mask leaves nothing", _NothingIsNaN, "test_does_not_hear_what_is_masked"),
    Mutant("cannot do without a mask", _NeedsTheMask, "test_does_not_hear_what_is_masked"),
    Mutant("cannot do without a vector", _NeedsTheVector, "test_works_without_conditioning"),
    Mutant("subtracts the mean of the batch", _Centres, "test_items_do_not_depend_on_their_batch"),
    Mutant("normalises over the batch in training", _BatchNorm, "test_items_do_not_mix_in_training"),
    Mutant("gives another dtype back", _Widens, "test_keeps_shape_and_dtype"),
    Mutant("takes sines of the time in bfloat16", _RoughTime, "test_hears_the_time_in_every_dtype"),
    Mutant("takes every time for a float32", _OneDtypeOfTime, "test_time_may_be_of_any_dtype"),
    Mutant("makes tensors on the CPU", _TimeOnTheCPU, "test_keeps_the_device"),
    Mutant("makes tensors on the CPU in training", _TrainsOnTheCPU, "test_keeps_the_device"),
    Mutant("takes gradients on the CPU", _LearnsOnTheCPU, "test_keeps_the_device"),
    Mutant("leaves a gradient on the CPU", _GradientOnTheCPU, "test_keeps_the_device"),
    Mutant("writes into x", _WritesIntoX, "test_leaves_its_inputs_alone"),
    Mutant("writes into the conditioning", _WritesIntoTheVector, "test_leaves_its_inputs_alone"),
    Mutant("drops activations in evaluation", _AlwaysDrops, "test_is_deterministic"),
    Mutant("remembers what it was told", _Remembers, "test_is_deterministic"),
    Mutant("counts its calls in a buffer", _Counts, "test_is_deterministic"),
    Mutant("takes every size for an even one", _Halves, "test_odd_sizes_work_or_are_refused"),
    Mutant("does not see the last position", _BlindAtTheEnd, "test_sees_every_number_of_an_item"),
    Mutant("cannot be derived by x", _Detaches, "test_sees_every_number_of_an_item"),
    Mutant("wants x in one piece of memory", _Views, "test_memory_may_lie_anyhow"),
    *MADE,
)
