"""Attention: what each query reads of the values, by how its keys answer."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from .products import product, quick, quick_halves

__all__ = ["attend", "split"]

_FEW = 256 * 256
"""Pairs of query and key up to which, on a CPU, torch's fused attention is as fast as products of oneDNN, and, with
gradients on, products by hand beat it: by three to five times in bfloat16, by a little in float32 (torch 2.13)."""

_SCORES = 2**20
"""Scores that are there at once: as many as a processor keeps near. By measurement, on one thread."""

_KEPT = 2**26
"""Bytes that one call keeps for its gradients at most: of 8 items of two heads over 1,024 positions it is half as many.
To make them again takes a quarter of the time."""

_QUERIES = 256
"""Queries of a block at least: of fewer rows a product is slow."""


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return what each query reads (batch, position, width); all three are (batch, head, position, width of a head).

    Args:
        queries: what is looked for.
        keys: what is offered.
        values: what is read.
        mask: True where there is something to read (batch, position); an item without any reads zeros.

    Source: Vaswani et al. 2017, arXiv 1706.03762, equation 1.
    """
    keep = None if mask is None else rearrange(mask, "batch position -> batch 1 1 position")
    pairs, width = queries.shape[-2] * keys.shape[-2], queries.shape[-1]
    learns = torch.is_grad_enabled() and queries.requires_grad
    if pairs <= _FEW and learns and queries.device.type == "cpu":
        scores = (queries * width**-0.5) @ keys.transpose(-1, -2)
        if keep is not None:
            scores = scores.masked_fill(~keep, torch.finfo(scores.dtype).min)
        read = scores.softmax(-1).to(values.dtype) @ values
        if keep is not None:
            read = read.masked_fill(~keep.any(-1, keepdim=True), 0.0)
    elif pairs > _FEW and keep is None and (quick_halves(queries, keys) or quick(queries, keys, pairs * width)):
        read = _ByProducts.apply(queries, keys, values, learns)  # type: ignore[no-untyped-call]
    else:
        read = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=keep)
    return read.transpose(1, 2).flatten(2)


def split(tokens: Tensor, heads: int) -> Tensor:
    """Return tokens (batch, position, width) as (batch, head, position, width of a head)."""
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)


class _ByProducts(torch.autograd.Function):
    """Attention over many positions by oneDNN's products, head by head and in blocks of queries.

    How much each query reads of each key is kept for the gradients where that is not much, and else made again. Of
    items in bfloat16 the scores are float32 in sampling, as in torch's own; in training they are rounded like every
    other product under autocast, which is quicker by a third and leaves gradients off by a hundredth or two where
    scores are large.
    """

    @staticmethod
    def forward(ctx, queries: Tensor, keys: Tensor, values: Tensor, learns: bool) -> Tensor:  # type: ignore[no-untyped-def]
        read, kept = [], []
        keeps = learns and queries[..., 0].numel() * keys.shape[-2] * keys.element_size() <= _KEPT
        for query, key, value in _heads(queries, keys, values):
            asked = key if learns else key.float()
            for (some,) in _blocks(len(key), query):
                shares = _shares(some, asked).to(value.dtype)
                read.append(product(shares, value.T))
                if keeps:
                    kept.append(shares)
        ctx.save_for_backward(queries, keys, values, *kept)
        return _together(read, queries)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        parts, kept = ctx.saved_tensors[:3], iter(ctx.saved_tensors[3:])
        of_queries, of_keys, of_values = [], [], []
        for query, key, value, after in _heads(*parts, gradient):
            # Transposed, since a product is quickest where its first factor has few rows and its second many.
            key_sums, value_sums = [], []
            for some, then in _blocks(len(key), query, after):
                shares = next(kept, None)
                if shares is None:
                    shares = _shares(some, key)
                of_scores = torch._softmax_backward_data(product(then, value), shares, -1, shares.dtype)
                of_queries.append(product(of_scores, key.T))
                key_sums.append(product(some.T, of_scores.T))
                value_sums.append(product(then.T, shares.T))
            of_keys.append(_summed(key_sums).T)
            of_values.append(_summed(value_sums).T)
        scale = parts[0].shape[-1] ** -0.5
        all_of = zip((of_queries, of_keys, of_values), parts, strict=True)
        of_query, of_key, of_value = (_together(made, like) for made, like in all_of)
        return of_query.mul_(scale), of_key.mul_(scale), of_value, None


def _shares(queries: Tensor, keys: Tensor) -> Tensor:
    """Return how much each query (position, width) reads of each key's value (query, key), in the keys' precision."""
    return product(queries.to(keys.dtype) * queries.shape[-1] ** -0.5, keys).softmax(-1)


def _heads(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Give each head of each item (position, width)."""
    for item in zip(*tensors, strict=True):
        yield from zip(*item, strict=True)


def _blocks(keys: int, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Give so many positions at once that their scores for all keys are few."""
    return zip(*(tensor.split(max(_QUERIES, _SCORES // keys)) for tensor in tensors), strict=True)


def _summed(parts: list[Tensor]) -> Tensor:
    """Return the sum of what blocks gave, in float32 at least where there are several."""
    first, *others = parts
    if others:
        first = first.to(torch.promote_types(first.dtype, torch.float32), copy=True)
        for other in others:
            first += other
    return first


def _together(parts: list[Tensor], like: Tensor) -> Tensor:
    """Return what was made head by head (position, width), in memory with all heads of a position together.

    Args:
        parts: of each item's heads, from the first position to the last.
        like: for the shape (batch, head, position, width) and the dtype.
    """
    batch, heads, _, width = like.shape
    made = torch.cat(parts).view(batch, heads, -1, width).transpose(1, 2)
    return made.to(like.dtype, memory_format=torch.contiguous_format, copy=True).transpose(1, 2)
