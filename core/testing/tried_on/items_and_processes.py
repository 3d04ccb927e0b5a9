"""What parts are tried on: items of every rank, and processes of every kind."""

from __future__ import annotations

from collections.abc import Mapping

from ...diffusion.process import CompleteProcess, complete
from ...registration.build import build

__all__ = ["CLOSE", "FEW", "ITEMS", "PROCESSES", "process_of"]

ITEMS = {"a vector": (24,), "a sound": (1, 24), "a picture": (2, 3, 4), "a film": (2, 3, 2, 2)}
"""An item of each rank, all of as many numbers."""

PROCESSES = ("flow", "vp-linear", "vp-cosine", "sub-vp", "ve", "edm", "discrete-vp")
"""One of each kind: with and without pure noise at t = 1, variance preserved or not, and one of a table."""

FEW = ("flow", "vp-linear", "ve")
"""Those of them that differ most: at t = 1 there is noise alone, hardly any data, and all of them."""

CLOSE: Mapping[str, float] = {"rtol": 1e-9, "atol": 1e-9}
"""Tolerances of what differs by the order of a few sums."""


def process_of(name: str) -> CompleteProcess:
    """Return a built-in process with whatever it does not bring itself."""
    return complete(build("process", name))
