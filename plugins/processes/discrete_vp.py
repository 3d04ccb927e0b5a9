"""The variance-preserving process of the papers' tables of 1000 betas."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor
from torch.nn.functional import softplus

__all__ = ["DiscreteVP"]

_ENDS = {"linear": (1e-4, 0.02), "scaled-linear": (0.00085, 0.012), "sigmoid": (1e-4, 0.02), "cosine": (0.0, 0.999)}


class DiscreteVP:
    """DDPM's table of betas as a process: step ``index`` stands at ``t = (index + 1) / length``.

    Between the entries log(alpha) is linear in t, as in DPM-Solver; at t = 0 nothing is lost.

    Args:
        schedule: "linear" (DDPM), "scaled-linear" (latent diffusion), "cosine" (improved DDPM), "sigmoid" (GeoDiff).
        length: number of betas.
        beta_start: first beta; the paper's if omitted. Not used by "cosine".
        beta_end: last beta; the paper's if omitted. "cosine": the largest beta allowed.
        zero_terminal_snr: scale the table so that alpha(1) = 0.

    Source: Ho et al. 2020, arXiv 2006.11239, section 4; Rombach et al. 2022, arXiv 2112.10752; Nichol and Dhariwal
    2021, arXiv 2102.09672, equation 17; Xu et al. 2022, arXiv 2203.02923; Lin et al. 2024, arXiv 2305.08891,
    algorithm 1 (zero terminal SNR); Lu et al. 2022, arXiv 2206.00927, appendix D.4 (interpolation).
    """

    def __init__(
        self,
        schedule: Literal["linear", "scaled-linear", "cosine", "sigmoid"] = "linear",
        length: Annotated[int, Ge(2), Le(1_000_000)] = 1000,
        beta_start: Annotated[float, Gt(0), Lt(1)] | None = None,
        beta_end: Annotated[float, Gt(0), Lt(1)] | None = None,
        zero_terminal_snr: bool = False,
    ) -> None:
        start, end = _ENDS[schedule]
        betas = _betas(schedule, length, beta_start or start, beta_end or end)
        log_alpha = 0.5 * torch.cumsum(torch.log1p(-betas), 0)
        self._reaches_zero = zero_terminal_snr
        if zero_terminal_snr:
            alpha = torch.exp(log_alpha)
            first, last = alpha[0].clone(), alpha[-1].clone()
            log_alpha = torch.log((alpha - last) * first / (first - last))
        self.length = length
        self._log_alpha = torch.cat(
            [torch.zeros(1, dtype=torch.float64), log_alpha]
        )  # entry i stands at t = i / length

    def _segment(self, t: Tensor) -> tuple[Tensor, Tensor]:
        position = t.clamp(0, 1) * self.length
        index = position.ceil().long().clamp(1, self.length)
        return index, position - (index - 1)

    def _log_alpha_at(self, t: Tensor) -> Tensor:
        index, share = self._segment(t)
        table = self._log_alpha.to(t.device)
        before, after = table[index - 1], table[index]
        between = before + share * (after - before)
        if self._reaches_zero:  # log(alpha) has no end to go to in the last segment: there alpha itself is linear
            between = torch.where(index == self.length, before + torch.log1p(-share), between)
        return between

    def _d_log_alpha(self, t: Tensor) -> Tensor:
        index, _ = self._segment(t)
        table = self._log_alpha.to(t.device)
        return (table[index] - table[index - 1]) * self.length

    def alpha(self, t: Tensor) -> Tensor:
        return torch.exp(self._log_alpha_at(t))

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sqrt(-torch.expm1(2 * self._log_alpha_at(t)))

    def d_alpha(self, t: Tensor) -> Tensor:
        slope = self._d_log_alpha(t) * self.alpha(t)
        if self._reaches_zero:
            index, _ = self._segment(t)
            slope = torch.where(index == self.length, -self.length * torch.exp(self._log_alpha[-2]), slope)
        return slope

    def d_sigma(self, t: Tensor) -> Tensor:
        return -self.alpha(t) * self.d_alpha(t) / self.sigma(t)

    def log_snr(self, t: Tensor) -> Tensor:
        log_alpha_bar = 2 * self._log_alpha_at(t)
        return log_alpha_bar - torch.log(-torch.expm1(log_alpha_bar))

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        log_alpha = -0.5 * softplus(-log_snr.to(torch.float64), threshold=700)
        index = torch.searchsorted(-self._log_alpha, -log_alpha).clamp(1, self.length)
        before, after = self._log_alpha[index - 1], self._log_alpha[index]
        share = (log_alpha - before) / (after - before)
        if self._reaches_zero:
            share = torch.where(index == self.length, -torch.expm1(log_alpha - before), share)
        return (index - 1 + share) / self.length


def _betas(schedule: str, length: int, start: float, end: float) -> Tensor:
    if schedule == "linear":
        return torch.linspace(start, end, length, dtype=torch.float64)
    if schedule == "scaled-linear":
        return torch.linspace(start**0.5, end**0.5, length, dtype=torch.float64) ** 2
    if schedule == "sigmoid":
        return torch.sigmoid(torch.linspace(-6, 6, length, dtype=torch.float64)) * (end - start) + start
    u = (torch.arange(length + 1, dtype=torch.float64) / length + 0.008) / 1.008
    alpha_bar = torch.cos(u * math.pi / 2) ** 2
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=end)
