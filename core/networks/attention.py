"""Attention: what each query reads of the values, by how its keys answer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

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
"""Bytes that one call keeps for its gradients at most: those of 16 heads over 1,024 positions in float32. To make them
again takes a quarter of the time."""

_QUERIES = 256
"""Queries of a block at least: of fewer rows a product is slow."""

_NEAR = 32.0
"""Exponents of two up to which, above and below zero, float32 has room for sums, and for products with values."""


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
        read, kept = _by_head(queries, values.shape[-1]), []
        keeps = learns and queries[..., 0].numel() * keys.shape[-2] * keys.element_size() <= _KEPT
        for near, query, key, value, out in _heads(queries, keys, values, read):
            asked = key if learns else key.float()
            for some, there in _blocks(len(key), query, out):
                if value.dtype == torch.float32:
                    weights, sums = _weights(some, asked, near)
                    torch.div(product(weights, value.T), sums, out=there)
                    shares = weights.mul_(1 / sums) if keeps else weights
                else:
                    shares = _shares(some, asked, near).to(value.dtype)
                    there.copy_(product(shares, value.T))
                if keeps:
                    kept.append(shares)
        ctx.save_for_backward(queries, keys, values, *kept)
        return _by_position(read)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        queries, keys, values, *shares_kept = ctx.saved_tensors  # each look at it unpacks all
        parts, kept = (queries, keys, values), iter(shares_kept)
        made = [_by_head(each, each.shape[-1]) for each in parts]
        for near, query, key, value, after, of_query, of_key, of_value in _heads(*parts, gradient, *made):
            # Transposed, since a product is quickest where its first factor has few rows and its second many.
            key_sum: Any = None
            value_sum: Any = None
            for some, then, there in _blocks(len(key), query, after, of_query):
                shares = next(kept, None)
                if shares is None:
                    shares = _shares(some, key, near)
                of_scores = torch._softmax_backward_data(product(then, value), shares, -1, shares.dtype)
                there.copy_(product(of_scores, key.T))
                key_sum = _plus(key_sum, product(some.T, of_scores.T))
                value_sum = _plus(value_sum, product(then.T, shares.T))
            of_key.copy_(key_sum.T)
            of_value.copy_(value_sum.T)
        scale = queries.shape[-1] ** -0.5
        of_queries, of_keys, of_values = map(_by_position, made)
        return of_queries.mul_(scale), of_keys.mul_(scale), of_values, None


def _by_head(like: Tensor, width: int) -> Tensor:
    """Return room (batch, head, position, width) in which those of a head lie together, as they are written.

    Args:
        like: (batch, head, position, …), for the dtype too.
        width: of a head.
    """
    return like.new_empty((*like.shape[:-1], width))


def _by_position(x: Tensor) -> Tensor:
    """Return x (batch, head, position, width) with all heads of a position together in memory, as layers read it."""
    return x.transpose(1, 2).contiguous().transpose(1, 2)


def _plus(total: Tensor | None, part: Tensor) -> Tensor:
    """Return the sum of what blocks gave so far and what one more gives, in float32 at least. It may change both."""
    return part if total is None else total.to(torch.promote_types(part.dtype, torch.float32)).add_(part)


def _shares(queries: Tensor, keys: Tensor, near: bool) -> Tensor:
    """Return how much each query (position, width) reads of each key's value (query, key), in the keys' precision."""
    if keys.dtype == torch.float32:
        weights, sums = _weights(queries, keys, near)
        return weights.mul_(1 / sums)
    return product(queries * queries.shape[-1] ** -0.5, keys).softmax(-1)


def _weights(queries: Tensor, keys: Tensor, near: bool) -> tuple[Tensor, Tensor]:
    """Return float32 weights (query, key) and their sums (query, 1): a quotient is how much a query reads of a value.

    Powers of two and their sums take half of the time of a softmax, or two thirds where the largest score of each
    query has to be taken from its scores first; and to divide what is read by sums takes less than to divide weights.

    Args:
        near: whether all scores are so near to zero that nothing has to.
    """
    scores = product(queries.float() * _scale(queries), keys)
    if not near:
        scores.sub_(scores.amax(-1, keepdim=True))
    weights = _powers_of_two(scores)
    return weights, weights.sum(-1, keepdim=True)


def _scale(queries: Tensor) -> float:
    """Return what products of queries and keys are multiplied by, so that weights are powers of two."""
    return float(queries.shape[-1] ** -0.5 / math.log(2))


def _powers_of_two(scores: Tensor) -> Tensor:
    """Turn each of the scores into two to so many, in place, the same bytes however many threads there are.

    Torch shares numbers out evenly among its threads, at least 32,768 for each, and calculates what is left of a
    thread's own, fewer than 32, by another function: so all but the last take a multiple of 32.
    """
    numbers = scores.view(-1)
    each = max(32_768, len(numbers) // (32 * torch.get_num_threads()) * 32)
    rest = len(numbers) % each
    if rest:
        numbers[len(numbers) - rest :].exp2_()
    numbers[: len(numbers) - rest].exp2_()
    return scores


def _heads(queries: Tensor, keys: Tensor, *others: Tensor) -> Iterator[tuple[Any, ...]]:
    """Give of each head of each item whether its scores are near zero, and all tensors (position, width)."""
    lengths = [torch.linalg.vector_norm(each, dim=-1).amax(-1) for each in (queries, keys)]
    bounds = (lengths[0] * lengths[1]).tolist()
    for item in zip(bounds, queries, keys, *others, strict=True):
        for bound, *parts in zip(*item, strict=True):
            yield bound * _scale(queries) <= _NEAR, *parts


def _blocks(keys: int, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Give so many positions at once that their scores for all keys are few."""
    return zip(*(tensor.split(max(_QUERIES, _SCORES // keys)) for tensor in tensors), strict=True)
