"""Keyed randomness: every draw belongs to (seed, item, stage, window, purpose, step) and to nothing else.

A draw comes from a counter-based generator (Philox 4x64, Salmon et al. 2011) whose 128-bit key is a hash of those
six. So it does not depend on which draws came before it, on the batch it stands in, on threads, processes or
the device: numbers are made on the CPU and moved. Nothing here touches a global generator.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError

__all__ = ["MAX_SEED", "Draws", "Key", "keys_of"]

MAX_SEED = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Key:
    """Whose draws these are.

    Attributes:
        seed: 0 to 2**64 - 1, the user's choice.
        item: number of the item among those made with this seed.
        stage: number of the stage in a pipeline of several.
        window: number of the window in an item that is made of several.
    """

    seed: int
    item: int = 0
    stage: int = 0
    window: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not (isinstance(self.seed, int) and 0 <= self.seed <= MAX_SEED):
            raise ConfigError(f"seed: expected a whole number from 0 to 2**64 - 1, got {self.seed!r}")

    def at_stage(self, stage: int) -> Key:
        """Return the key of the same item in another stage."""
        return replace(self, stage=stage)


def keys_of(seeds: Sequence[int | Key]) -> tuple[Key, ...]:
    """Return one key per row: a plain number is the seed of item 0.

    Raises:
        ConfigError: there are not several, or a seed is out of bounds.
    """
    if not isinstance(seeds, Iterable):
        raise ConfigError(f"seeds: expected one for each row, such as [0, 1], got {seeds!r:.80}")
    return tuple(seed if isinstance(seed, Key) else Key(seed) for seed in seeds)


class _Generator(threading.local):
    """The one generator of a thread: to make one takes longer than some steps of a sampler."""

    def __init__(self) -> None:
        bits = np.random.Philox(key=0)
        # The state before the first number of a key. Tuples, since numpy reads them twice as fast as arrays; the block
        # of four buffered numbers counts as used up.
        words: dict[str, tuple[int, ...]] = {"counter": (0, 0, 0, 0)}
        state: Any = {  # a type of numpy's own that it does not export
            "bit_generator": "Philox",
            "state": words,
            "buffer": (0, 0, 0, 0),
            "buffer_pos": 4,
            "has_uint32": 0,
            "uinteger": 0,
        }
        self._kept = words, bits, state, np.random.Generator(bits)  # one look into what belongs to the thread

    def at(self, words: tuple[int, ...]) -> np.random.Generator:
        """Return it, set to the first number of the 128-bit key of these words."""
        of_key, bits, state, numbers = self._kept
        of_key["key"] = words
        bits.state = state
        return numbers


_GENERATOR = _Generator()

_HASH = blake2b(digest_size=16, person=b"noiseform")
"""Of nothing yet; a copy of it costs half of making one."""


class Draws:
    """Draws numbers by key. Holds no state that outlives a call."""

    def _at(self, key: Key, purpose: str, step: int) -> np.random.Generator:
        name = struct.pack("<QQQQ", key.seed, key.item, key.stage, step) + purpose.encode()
        if key.window:
            name += b"\0" + struct.pack("<Q", key.window)
        named = _HASH.copy()
        named.update(name)
        return _GENERATOR.at(struct.unpack("<QQ", named.digest()))

    def normal(
        self,
        keys: Sequence[Key],
        shape: Sequence[int],
        *,
        purpose: str,
        step: int = 0,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Return standard normal numbers ``(len(keys), *shape)``, each row drawn by its own key.

        Half-precision dtypes get the float32 numbers, rounded; float64 has numbers of its own.
        """
        kind = np.float64 if dtype == torch.float64 else np.float32
        numbers: np.ndarray
        if len(keys) == 1:
            numbers = self._at(keys[0], purpose, step).standard_normal((1, *shape), dtype=kind)
        else:
            numbers = np.empty((len(keys), *shape), kind)
            for row, key in zip(numbers, keys, strict=True):
                self._at(key, purpose, step).standard_normal(dtype=kind, out=row)
        drawn = torch.from_numpy(numbers)
        return drawn if drawn.dtype == dtype and device == "cpu" else drawn.to(device=device, dtype=dtype)

    def uniform(self, key: Key, shape: Sequence[int], *, purpose: str, step: int = 0) -> Tensor:
        """Return float64 numbers in [0, 1) of ``shape``, drawn by one key."""
        return torch.from_numpy(self._at(key, purpose, step).random(tuple(shape)))

    def permutation(self, key: Key, length: int, *, purpose: str, step: int = 0) -> Tensor:
        """Return the numbers 0 to ``length - 1`` in an order drawn by one key, as int64."""
        return torch.from_numpy(self._at(key, purpose, step).permutation(length))
