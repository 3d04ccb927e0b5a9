"""Products by oneDNN: torch's own numbers and gradients, whatever lies how in memory, and no byte of the threads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from noiseform.core.networks import products
from noiseform.core.networks.products import linear, product, quick, quick_halves
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.testing import assert_close

ROWS, INNER, OUT = 96, 160, 112  # more multiplications than the bound


@pytest.fixture(autouse=True)
def tried_anew() -> Iterator[None]:
    works = products._works
    works.cache_clear()
    yield
    works.cache_clear()


def parts(*, seed: int = 0) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(*size, generator=generator) for size in ((2, ROWS // 2, INNER), (OUT, INNER), (OUT,)))


def exact(x, weight, bias):
    return functional.linear(x.double(), weight.double(), bias.double())


def test_such_products_are_quick_here():
    x, weight, _ = parts()
    assert ROWS * INNER * OUT > products.FEW
    assert quick(x, weight, ROWS * INNER * OUT), "oneDNN is not used: its operator has changed, or torch is without it"


@pytest.mark.skipif(not products.multiplies_halves(), reason="this processor does not multiply bfloat16 itself")
def test_they_are_tried_as_well_where_training_comes_first():
    """Under autocast, as a model's first call is in training: what is found out there holds for the whole process."""
    halves = torch.ones(4, 4, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        assert quick_halves(halves, halves)
    x, weight, _ = parts()
    assert quick(x, weight, ROWS * INNER * OUT)


def test_they_are_tried_as_well_where_another_device_is_the_usual_one():
    x, weight, _ = parts()
    with torch.device("meta"):
        assert quick(x, weight, ROWS * INNER * OUT)


def test_tensors_without_numbers_are_left_to_torch():
    x, weight, _ = parts()
    products._works()
    with FakeTensorMode() as mode:
        seen = [mode.from_tensor(one) for one in (x, weight)]
        assert not quick(*seen, ROWS * INNER * OUT)
        assert not quick_halves(*(one.bfloat16() for one in seen))


@pytest.mark.parametrize("with_bias", [True, False])
def test_values_are_those_of_float64(with_bias):
    x, weight, bias = parts()
    if not with_bias:
        bias = torch.zeros(OUT)
    with torch.no_grad():
        found = linear(x, weight, bias if with_bias else None)
    assert found.shape == (2, ROWS // 2, OUT)
    assert_close(found.double(), exact(x, weight, bias), rtol=1e-5, atol=1e-5)


def test_weights_may_lie_in_memory_in_any_way():
    x, weight, _ = parts()
    wide = torch.zeros(OUT, 3 * INNER)
    wide[:, INNER : 2 * INNER] = weight
    with torch.no_grad():
        plain = product(x, weight)
        assert_close(product(x, weight.T.contiguous().T), plain, rtol=1e-6, atol=1e-5)
        assert torch.equal(product(x, wide[:, INNER : 2 * INNER]), plain)  # of columns of a wider matrix
        assert torch.equal(product(x.transpose(0, 1).contiguous().transpose(0, 1), weight), plain)


def test_gradients_and_their_gradients_are_torchs_own():
    x, weight, bias = (part.requires_grad_() for part in parts())
    by_torch = [part.detach().double().requires_grad_() for part in (x, weight, bias)]

    def gradients(function, inputs):
        first = torch.autograd.grad(function(*inputs).square().mean(), inputs, create_graph=True)
        # What a penalty on the gradient needs.
        return [*first, *torch.autograd.grad(first[0].square().sum() + first[1].square().sum(), inputs[:2])]

    for one, other in zip(gradients(linear, [x, weight, bias]), gradients(functional.linear, by_torch), strict=True):
        assert_close(one.double(), other, rtol=1e-4, atol=1e-7)


def test_only_the_gradients_that_are_wanted_are_made():
    x, weight, bias = parts()
    weight.requires_grad_()
    linear(x, weight, bias).sum().backward()
    assert weight.grad is not None
    assert_close(weight.grad[0], x.sum((0, 1)), rtol=1e-4, atol=1e-4)
    x.requires_grad_()
    linear(x, weight.detach(), bias).sum().backward()
    assert_close(x.grad[0, 0], weight.detach().sum(0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("rows", "inner", "out"), [(64, 1152, 128), (33, 4608, 96), (1024, 32, 1024), (300, 1024, 33)])
def test_bytes_do_not_depend_on_the_number_of_threads(rows, inner, out):
    x, weight = torch.randn(rows, inner), torch.randn(out, inner)
    before, made = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 8):
            torch.set_num_threads(threads)
            made.append(product(x, weight))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(made[0], other) for other in made[1:])


@pytest.mark.parametrize("how", ["double", "bfloat16", "few", "autocast", "no operator", "wrong operator"])
def test_all_else_is_torchs_own(how, monkeypatch):
    x, weight, bias = parts()
    if how in ("double", "bfloat16"):
        x, weight, bias = (part.to(getattr(torch, "float64" if how == "double" else how)) for part in (x, weight, bias))
    if how == "few":
        x = x[:, :1]
    if how == "no operator":
        monkeypatch.setattr(products, "product", lambda *given: torch.ops.mkldnn._no_such(*given))
    elif how == "wrong operator":
        monkeypatch.setattr(products, "product", lambda x, weight, bias: 2 * functional.linear(x, weight, bias))
    else:
        monkeypatch.setattr(products, "_Linear", None)
        monkeypatch.setattr(products, "product", lambda *given: pytest.fail("by oneDNN"))
        monkeypatch.setattr(products, "_works", lambda: True)
    with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
        assert torch.equal(linear(x, weight, bias), functional.linear(x, weight, bias))
