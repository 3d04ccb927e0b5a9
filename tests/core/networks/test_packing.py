"""Convolutions with packed weights: the same numbers, and never those of weights that are no longer there."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from noiseform.core.networks import packing
from noiseform.core.networks.convolution import Convolution
from noiseform.core.networks.norm import Norm
from torch import nn
from torch.testing import assert_close

SPACES = {1: (700,), 2: (24, 20), 3: (4, 12, 10)}
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def held(rank: int, **settings: int) -> Convolution:
    """Return a convolution of which nothing is learnt."""
    torch.manual_seed(rank)
    return Convolution(rank, 48, 40, **settings).eval().requires_grad_(False)


def items(rank: int, count: int = 1) -> torch.Tensor:
    return torch.randn(count, *SPACES[rank], 48, generator=torch.Generator().manual_seed(7))


def expected(layer: Convolution, x: torch.Tensor) -> torch.Tensor:
    """Return the same by torch's own convolution, in float64."""
    convolve = {1: nn.functional.conv1d, 2: nn.functional.conv2d, 3: nn.functional.conv3d}[x.ndim - 2]
    made = convolve(
        x.double().movedim(-1, 1), layer.weight.double(), layer.bias.double(), layer._strides[-1], layer._paddings[-1]
    )
    return made.movedim(1, -1).float()


@pytest.fixture(autouse=True)
def _without_gradients():
    if not packing._works(torch.float32):
        pytest.skip("this torch has no packed convolutions")
    with torch.no_grad():
        yield


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("width", [1, 3, 5])
@pytest.mark.parametrize("rank", SPACES)
def test_is_the_same_convolution(rank, width, stride):
    layer = held(rank, width=width, stride=stride)
    for count in (1, 3, 1):
        x = items(rank, count)
        assert_close(layer(x), expected(layer, x), **CLOSE)
    assert layer._packed.kept is not None or width == 1  # which is too little work for it


@pytest.mark.parametrize("rank", SPACES)
def test_weights_of_bfloat16_are_packed_where_the_processor_multiplies_it(rank):
    if not packing._works(torch.bfloat16):
        pytest.skip("this processor has no products of bfloat16, or this torch no packed ones")
    layer, x = held(rank).bfloat16(), items(rank).bfloat16()
    made = layer(x)
    assert layer._packed.kept is not None
    assert made.dtype == torch.bfloat16
    assert_close(made.float(), expected(layer, x), atol=0.02, rtol=0.01)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_numbers_are_not_packed(dtype, monkeypatch):
    monkeypatch.setattr(packing, "multiplies_halves", lambda: False)
    packing._works.cache_clear()
    try:
        assert not packing._works(dtype)
    finally:
        packing._works.cache_clear()


@pytest.mark.parametrize("rank", SPACES)
def test_weights_are_packed_once(rank, monkeypatch):
    layer, x, packed = held(rank), items(rank), []
    pack = packing._packed
    monkeypatch.setattr(packing, "_packed", lambda *given: packed.append(1) or pack(*given))
    for _ in range(3):
        layer(x)
    assert packed == [1]


CHANGES = {
    "in place": lambda layer: layer.weight.mul_(2),
    "loaded": lambda layer: layer.load_state_dict({"weight": layer.weight * 2, "bias": layer.bias}),
    "assigned": lambda layer: layer.load_state_dict({"weight": layer.weight * 2, "bias": layer.bias}, assign=True),
    "another parameter": lambda layer: setattr(layer, "weight", nn.Parameter(layer.weight * 2, requires_grad=False)),
    "other data": lambda layer: setattr(layer.weight, "data", layer.weight * 2),
    "half precision and back": lambda layer: layer.to(torch.float16).to(torch.float32),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_weights_are_packed_anew(change):
    layer, x = held(2), items(2)
    layer(x)
    CHANGES[change](layer)
    layer.requires_grad_(False)
    assert_close(layer(x), expected(layer, x), **CLOSE)


@pytest.mark.parametrize("rank", SPACES)
def test_weights_that_are_learnt_are_not_packed(rank):
    layer, x = held(rank).requires_grad_(), items(rank)
    layer(x)
    assert layer._packed.kept is None
    with torch.enable_grad():
        layer.requires_grad_(False)(x.requires_grad_()).sum().backward()
    assert x.grad is not None
    assert layer._packed.kept is None


def test_copies_and_states_hold_the_weights_alone():
    layer, x = held(2), items(2)
    made = layer(x)
    other = copy.deepcopy(layer)
    assert other._packed.kept is None
    other.weight.mul_(2)
    assert_close(layer(x), made, rtol=0, atol=0)
    assert_close(other(x), expected(other, x), **CLOSE)
    assert set(layer.state_dict()) == {"weight", "bias"}


def test_weights_that_a_fused_optimizer_has_changed_are_packed_anew():
    """It raises no version of a weight (torch 2.13): that they were learnt is what tells."""
    layer, x = held(2), items(2)
    layer(x)
    layer.requires_grad_(True)
    with torch.enable_grad():
        layer(x).square().mean().backward()
        torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True).step()
    layer.requires_grad_(False)
    assert_close(layer(x), expected(layer, x), **CLOSE)


def test_weights_that_have_moved_or_shrunk_are_packed_anew():
    layer, x = held(2), items(2)
    for _ in range(20):  # others come to lie where they were
        layer(x)
        layer.weight.share_memory_()
        layer.weight = nn.Parameter(torch.randn_like(layer.weight) / 20, requires_grad=False)
        assert_close(layer(x), expected(layer, x), **CLOSE)
    layer.weight.data, layer.bias.data = layer.weight.data[:24], layer.bias.data[:24]
    assert_close(layer(x), expected(layer, x), **CLOSE)


class TestModulationsTogether:
    """Modulations of several norms, reckoned as one."""

    @staticmethod
    def parts() -> tuple[list[nn.Linear], list[Norm]]:
        torch.manual_seed(0)
        widths = (6, 10, 4)
        layers, norms = [nn.Linear(24, 2 * width) for width in widths], [Norm(width) for width in widths]
        for norm in norms:
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
        for part in (*layers, *norms):
            part.requires_grad_(False)
        return layers, norms

    @staticmethod
    def holds(together, layers, norms, x) -> bool:
        """Compare with each layer by itself: norms that are told what came of it make the same of their items."""
        for told, layer, norm in zip(together(layers, norms, x), layers, norms, strict=True):
            items = torch.randn(3, 5, norm.num_channels, dtype=x.dtype)
            one_by_one = layer(x).unflatten(-1, (2, -1))
            assert_close(norm(items, told), norm(items, one_by_one), atol=1e-6, rtol=1e-5)
            more, moved = one_by_one.repeat_interleave(3 // len(x), 0).unbind(1)
            plain = norm(items) * (1 + more.unsqueeze(1)) + moved.unsqueeze(1)
            assert_close(norm(items, told), plain, atol=1e-5, rtol=1e-5)
        return True

    def test_is_the_same_as_one_by_one(self):
        together, (layers, norms) = packing.ModulationsTogether(), self.parts()
        for rows in (1, 3, 1):
            assert self.holds(together, layers, norms, torch.randn(rows, 24))

    @pytest.mark.parametrize("part", ["weight", "bias"])
    @pytest.mark.parametrize("how", ["in place", "another", "loaded"])
    @pytest.mark.parametrize("which", ["layer", "norm"])
    def test_heeds_what_has_changed(self, part, how, which):
        together, (layers, norms) = packing.ModulationsTogether(), self.parts()
        together(layers, norms, torch.randn(1, 24))
        changed = (layers if which == "layer" else norms)[1]
        now = torch.randn_like(getattr(changed, part))
        if how == "in place":
            getattr(changed, part).copy_(now)
        elif how == "another":
            setattr(changed, part, nn.Parameter(now, requires_grad=False))
        else:
            changed.load_state_dict({**changed.state_dict(), part: now}, assign=True)
            changed.requires_grad_(False)
        assert self.holds(together, layers, norms, torch.randn(1, 24))

    @pytest.mark.parametrize("which", ["layers", "norms"])
    def test_heeds_what_a_fused_optimizer_has_changed(self, which):
        together, (layers, norms) = packing.ModulationsTogether(), self.parts()
        x, learnt = torch.randn(1, 24), layers if which == "layers" else norms
        together(layers, norms, x)
        for part in learnt:
            part.requires_grad_(True)
        with torch.enable_grad():
            assert together(layers, norms, x) is None
            sum(part.weight.square().sum() + part.bias.square().sum() for part in learnt).backward()
            torch.optim.AdamW([each for part in learnt for each in part.parameters()], lr=0.1, fused=True).step()
        for part in learnt:
            part.requires_grad_(False)
        assert self.holds(together, layers, norms, x)

    def test_heeds_another_dtype(self):
        together, (layers, norms) = packing.ModulationsTogether(), self.parts()
        together(layers, norms, torch.randn(1, 24))
        doubled = [[part.double() for part in parts] for parts in (layers, norms)]
        assert self.holds(together, *doubled, torch.randn(1, 24, dtype=torch.float64))

    def test_norms_of_bfloat16_are_told_in_float32(self):
        layers, norms = ([part.bfloat16() for part in parts] for parts in self.parts())
        told = packing.ModulationsTogether()(layers, norms, torch.randn(1, 24).bfloat16())
        assert {each.dtype for one in told for each in one} == {torch.float32}

    def test_a_copy_begins_empty(self):
        together = packing.ModulationsTogether()
        together(*self.parts(), torch.randn(1, 24))
        assert together.kept is not None
        assert copy.deepcopy(together).kept is None
        assert pickle.loads(pickle.dumps(together)).kept is None

    def test_not_of_layers_that_are_more_or_learn(self):
        together, x = packing.ModulationsTogether(), torch.randn(1, 24)
        learnt, hooked, derived, unbiased, normed, watched = (self.parts() for _ in range(6))
        learnt[0][0].weight.requires_grad_()
        hooked[0][1].register_forward_hook(lambda layer, given, made: made + 1)
        derived[0][2] = torch.nn.modules.linear.NonDynamicallyQuantizableLinear(24, 8).requires_grad_(False)
        unbiased[0][2] = nn.Linear(24, 8, bias=False).requires_grad_(False)
        normed[1][0].bias.requires_grad_()
        watched[1][2].register_forward_hook(lambda norm, given, made: made + 1)
        for parts in (learnt, hooked, derived, unbiased, normed, watched):
            assert together(*parts, x) is None
        with torch.enable_grad():
            assert together(*self.parts(), x) is None
