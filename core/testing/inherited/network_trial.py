"""A network as its suite calls it: made in one dtype, told all that it takes, and what it says compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...pipeline.conditioning import KINDS
from ...registration.parameters import host_parameters
from ..answers import called
from ..finding import holds, same
from ..tried_on.network_inputs import SIZES, Inputs, drawn_inputs
from ..tried_on.numbers import normal
from .learning import LearningSuite

__all__ = ["NetworkTrial"]


class NetworkTrial(LearningSuite):
    """What the checks of a network share; the attributes are those of ``NetworkSuite``."""

    channels: ClassVar[int] = 3
    size: ClassVar[Sequence[int] | None] = None
    widths: ClassVar[Mapping[str, int]] = {"vector": 7, "sequence": 6, "channels": 2}
    classes: ClassVar[int] = 0
    dtypes: ClassVar[Sequence[torch.dtype]] = (torch.float64, torch.float32, torch.bfloat16)
    mixes_in_training: ClassVar[bool] = False
    hears_time: ClassVar[bool] = True

    def host(self) -> dict[str, object]:
        """Return channels and widths."""
        widths = {parameter: self.widths[kind] for kind, parameter in KINDS.items() if kind in self.widths}
        return {"channels_in": self.channels, "channels_out": self.channels, **widths}

    def _started(self, seed: int) -> Any:
        """Return the network as it starts with a seed, in evaluation and the first dtype that it works in."""
        network = super()._started(seed)
        holds(isinstance(network, nn.Module), f"expected a torch module, got {type(network).__name__}")
        return network.to(self.dtypes[0])

    def _answer(self, part: Any) -> Tensor:
        """Return its output."""
        with torch.no_grad():
            return self._output(part, self._inputs(part))

    def _loss(self, part: Any) -> Tensor:
        """Return a random share of its output."""
        output = self._output(part, self._inputs(part))
        return (output * normal(*output.shape, purpose="share").to(output)).sum()

    def _heard(self, network: Any) -> list[str]:
        """Return the kinds of conditioning that it takes: those it declares, or those whose width it asks for."""
        declared = getattr(network, "conditioning", None)
        if declared is None:
            asked = host_parameters(self.part().load())  # type: ignore[arg-type]
            declared = [kind for kind, parameter in KINDS.items() if parameter in asked or "**" in asked]
        return [kind for kind in KINDS if kind in declared and kind in self.widths]

    def _inputs(
        self,
        network: Any,
        *,
        size: Sequence[int] | None = None,
        widths: Mapping[str, int] | None = None,
        rows: int = 3,
        dtype: torch.dtype | None = None,
    ) -> Inputs:
        """Return what the network is called with."""
        given = self.widths if widths is None else widths
        kinds = {kind: given[kind] for kind in self._heard(network) if kind in given}
        size = self._size_of(network) if size is None else size
        dtype = self.dtypes[0] if dtype is None else dtype
        return drawn_inputs(kinds, self.channels, size, rows=rows, classes=self.classes, dtype=dtype)

    def _size_of(self, network: Any) -> Sequence[int]:
        return SIZES.get(network.item_ndim, ()) if self.size is None else self.size

    def _odd_sizes(self, network: Any) -> Iterator[tuple[int, ...]]:
        size = self._size_of(network)
        if size:
            yield tuple(one + 1 for one in size)
            yield tuple(max(1, one // 2 - 1) for one in size)
            yield (2 * size[0] + 1, *size[1:])

    def _output(self, network: Any, inputs: Inputs) -> Tensor:
        """Return what a network says, as a Finding where that is no tensor."""
        output = called(
            f"forward, for items {tuple(inputs.x.shape)},", network, inputs.x, inputs.time, dict(inputs.cond)
        )
        holds(isinstance(output, Tensor), f"forward: expected a tensor, got {type(output).__name__}")
        assert isinstance(output, Tensor)
        return output

    def _close(self, made: Tensor, expected: Tensor, told: str) -> None:
        tolerance = 1e-6 if self.dtypes[0] == torch.float64 else 1e-3
        same(made, expected, told, atol=tolerance * max(1.0, expected.abs().max().item()))

    def _differs(self, made: Tensor, other: Tensor, told: str) -> None:
        tolerance = 1e-7 if self.dtypes[0] == torch.float64 else 1e-4
        change = (made.double() - other.double()).abs().max().item()
        holds(change > tolerance * other.abs().max().item(), f"{told} make no difference to the output")
