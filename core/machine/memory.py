"""How much memory there is, and how much a run will take at least."""

from __future__ import annotations

import contextlib
import gc
import math
import os
from collections.abc import Iterator, Sequence

from ..errors import ResourceError

__all__ = ["available_bytes", "keep_large_blocks", "refuse_too_many_parameters", "refuse_too_much", "uncollected"]

# Copies of an item that are alive at once: x, x0, states, guidance's two, decoded media. More were measured: what might
# fit is not refused.
_COPIES = 8


def available_bytes(device: str = "cpu") -> int | None:
    """Return the bytes of memory that a program may still take on a device, or None where the system does not say."""
    if device.startswith("cuda"):
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.partition(":")[0] != "cpu":
        return None
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def refuse_too_much(
    media_shape: Sequence[int],
    latent_shape: Sequence[int],
    batch_size: int,
    doing: str = "generate",
    device: str = "cpu",
) -> None:
    """Raise ResourceError if a batch of items alone, without any activation, exceeds the memory there is."""
    needed = 4 * _COPIES * batch_size * max(math.prod(media_shape), math.prod(latent_shape))
    what = f"{doing}: {batch_size} items of shape {tuple(media_shape)}"
    _refuse(needed, what, "make fewer or shorter ones at a time", device)


def refuse_too_many_parameters(trained: int, averaged: int, device: str = "cpu") -> None:
    """Raise ResourceError if what training adds to parameters that are there already exceeds the memory there is.

    Args:
        trained: parameters; each gets a gradient and the two moments of AdamW, in float32.
        averaged: how many of them are also averaged.
        device: where they lie.
    """
    needed = 4 * (3 * trained + averaged)
    _refuse(
        needed,
        f"training: gradients, moments and average of {trained:,} parameters",
        "make the network smaller",
        device,
    )


def _refuse(needed: int, what: str, cure: str, device: str) -> None:
    room = available_bytes(device)
    if room is not None and needed > room:
        raise ResourceError(f"{what} take at least {needed / 2**30:.1f} GiB, {room / 2**30:.1f} GiB are free; {cure}")


def keep_large_blocks() -> bool:
    """Let the C library keep large blocks for the next layer in place of giving each back to the system.

    Mapping and unmapping the memory of every activation costs more than the arithmetic of a small network; resident
    memory grows by what is kept. Only the command line calls this, and only glibc has it; NOISEFORM_MALLOC=0 leaves
    it off.

    Returns:
        Whether it was set.
    """
    if os.environ.get("NOISEFORM_MALLOC") == "0":
        return False
    import ctypes

    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    trim_threshold, mmap_threshold, largest = -1, -3, 2**30  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
    return bool(mallopt(mmap_threshold, largest)) and bool(mallopt(trim_threshold, 2**31 - 1))


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Leave the garbage collector off while much is imported, and keep it from ever looking at what was.

    Modules are no garbage, yet the collector reads a quarter of a million of torch's objects again and again while
    others are imported: a fifth of the time until the first step.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
