"""The suite of networks: shapes, what they hear, what they must not hear, and weights."""

from __future__ import annotations

from typing import ClassVar

import torch

from ...errors import ConfigError
from ...machine.devices import seeded
from ...pipeline.conditioning import KINDS
from ...registration.parameters import host_parameters
from ..answers import called, numbered
from ..finding import Finding, holds, no_global_draws, same, skip, unchanged
from ..inherited.network_trial import NetworkTrial
from ..tried_on.another_device import another_device, learns_on, lies_on, moved
from ..tried_on.network_inputs import SIZES, Inputs, changed
from ..tried_on.numbers import normal

__all__ = ["NetworkSuite"]

_LARGE = 10.0  # root mean square of a first output, for noise of unit variance: by taste
_ROUGH = {torch.bfloat16: 0.25, torch.float16: 0.1, torch.float32: 1e-3}
"""How far, as a share of its spread, an output may be from that in float64: such a dtype's steps, many times over."""
_ROUGH_TIME = 0.6  # the same for what another time changes, which may be little; noise in its place would give 1


class NetworkSuite(NetworkTrial):
    """Holds a network to its contract: a torch module, ``forward(x, time, cond)`` and ``item_ndim``.

    Attributes:
        channels: of an item.
        size: positions of an item along each axis of space; a usual one of its rank where it is left out.
        widths: of each kind of conditioning that it is told.
        classes: where not 0, its vector is the number of a class, below this one.
        dtypes: those that it works in.
        mixes_in_training: True where items of a batch have a say in each other while it is trained.
        hears_time: False where it sees by the items alone how noisy they are, and need not hear the time (Sun et al.
            2025, arXiv 2502.13129).
    """

    kind: ClassVar[str] = "network"

    def test_declares_what_it_is(self) -> None:
        """``item_ndim`` is a number of axes, and ``conditioning``, where it has it, names kinds that there are."""
        network = self._ready()
        rank = network.item_ndim
        holds(type(rank) is int and rank >= 0, f"item_ndim: expected a whole number from 0, got {rank!r}")
        holds(self.size is None or len(self.size) == rank, f"item_ndim is {rank}, but the suite's size is {self.size}")
        holds(self.size is not None or rank in SIZES, f"item_ndim is {rank}: say in the suite what size an item has")
        known = {*KINDS, "sequence_mask"}
        unknown = sorted(set(getattr(network, "conditioning", None) or ()) - known)
        holds(not unknown, f"conditioning names {unknown[:1]}; there are {', '.join(sorted(known))}")
        state = network.state_dict()
        for group in getattr(network, "additions", ()):
            lost = sorted(set(group) - set(state))
            holds(not lost, f"additions names {lost[:1]}, which its state_dict does not have")

    def test_keeps_shape_and_dtype(self) -> None:
        """The output has the shape and the dtype of the items, is finite, and much the same in every dtype."""
        network, exact = self._ready(), None
        for dtype in self.dtypes:
            inputs = self._inputs(network, dtype=dtype)
            with torch.no_grad():
                output = self._output(network.to(dtype), inputs)
            told = f"{dtype} (batch, channels, *space) = {tuple(inputs.x.shape)}"
            holds(output.shape == inputs.x.shape, f"items {told} came out as {tuple(output.shape)}")
            holds(output.dtype == dtype, f"items {told} came out as {output.dtype}; give the output the dtype of x")
            holds(output.isfinite().all(), f"items {told} came out with numbers that are not finite")
            exact = output.double() if exact is None else exact
            far = ((output.double() - exact).std() / exact.std()).item()
            holds(
                far < _ROUGH.get(dtype, 1.0),
                f"in {dtype} the output is {far:.2g} of its spread away from that in {self.dtypes[0]}; keep what "
                "is delicate in float32",
            )

    def test_hears_the_time_in_every_dtype(self) -> None:
        """What another time changes is much the same in every dtype: sines of large numbers are noise in bfloat16."""
        self._needs_the_time()
        network, exact = self._ready(), None
        for dtype in self.dtypes:
            inputs = self._inputs(network, rows=1, dtype=dtype).at_times(0.15, 0.4, 0.65, 0.9)
            with torch.no_grad():
                output = self._output(network.to(dtype), inputs).double()
            change = output - output.mean(0)
            exact = change if exact is None else exact
            far = ((change - exact).std() / exact.std()).item()
            holds(
                not far > _ROUGH_TIME,
                f"in {dtype} what another time changes is {far:.2g} of it away from that in {self.dtypes[0]}; take the "
                "sines of the time in float32",
            )

    def test_time_may_be_of_any_dtype(self) -> None:
        """Times in float64 mean what they mean in float32."""
        network = self._ready()
        inputs = self._inputs(network)
        with torch.no_grad():
            output = self._output(network, Inputs(inputs.x, inputs.time.double(), inputs.cond))
        self._close(output, self._answer(network), "times in float64 beside the same in float32")

    def test_takes_other_widths(self) -> None:
        """The network is as wide at its ends as the program says: channels of the output, and of each conditioning."""
        asked, tried = host_parameters(self.part().load()), 0  # type: ignore[arg-type]
        wide = {parameter: (kind, self.widths[kind] + 1) for kind, parameter in KINDS.items() if kind in self.widths}
        for parameter, (kind, width) in {"channels_out": ("output", 2 * self.channels), **wide}.items():
            try:
                network = self.made(**{**self.host(), parameter: width}).to(self.dtypes[0]).eval()
            except ConfigError:  # its parameters say how wide it is
                continue
            if parameter not in asked and "**" not in asked:
                continue
            tried += 1
            with torch.no_grad():
                output = self._output(network, self._inputs(network, widths={**self.widths, kind: width}))
            expected = width if kind == "output" else self.channels
            told = f"{parameter} = {width}: the output has {output.shape[1]} channels, expected {expected}"
            holds(output.shape[1] == expected, told)
        if not tried:
            skip("it asks for no widths, or its parameters say them all")

    def test_works_without_conditioning(self) -> None:
        """Where no conditioner gives anything, it is called with an empty mapping, or says that it needs one."""
        try:
            network = self.made(
                channels_in=self.channels, channels_out=self.channels, **dict.fromkeys(KINDS.values(), 0)
            )
        except ConfigError as error:
            skip(f"it is refused: {error}")
        inputs = self._inputs(network, widths={}, dtype=torch.float32)
        with torch.no_grad():
            output = self._output(network, inputs)
        holds(output.shape == inputs.x.shape, f"items {tuple(inputs.x.shape)} came out as {tuple(output.shape)}")

    def test_starts_at_a_usual_size(self) -> None:
        """Before any training the output for unit noise is finite, and of about unit size or less."""
        network = self.made(**self.host()).eval()
        inputs = self._inputs(network, dtype=torch.float32)
        for moment in (0.0, 0.5, 1.0):
            with torch.no_grad():
                output = self._output(network, Inputs(inputs.x, torch.full_like(inputs.time, moment), inputs.cond))
            size = output.square().mean().sqrt().item()
            told = f"at time {moment} its first output for unit noise has a root mean square of {size:.3g}"
            holds(
                size <= _LARGE, f"{told}, expected at most {_LARGE:g}; start smaller, best with a last layer of zeros"
            )

    def test_odd_sizes_work_or_are_refused(self) -> None:
        """Items of any size go through, or a ConfigError says which sizes do."""
        network = self._ready()
        for size in self._odd_sizes(network):
            inputs = self._inputs(network, size=size)
            try:
                with torch.no_grad():
                    output = self._output(network, inputs)
            except Finding as found:
                if isinstance(found.__cause__, ConfigError):
                    numbered(found.__cause__, f"an item of {size}")
                    continue
                raise
            holds(output.shape == inputs.x.shape, f"items {tuple(inputs.x.shape)} came out as {tuple(output.shape)}")
            holds(output.isfinite().all(), f"items {tuple(inputs.x.shape)} came out with numbers that are not finite")

    def test_hears_the_time(self) -> None:
        """One item at different times comes out differently, each by its own time."""
        self._needs_the_time()
        network = self._ready()
        one = self._inputs(network, rows=1)
        times = (0.5, 0.1, 0.45, 0.9)
        with torch.no_grad():
            output = self._output(network, one.at_times(*times))
        for row, time in enumerate(times[1:], start=1):
            self._differs(output[row], output[0], f"times {time} and {times[0]}")

    def test_hears_its_conditioning(self) -> None:
        """Every feature of a vector, every feature and place of a sequence and every channel beside an item counts."""
        network = self._ready()
        heard = self._heard(network)
        if not heard:
            skip("it takes no conditioning")
        one = self._inputs(network, rows=1)
        for kind in heard:
            inputs, names = changed(one, kind)
            with torch.no_grad():
                output = self._output(network, inputs)
            for row, name in enumerate(names, start=1):
                self._differs(output[row], output[0], f"two values of {name} of the {kind} of the conditioning")

    def test_sees_every_number_of_an_item(self) -> None:
        """The output depends on each channel of each position of the items, and can be derived by them."""
        network = self._ready().requires_grad_(requires_grad=False)
        inputs = self._inputs(network)
        x = inputs.x.clone().requires_grad_()
        output = self._output(network, Inputs(x, inputs.time, inputs.cond))
        holds(output.requires_grad, "the output cannot be derived by x: something on the way detaches it")
        (slope,) = torch.autograd.grad((output * normal(*output.shape, purpose="share").to(output)).sum(), x)
        blind = (slope.abs().amax(0) == 0).nonzero().tolist()
        holds(not blind, f"nothing in the output depends on x at (channel, *position) {blind[:1]}")

    def test_does_not_hear_what_is_masked(self) -> None:
        """Of a sequence only what its mask says counts: all without a mask, nothing where all of it is False."""
        network = self._ready()
        inputs = self._inputs(network)
        if "sequence" not in inputs.cond:
            skip("it takes no sequence")
        sequence, mask = inputs.cond["sequence"], inputs.cond["sequence_mask"]
        other = torch.where(mask.unsqueeze(-1), sequence, sequence + 5)
        with torch.no_grad():
            expected = self._output(network, inputs)
            output = self._output(network, Inputs(inputs.x, inputs.time, {**inputs.cond, "sequence": other}))
            self._close(output, expected, "other values where sequence_mask says that there is nothing")
            whole = {**inputs.cond, "sequence_mask": torch.ones_like(mask)}
            bare = {kind: value for kind, value in whole.items() if kind != "sequence_mask"}
            outputs = [self._output(network, Inputs(inputs.x, inputs.time, cond)) for cond in (whole, bare)]
            nothing = {**inputs.cond, "sequence_mask": mask & (torch.arange(len(mask)) > 0).unsqueeze(1)}
            empty = [
                self._output(network, Inputs(inputs.x, inputs.time, {**nothing, "sequence": one}))
                for one in (sequence, other)
            ]
        self._close(outputs[1], outputs[0], "a sequence without a mask beside one whose mask is True throughout")
        told = "an item whose sequence_mask is False throughout"
        holds(empty[0].isfinite().all(), f"{told} came out with numbers that are not finite")
        self._close(empty[1], empty[0], f"{told}, with other values there")

    def test_items_do_not_depend_on_their_batch(self) -> None:
        """An item alone comes out as it does in a batch."""
        network = self._ready()
        inputs = self._inputs(network)
        together = self._answer(network)
        for row in range(len(inputs.x)):
            with torch.no_grad():
                alone = self._output(network, inputs.rows(row, row + 1))
            self._close(alone[0], together[row], f"item {row} alone beside the same in a batch")

    def test_items_do_not_mix_in_training(self) -> None:
        """In training too, an item's output does not depend on the other items of its batch."""
        if self.mixes_in_training:
            skip("the suite says that they do")
        network = self._ready().train()
        inputs = self._inputs(network)
        x = inputs.x.clone().requires_grad_()
        with seeded(0):
            output = self._output(network, Inputs(x, inputs.time, inputs.cond))
        (slope,) = torch.autograd.grad((output[0] * normal(*output.shape, purpose="share").to(output)[0]).sum(), x)
        leak = (slope[1:].abs().max() / slope[0].abs().max()).item()
        holds(leak < 1e-9, f"in training an item depends on others of its batch ({leak:.2g} as much as on itself)")

    def test_is_deterministic(self) -> None:
        """In evaluation nothing is drawn and nothing kept: whatever came between, and with gradients or without."""
        network = self._ready()
        inputs, before = self._inputs(network), {name: value.clone() for name, value in network.state_dict().items()}
        with seeded(11), no_global_draws():
            first = self._answer(network)
        with torch.no_grad():
            self._close(self._output(network, inputs.rows(0, 2)), first[:2], "two items after three")
            self._close(self._output(network, inputs.turned()), first.flip(0), "a batch in the opposite order")
        same(self._answer(network), first, "one call twice, with others between them (is something kept, or drawn?)")
        moved = [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]
        holds(not moved, f"a call in evaluation changed {moved[:1]}")
        self._close(self._output(network, inputs).detach(), first, "a call with gradients beside one without")
        with torch.inference_mode():
            self._close(self._output(network, inputs).clone(), first, "a call in inference mode beside one without")

    def test_leaves_its_inputs_alone(self) -> None:
        """Neither items nor times nor conditioning are changed in place, in evaluation and in training."""
        network = self._ready()
        inputs = self._inputs(network)
        with unchanged(**inputs.named()), torch.no_grad():
            self._output(network, inputs)
        with unchanged(**inputs.named()), seeded(0):
            self._output(network.train(), inputs)

    def test_memory_may_lie_anyhow(self) -> None:
        """Tensors with gaps between their numbers, as parts of others have them, come out as compact ones do."""
        network = self._ready()
        with torch.no_grad():
            output = self._output(network, self._inputs(network).scattered())
        self._close(output, self._answer(network), "tensors that are not contiguous beside the same that are")

    def test_keeps_the_device(self) -> None:
        """What it makes on the way lies where its weights and inputs lie, on a GPU too, in use and when it learns."""
        network = self._ready().to(torch.float32)
        inputs = self._inputs(network, dtype=torch.float32)
        with another_device() as device, seeded(0):
            network = moved(network, device)
            x, time, cond = (moved(one, device) for one in (inputs.x, inputs.time, dict(inputs.cond)))
            with torch.no_grad():
                lies_on(device, network(x, time, cond), "forward")
            output = network.train()(x, time, cond)
            lies_on(device, output, "forward in training")
            if output.requires_grad:
                learns_on(device, output.sum(), network)

    def test_is_made_on_meta(self) -> None:
        """The program first makes it without memory, on the device ``meta``, to see what it is and how large."""
        with torch.device("meta"):
            trial = called("making it on the device meta", lambda: self.made(**self.host()))
        network = self.made(**self.host())
        for name, weight in network.named_parameters():
            other = dict(trial.named_parameters()).get(name)
            holds(
                other is not None and other.shape == weight.shape,
                f"parameter {name} is {tuple(weight.shape)}, but on the device meta "
                f"{'missing' if other is None else tuple(other.shape)}",
            )

    def _needs_the_time(self) -> None:
        if not self.hears_time:
            skip("the suite says that it needs no time")
