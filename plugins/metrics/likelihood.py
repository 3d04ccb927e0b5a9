"""How likely a model takes real media to be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from ...core.diffusion.flow_likelihood import Trace
from ...core.diffusion.likelihood import log_likelihood
from ...core.pipeline.evaluation import MeasuredModel, Real

__all__ = ["LikelihoodMetric"]

_VALUES = (256, 65_536)
_CLOSE = 1e-4  # of half the range: what a codec may be off and still count as a factor


@dataclass(frozen=True)
class LikelihoodMetric:
    """Negative log-likelihood of real items under the model, by their labels or texts, without guidance.

    Figures: ``bits_per_dim`` where the network sees the media themselves and they hold a few values, such as pixels:
    the bits that a lossless code by this model takes for each. ``bits_per_dim_density`` where they are continuous:
    those of their density, brought to -1 to 1. ``bits_per_dim_latent`` where a codec is between: of the latents, which
    says nothing of media, and only compares models with the same codec. With each its ``standard_error`` over the items
    and the NFE of an item. Below 0 is possible for densities alone.

    Args:
        method: "ode" is exact, with dequantisation where there are few values; "bound" is the variational bound in
            continuous time; "chain" that of the model's own steps.
        start: sigma / alpha at which items count as clean.
        trace: how the divergence is found: "exact", "rademacher", "gaussian", or "auto".
        probes: estimates of it for each item.
        rtol: tolerance of a step of the ODE, as a share.
        atol: the same of items of unit scale, and in nats a number.
        draws: moments of the bound.
        variance: of a step of the chain: "small", "large" or "learned".

    Source: see ``core.diffusion.likelihood.log_likelihood``.
    """

    method: Literal["ode", "bound", "chain"] = "ode"
    start: Annotated[float, Gt(0), Le(1)] = 1e-3
    trace: Trace = "auto"
    probes: Annotated[int, Ge(1), Le(10_000)] = 1
    rtol: Annotated[float, Gt(0), Le(1)] = 1e-3
    atol: Annotated[float, Gt(0), Le(1)] = 1e-3
    draws: Annotated[int, Ge(1), Le(1_000_000)] = 256
    variance: Literal["small", "large", "learned"] = "small"

    needs = "model"
    claims: ClassVar[Mapping[str, object]] = {"of_the_work": ("nfe",)}

    def compare(self, model: MeasuredModel, real: Sequence[Real]) -> Mapping[str, float]:
        scale = _scale(model, real)
        values = _values(model, real) if scale else 0
        bits: list[Tensor] = []
        nfe = 0
        for shown in model.batches(real):
            found = log_likelihood(
                shown.denoise,
                shown.x0,
                process=model.process,
                method=self.method,
                values=values,
                reach=scale or 1.0,
                seeds=shown.keys,
                start=self.start,
                trace=self.trace,
                probes=self.probes,
                rtol=self.rtol,
                atol=self.atol,
                draws=self.draws,
                grid=model.grid,
                steps=model.steps,
                variance=self.variance,
            )
            of_media = math.log2(scale) if scale and not values else 0.0  # density of what is scaled to -1 to 1
            bits.append(found.bits_per_dim.cpu() - of_media)
            nfe += found.nfe * len(shown.x0)
        each = torch.cat(bits)
        error = each.std().item() / math.sqrt(len(each)) if len(each) > 1 else None
        space = "" if values else "_density" if scale else "_latent"
        return {
            f"bits_per_dim{space}": each.mean().item(),
            **({} if error is None else {"standard_error": error}),
            "nfe": nfe / len(real),
        }


def _scale(model: MeasuredModel, real: Sequence[Real]) -> float:
    """Return by how much media, brought to -1 to 1, are multiplied for the network; 0 where a codec does more."""
    first = real[0].tensor
    latent = model.encoded(first[None])[0].cpu()
    if latent.shape != first.shape:
        return 0.0
    (one,) = model.encoded(torch.full_like(first, model.spec.high)[None])
    scale = float(one.flatten()[0])
    off = (latent - scale * _unit(model, first)).abs().max().item()
    return scale if scale > 0 and off < _CLOSE * scale else 0.0


def _values(model: MeasuredModel, real: Sequence[Real]) -> int:
    """Return how many values, even from end to end, the numbers of media have; 0 where they are continuous."""
    for values in _VALUES:
        places = [(_unit(model, one.tensor).double() + 1) * (values - 1) / 2 for one in real]
        if all(bool(((place - place.round()).abs() < 1e-2).all()) for place in places):
            return values
    return 0


def _unit(model: MeasuredModel, media: Tensor) -> Tensor:
    """Return media brought to -1 to 1."""
    low, high = model.spec.low, model.spec.high
    return (media - (high + low) / 2) * (2 / (high - low))
