"""Attention: the way by hand and torch's own give the same, and the same gradients."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import pytest
import torch
from noiseform.core.networks import attention, products
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint


def read(queries: int, keys: int, *, few: int, masked: bool, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Return what is read, and the gradients of all three."""
    monkeypatch.setattr(attention, "_FEW", few)
    generator = torch.Generator().manual_seed(0)
    parts = [
        torch.randn(3, 2, length, 8, dtype=torch.float64, generator=generator, requires_grad=True)
        for length in (queries, keys, keys)
    ]
    mask = (torch.arange(keys) < torch.tensor([[1], [keys // 2], [keys]])) if masked else None
    found = attention.attend(*parts, mask)
    assert found.shape == (3, queries, 16)
    return [found.detach(), *torch.autograd.grad(found.square().sum(), parts)]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("queries", "keys"), [(7, 7), (5, 12)])
def test_both_ways_are_the_same(queries, keys, masked, monkeypatch):
    by_hand = read(queries, keys, few=10_000, masked=masked, monkeypatch=monkeypatch)
    fused = read(queries, keys, few=0, masked=masked, monkeypatch=monkeypatch)
    for one, other in zip(by_hand, fused, strict=True):
        assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_an_item_without_anything_to_read_reads_zeros(monkeypatch):
    mask = torch.tensor([[True, False], [False, False]])
    read_by = []
    for few in (10_000, 0):
        monkeypatch.setattr(attention, "_FEW", few)
        parts = [torch.ones(2, 1, 2, 4, requires_grad=True) for _ in range(3)]
        found = attention.attend(*parts, mask)
        gradients = torch.autograd.grad(found.sum(), parts)
        assert all(bool(torch.isfinite(one).all()) for one in gradients)
        read_by.append(found.detach())
    assert_close(*read_by)
    assert not read_by[0][1].any()


def test_sampling_and_long_sequences_take_torch_s_own(monkeypatch):
    taken = []
    monkeypatch.setattr(
        attention.functional,
        "scaled_dot_product_attention",
        lambda queries, *others, **options: taken.append(queries.shape[-2]) or queries,
    )
    short, long = (torch.zeros(1, 1, length, 8, requires_grad=True) for length in (4, 300))
    attention.attend(short, short, short)
    assert taken == []
    attention.attend(long, long, long)
    with torch.no_grad():
        attention.attend(short, short, short)
    assert taken == [300, 4]


@pytest.mark.parametrize("scores", [1, 700, attention._SCORES])
@pytest.mark.parametrize("strided", [False, True])
def test_many_positions_are_read_by_products_as_by_torch(scores, strided, monkeypatch):
    monkeypatch.setattr(attention, "_SCORES", scores)
    monkeypatch.setattr(attention, "_QUERIES", 1)
    monkeypatch.setattr(attention, "_FEW", 0)
    monkeypatch.setattr(attention, "quick", lambda *given: True)
    taken = []
    monkeypatch.setattr(attention, "product", lambda *given: taken.append(0) or products.product(*given))
    generator = torch.Generator().manual_seed(0)
    # 40 queries of 24 keys; of one matrix each, as a layer that makes all heads at once lays them.
    tokens = [torch.randn(3, length, 2 * 16, generator=generator) for length in (40, 24, 24)]
    parts = [attention.split(each, 2) for each in tokens]
    if not strided:
        parts = [part.contiguous() for part in parts]
    parts = [part.detach().requires_grad_() for part in parts]
    doubled = [part.detach().double().requires_grad_() for part in parts]
    found = attention.attend(*parts)
    assert taken
    exact = (doubled[0] @ doubled[1].mT / 4).softmax(-1) @ doubled[2]
    exact = exact.transpose(1, 2).flatten(2)
    assert_close(found.double(), exact, rtol=0, atol=1e-6)
    weights = torch.randn(found.shape, generator=generator)
    gradients = torch.autograd.grad((found * weights).sum(), parts)
    for one, other in zip(gradients, torch.autograd.grad((exact * weights).sum(), doubled), strict=True):
        assert_close(one.double(), other, rtol=0, atol=1e-5)
    with torch.no_grad():
        assert torch.equal(attention.attend(*parts), found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shares_are_kept_for_gradients_or_made_again_the_same(dtype, monkeypatch):
    """They are kept up to a bound, beside the queries, keys and values that either way has."""
    monkeypatch.setattr(attention, "quick_halves", lambda *given: True)
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(3, 2, 300, 32, generator=generator).to(dtype).requires_grad_() for _ in range(3)]
    shares = 3 * 2 * 300 * 300 * dtype.itemsize

    def read_up_to(bound: int) -> tuple[list[Tensor], int]:
        """Return what is read and the gradients, and how many bytes were kept for them."""
        saved: list[int] = []
        monkeypatch.setattr(attention, "_KEPT", bound)
        with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x.nbytes) or x, lambda x: x):
            read = attention.attend(*parts)
        return [read, *torch.autograd.grad(read.float().square().sum(), parts)], sum(saved)

    (kept, more), (again, fewer) = read_up_to(shares), read_up_to(shares - 1)
    assert fewer == sum(part.nbytes for part in parts)
    assert more == fewer + shares
    for one, other in zip(kept, again, strict=True):
        assert torch.equal(one, other)


@pytest.fixture
def by_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """All attention takes products, in blocks of a few queries."""
    monkeypatch.setattr(attention, "_FEW", 0)
    monkeypatch.setattr(attention, "_SCORES", 1)
    monkeypatch.setattr(attention, "_QUERIES", 8)
    monkeypatch.setattr(attention, "quick", lambda *given: True)


def tokens(rows: int = 2, positions: int = 40, width: int = 16) -> Tensor:
    return torch.randn(rows, 2, positions, width, generator=torch.Generator().manual_seed(positions)).requires_grad_()


@pytest.mark.usefixtures("by_products")
@pytest.mark.parametrize("bound", [0, attention._KEPT])
@pytest.mark.parametrize("offset", [0.0, 30.0, 500.0, -500.0])
def test_scores_may_be_of_any_size(offset, bound, monkeypatch):
    """All that a query's scores have in common makes no difference, nor that another query's differ."""
    monkeypatch.setattr(attention, "_KEPT", bound)
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(2, 2, length, 16, generator=generator) for length in (40, 24, 24)]
    parts[0][..., 0] = 4 * offset
    parts[0][..., :13, 0] = 0
    parts[1][..., 0] = 1.0
    parts = [part.requires_grad_() for part in parts]
    doubled = [part.detach().double().requires_grad_() for part in parts]
    found = attention.attend(*parts)
    exact = ((doubled[0] @ doubled[1].mT / 4).softmax(-1) @ doubled[2]).transpose(1, 2).flatten(2)
    near = 2e-7 * max(5.0, abs(offset))  # as float32 holds the scores
    assert_close(found.double(), exact, rtol=0, atol=near)
    gradients = torch.autograd.grad(found.square().sum(), parts)
    for one, other in zip(gradients, torch.autograd.grad(exact.square().sum(), doubled), strict=True):
        assert_close(one.double(), other, rtol=0, atol=10 * near * max(1.0, float(other.abs().max())))


def with_threads(make: Callable[[], Tensor], *numbers: int) -> list[Tensor]:
    """Return what is made with each number of threads."""
    before, made = torch.get_num_threads(), []
    try:
        for number in numbers:
            torch.set_num_threads(number)
            made.append(make())
    finally:
        torch.set_num_threads(before)
    return made


def test_bytes_of_attention_do_not_depend_on_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(attention, "quick", lambda *given: True)
    # Of few keys, since among many a weight that is off by a bit is lost.
    parts = [tokens(1, length, 32).detach() for length in (9_999, 33, 33)]
    first, *others = with_threads(lambda: attention.attend(*parts), 1, 2, 3)
    assert all(torch.equal(first, other) for other in others)


@pytest.mark.parametrize("numbers", [1, 31, 1_000, 32_768, 32_799, 65_537, 99_999, 140_001, 999 * 999])
def test_powers_of_two_do_not_depend_on_the_number_of_threads(numbers):
    scores = 10 * torch.randn(numbers, generator=torch.Generator().manual_seed(0))
    first, *others = with_threads(lambda: attention._powers_of_two(scores.clone()), 1, 2, 3, 5, 16)
    assert all(torch.equal(first, other) for other in others)
    assert_close(first.double(), 2 ** scores.double(), rtol=3e-7, atol=0)


@pytest.mark.usefixtures("by_products")
def test_nan_is_passed_on():
    """Of one query, to what it reads only; of a key, to all queries of its head."""
    parts = [tokens().detach() for _ in range(3)]
    parts[0][0, 0, 3, 2] = float("nan")
    parts[1][1, 1, 5, 2] = float("nan")
    found = attention.split(attention.attend(*parts), 2).isnan()
    expected = torch.zeros_like(found)
    expected[0, 0, 3] = expected[1, 1] = True
    assert torch.equal(found, expected)


@pytest.mark.usefixtures("by_products")
@pytest.mark.parametrize("bound", [0, attention._KEPT])
def test_what_is_saved_is_asked_for_once(bound, monkeypatch):
    """As checkpoints want it, and what is brought back from elsewhere is brought once."""
    monkeypatch.setattr(attention, "_KEPT", bound)
    parts = [tokens(), tokens(positions=24), tokens(positions=24)]
    plain = torch.autograd.grad(attention.attend(*parts).square().sum(), parts)
    again = checkpoint(attention.attend, *parts, use_reentrant=False)
    for one, other in zip(plain, torch.autograd.grad(again.square().sum(), parts), strict=True):
        assert torch.equal(one, other)


@pytest.mark.usefixtures("by_products")
def test_gradients_of_many_blocks_hold_on_to_few(monkeypatch):
    """What blocks give to keys and values is added up as it comes."""
    monkeypatch.setattr(attention, "_KEPT", 0)
    parts, alive = [tokens(positions=400) for _ in range(3)], []

    def product(*given: Tensor) -> Tensor:
        made = products.product(*given)
        alive.append(weakref.ref(made))
        most.append(sum(one() is not None for one in alive))
        return made

    read, most = attention.attend(*parts), []
    monkeypatch.setattr(attention, "product", product)
    torch.autograd.grad(read.square().sum(), parts)
    assert len(most) >= 5 * 400 / 8
    assert max(most) < 12


@pytest.mark.usefixtures("by_products")
def test_values_may_be_of_another_width_and_there_may_be_no_rows():
    queries, keys, values = tokens(), tokens(positions=24), tokens(positions=24, width=6)
    found = attention.attend(queries, keys, values)
    assert_close(found, functional.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2))
    for rows, positions in ((0, 40), (2, 0)):
        empty = attention.attend(tokens(rows, positions), tokens(rows), tokens(rows))
        assert empty.shape == (rows, positions, 32)
        assert empty.grad_fn is not None


def test_sampling_and_training_of_sound_take_products():
    queries = torch.randn(1, 1, 512, 32)
    assert attention.quick(queries, queries, 512 * 512 * 32)
    found = attention.attend(*[queries.requires_grad_()] * 3)
    names, node = [], found.grad_fn
    while node is not None:
        names.append(type(node).__name__)
        node = node.next_functions[0][0] if node.next_functions else None
    assert any("ByProducts" in name for name in names), names


@pytest.mark.parametrize("sharp", [1, 8])
def test_products_of_halves_are_about_as_near_as_torch_s_own(sharp, monkeypatch):
    """In sampling; in training, where scores are rounded, a few hundredths away at most, however large they are."""
    monkeypatch.setattr(attention, "quick_halves", lambda *given: True)
    generator = torch.Generator().manual_seed(0)
    halves = [torch.randn(2, 2, 300, 32, generator=generator).bfloat16() for _ in range(3)]
    halves[0] *= sharp  # the largest scores are of 4, and of 32
    exact = [part.double().requires_grad_() for part in halves]
    weights = torch.randn(2, 300, 64, generator=generator)

    def by_torch(*parts: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)

    def off(found: Tensor, true: Tensor) -> float:
        return ((found.detach().double() - true).norm() / true.norm()).item()

    wanted = by_torch(*exact)
    gradients = torch.autograd.grad((wanted * weights).sum(), exact)
    assert off(attention.attend(*halves), wanted) < 1.5 * off(by_torch(*halves), wanted) < 0.01
    learning = [part.clone().requires_grad_() for part in halves]
    with torch.autocast("cpu", torch.bfloat16):
        read = attention.attend(*learning)
    assert read.dtype == torch.bfloat16
    assert off(read, wanted) < 0.03
    for found, true in zip(torch.autograd.grad((read.float() * weights).sum(), learning), gradients, strict=True):
        assert off(found, true) < 0.03


@pytest.mark.parametrize("able", [True, False])
def test_halves_are_multiplied_where_the_processor_can(able, monkeypatch):
    x = torch.zeros(4, 4, dtype=torch.bfloat16)
    monkeypatch.setattr(products, "multiplies_halves", lambda: able)
    assert products.quick_halves(x, x) is able
    assert not products.quick_halves(x.float(), x.float())
