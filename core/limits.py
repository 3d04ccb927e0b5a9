"""Bounds that several modules check."""

from __future__ import annotations

__all__ = ["MAX_STEPS"]

MAX_STEPS = 100_000
"""Most steps of a run: more is taken for a mistake."""
