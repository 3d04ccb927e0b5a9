"""A process of its own that decodes files: what hangs, crashes or fills memory there costs one file, not the run."""

from __future__ import annotations

import faulthandler
import multiprocessing
import signal
import sys
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ..errors import MediaError
from ..machine.exhaustion import is_out_of_memory

__all__ = ["MEMORY_LIMIT", "TIME_LIMIT", "DecodingProcess"]

TIME_LIMIT = 60.0
"""Most seconds that a file may take."""

MEMORY_LIMIT = 4 * 2**30
"""Most bytes of addresses that decoding may take beside what the process has."""


class DecodingProcess:
    """Decodes things by their number, one after the other, in a fork of this process; entered with ``with``.

    Where there is no fork, or none can be had, as in the workers of a pool, they are decoded here.

    Args:
        decode: returns the tensor of a number. What it raises but MediaError is raised here again.
    """

    def __init__(self, decode: Callable[[int], Tensor]) -> None:
        self._decode = decode
        self._child: Any = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def __call__(self, number: int) -> Tensor:
        """Return the tensor of a number.

        Raises:
            MediaError: it cannot be decoded; decoding it took too long, or too much memory, or ended the process.
        """
        pipe = self._pipe or self._begin()
        if pipe is None:
            return self._decode(number)
        try:
            pipe.send(number)
            if not pipe.poll(TIME_LIMIT):
                self._end()
                raise MediaError(f"its decoder took more than {TIME_LIMIT:g} s; repair the file, or exclude it")
            kind, told, noted = pipe.recv()
            for one in noted:
                warnings.warn(one, stacklevel=2)
            if kind == "tensor":
                array = np.empty(told[0], told[1])
                pipe.recv_bytes_into(array.reshape(-1).view(np.uint8).data)
                return torch.from_numpy(array)
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            code = self._end()
            raise MediaError(f"its decoder crashed ({_ended(code)}); repair the file, or exclude it") from error
        if kind == "bad":
            raise MediaError(told)
        return self._decode(number)  # which raises what it raised there

    def _begin(self) -> Connection | None:
        if sys.platform != "linux" or multiprocessing.current_process().daemon:  # which may have no children
            return None
        here, there = multiprocessing.Pipe()
        child = multiprocessing.get_context("fork").Process(
            target=_serve, args=(self._decode, there, here), daemon=True
        )
        try:
            with warnings.catch_warnings():
                # Python warns of forks beside threads. Those of torch are left alone: the child computes with one.
                warnings.simplefilter("ignore", DeprecationWarning)
                child.start()
        except OSError:  # no more processes
            here.close()
            return None
        finally:
            there.close()
        self._child, self._pipe = child, here
        return here

    def _end(self) -> int | None:
        """End the child; return how it ended, where it had by itself."""
        if self._pipe is None:
            return None
        self._pipe.close()
        self._child.join(1.0)
        code: int | None = self._child.exitcode
        if code is None:
            self._child.kill()
            self._child.join()
        self._child.close()
        self._child = self._pipe = None
        return code


def _ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    return signal.Signals(-code).name


def _serve(decode: Callable[[int], Tensor], pipe: Connection, parents: Connection) -> None:
    """Answer numbers with tensors until the parent has no more, or is no more."""
    import resource

    faulthandler.disable()  # the parent tells of a crash, in one line
    parents.close()  # or the end of the parent would never be seen
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # both come to all that a terminal runs; it is the parent that ends
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    torch.set_num_threads(1)
    with open("/proc/self/statm", encoding="ascii") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = taken + MEMORY_LIMIT
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    while True:
        try:
            number = pipe.recv()
        except (EOFError, OSError):
            return
        # Without a parent nobody else would end what hangs.
        signal.setitimer(signal.ITIMER_REAL, TIME_LIMIT + 5)
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            kind, told, array = _answer(decode, number)
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            pipe.send((kind, told, [str(one.message) for one in noted]))
            if array is not None:
                pipe.send_bytes(array.reshape(-1).view(np.uint8).data)
        except OSError:
            return


def _answer(decode: Callable[[int], Tensor], number: int) -> tuple[str, object, np.ndarray[Any, Any] | None]:
    try:
        array = np.ascontiguousarray(decode(number).numpy())
    except MediaError as error:
        return "bad", str(error), None
    except BaseException as error:
        if is_out_of_memory(error):
            return "bad", f"decoding it takes more than {MEMORY_LIMIT} bytes; repair the file, or exclude it", None
        return "raised", None, None
    return "tensor", (array.shape, array.dtype.str), array
