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

_LOG2_E = 1 / math.log(2)
"""The exponential of a score is two to so many times it."""

_ROOM = 2.0**60
"""Sums of a query's weights below it divide well, as do those above its inverse: half of what float32 has room for."""


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

    How much each query weighs each key is kept for the gradients where that is not much, and else made again. Of
    items in bfloat16 the scores are float32 in sampling, as in torch's own; in training they are rounded like every
    other product under autocast, which is quicker by a third and leaves gradients off by a hundredth or two where
    scores are large.
    """

    @staticmethod
    def forward(ctx, queries: Tensor, keys: Tensor, values: Tensor, learns: bool) -> Tensor:  # type: ignore[no-untyped-def]
        read = _by_head(queries, values.shape[-1])
        kept: list[Tensor | None] = []
        keeps = learns and queries[..., 0].numel() * keys.shape[-2] * keys.element_size() <= _KEPT
        for query, key, value, out in _heads(queries, keys, values, read):
            asked = key if learns else key.float()
            for some, there in _blocks(len(key), query, out):
                weights, sums = _weights(some, asked)
                found = product(weights.to(value.dtype), value.T)
                there.copy_(found) if sums is None else torch.div(found, sums, out=there)
                if keeps:
                    kept += weights, sums
        read = _by_position(read)
        ctx.save_for_backward(queries, keys, values, read, *kept)
        return read

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        queries, keys, values, read, *weights_kept = ctx.saved_tensors  # each look at it unpacks all
        parts, kept = (queries, keys, values), zip(weights_kept[::2], weights_kept[1::2], strict=True)
        made = [_by_head(each, each.shape[-1]) for each in parts]
        for query, key, value, out, after, of_query, of_key, of_value in _heads(*parts, read, gradient, *made):
            # Transposed, since a product is quickest where its first factor has few rows and its second many.
            key_sum: Any = None
            value_sum: Any = None
            for some, seen, then, there in _blocks(len(key), query, out, after, of_query):
                weights, sums = next(kept, None) or _weights(some, key)
                if sums is None:
                    of_scores = torch._softmax_backward_data(product(then, value), weights, -1, weights.dtype)
                else:
                    then = then / sums
                    of_scores = product(then, value).sub_((then * seen).sum(-1, keepdim=True)).mul_(weights)
                there.copy_(product(of_scores, key.T))
                key_sum = _plus(key_sum, product(some.T, of_scores.T))
                value_sum = _plus(value_sum, product(then.T, weights.T))
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


def _weights(queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return how much each query (position, width) weighs each key's value (query, key), in the keys' precision.

    And, where they are no shares, what the weights of a query sum to (query, 1): in float32 powers of two of the scores
    and their sums take half as long as a softmax, which looks for the largest score first. Where some query's scores
    are so large, or all so small, that a sum is no good divisor, they are shares.
    """
    queries = queries.to(keys.dtype) * queries.shape[-1] ** -0.5
    if keys.dtype == torch.float32:
        weights = _powers_of_two(product(queries * _LOG2_E, keys))
        sums = weights.sum(-1, keepdim=True)
        if bool(((sums > 1 / _ROOM) & (sums < _ROOM)).all()):
            return weights, sums
    return product(queries, keys).softmax(-1), None


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


def _heads(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Give each head of each item (position, width)."""
    for item in zip(*tensors, strict=True):
        yield from zip(*item, strict=True)


def _blocks(keys: int, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Give so many positions at once that their scores for all keys are few."""
    return zip(*(tensor.split(max(_QUERIES, _SCORES // keys)) for tensor in tensors), strict=True)
