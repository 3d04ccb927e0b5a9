"""A conditioner asked in another process, as by the next start of the program: hashes of texts are others there."""

from __future__ import annotations

import atexit
import functools
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from ...media import MediaSpec
from ...registration.plugin_loading import reason_of
from ..finding import Finding, holds, skip

__all__ = ["answer_all", "encoded_elsewhere"]

Asked = Mapping[str, object]


def encoded_elsewhere(
    factory: Callable[..., object], parameters: Asked, media: MediaSpec, conditions: Sequence[Asked]
) -> dict[str, Tensor]:
    """Return what a conditioner encodes conditions as in another process, in float64.

    Args:
        factory: makes it; the check is left out where it has no name by which another process could import it.
        parameters: what it is made with.
        media: what is made with it.
        conditions: of some items, of texts, numbers and labels.
    """
    place = {"module": getattr(factory, "__module__", ""), "name": getattr(factory, "__qualname__", "")}
    if place["module"] == "__main__" or _named(place) is not factory:
        skip("another process could not import it by a name")
    wanted = {"parameters": dict(parameters), "media": asdict(media), "conditions": list(conditions)}
    try:
        line = json.dumps({**place, "path": sys.path, **wanted})
    except TypeError as error:
        skip(f"another process could not be told what it is made with, or asked for: {error}")
    process = _other()
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
    except (OSError, ValueError) as error:
        _other.cache_clear()
        raise Finding("encode, in another process, ended that process") from error
    if "unknown" in answer:
        skip(f"another process could not import it: {answer['unknown']}")
    holds("error" not in answer, f"encode, in another process: {answer.get('error')}")
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in answer.items()}


def _named(place: Asked) -> object:
    """Return what stands under a name in a module that is imported, or None."""
    try:
        return functools.reduce(getattr, str(place["name"]).split("."), sys.modules.get(str(place["module"])))
    except AttributeError:
        return None


@functools.cache
def _other() -> subprocess.Popen[str]:
    """Return an interpreter that began with another seed of hashes; it answers until this one ends."""
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    path = os.pathsep.join(filter(None, sys.path))
    process = subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import answer_all; answer_all()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
    )
    atexit.register(_end, process)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    """Ask no more, which ends an interpreter; one that a part holds up is killed."""
    try:
        process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()


def answer_all() -> None:
    """Answer what another process asks, a line each, until it asks no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a part prints is no answer
    for line in sys.stdin:
        try:
            answer = _answered(json.loads(line))
        except ModuleNotFoundError as error:
            answer = {"unknown": str(error)}
        except BaseException as error:  # whatever it is, it goes to who asked
            answer = {"error": reason_of(error)}
        print(json.dumps(answer), file=answers, flush=True)


def _answered(asked: dict[str, Any]) -> dict[str, object]:
    """Return what a conditioner encodes conditions as, in plain numbers."""
    from ..suites.conditioners import ConditionerSuite  # which imports this file

    sys.path[:] = asked["path"]
    factory: Any = functools.reduce(getattr, asked["name"].split("."), importlib.import_module(asked["module"]))
    about = {"component": staticmethod(factory), "parameters": asked["parameters"]}
    suite: Any = type("Elsewhere", (ConditionerSuite,), about)
    return suite._spelt_out(MediaSpec(**_tuples(asked["media"])), [_tuples(one) for one in asked["conditions"]])


def _tuples(told: dict[str, Any]) -> dict[str, Any]:
    """Return what was told by JSON, with tuples where that has lists."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
