"""What a training reckons in: float32, or bfloat16 by autocast where that is what the hardware multiplies."""

from __future__ import annotations

from typing import Literal

import torch

from ..networks.products import multiplies_halves

__all__ = ["Precision", "Wanted", "autocast", "chosen"]

Precision = Literal["fp32", "bf16"]
Wanted = Literal["auto", "fp32", "bf16"]


def chosen(precision: Wanted, device: str, begun: object = None) -> Precision:
    """Return what ``auto`` means: what a run began with, or else what suits the device best.

    That is ``bf16`` where it multiplies bfloat16 itself, and ``fp32`` elsewhere.

    Args:
        precision: what the recipe says.
        device: where the model is trained.
        begun: the identity of the run that goes on, see :func:`~.identity.identity_of`; None where it begins.
    """
    if precision != "auto":
        return precision
    training = begun.get("training") if isinstance(begun, dict) else None
    before = training.get("precision") if isinstance(training, dict) else None
    if before in ("fp32", "bf16"):
        return before
    return "bf16" if _halves(torch.device(device)) else "fp32"


def _halves(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 itself."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and multiplies_halves()


def autocast(precision: Wanted, device: str) -> torch.autocast:
    """Return the context in which a loss is reckoned; weights and what they are updated by stay in float32."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=chosen(precision, device) == "bf16")
