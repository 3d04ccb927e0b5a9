"""What a training reckons in: float32, or bfloat16 by autocast where that is what the hardware multiplies."""

from __future__ import annotations

from typing import Literal

import torch

from ..networks.products import multiplies_halves

__all__ = ["Precision", "autocast", "chosen"]

Precision = Literal["fp32", "bf16"]


def chosen(precision: Literal["auto", "fp32", "bf16"], device: str) -> Precision:
    """Return what ``auto`` means on a device: ``bf16`` where it multiplies bfloat16 itself, or else ``fp32``."""
    if precision != "auto":
        return precision
    kind = torch.device(device).type
    if kind == "cuda":
        halves = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        halves = kind == "cpu" and multiplies_halves()
    return "bf16" if halves else "fp32"


def autocast(precision: str, device: str) -> torch.autocast:
    """Return the context in which a loss is reckoned; weights and what they are updated by stay in float32."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16")
