"""Threads of the processor: how those of torch wait for each other."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping

__all__ = ["wait_briefly"]

_TURNS = "4000"
"""Of the loop in which a thread of GNU OpenMP asks for work before it sleeps: some tens of microseconds, which bridge
what lies between two layers.

By measurement on 2 cores (torch 2.13): waking threads that sleep at once took 0.44 of the time of the embedded models.
Those that wait for much longer, as they do where nothing is said, keep the core from whoever it was for, and where
another program runs a call takes up to 20 times as long.
"""


def wait_briefly(environment: MutableMapping[str, str] | None = None) -> None:
    """Have threads that wait for others ask for a moment before they sleep; works only before torch is imported.

    For programs, which the library is not: it decides on a setting of the whole process. Whoever has set
    ``OMP_WAIT_POLICY`` or ``GOMP_SPINCOUNT`` keeps it. Where another OpenMP than GNU's is likely threads sleep at once.

    Args:
        environment: whose variables are set; without it, this process's.
    """
    environment = os.environ if environment is None else environment
    if "OMP_WAIT_POLICY" in environment or "GOMP_SPINCOUNT" in environment:
        return
    if sys.platform == "linux":
        environment["GOMP_SPINCOUNT"] = _TURNS
    else:
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
