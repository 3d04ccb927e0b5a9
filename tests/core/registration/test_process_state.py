"""What all code of a process shares, put back after plugins changed it at their import, in a hook or in a part."""

from __future__ import annotations

import os
import signal
import sys
import warnings

import pytest
from noiseform.core.registration.build import find

GOOD_IMPL = """
class Midpoint:
    order, stochastic, nfe_per_step, init, step = 2, False, 2, None, None

    def __init__(self, churn: float = 0.0) -> None:
        self.churn = churn
"""


def hook(body: str) -> str:
    """Return a plugin whose sampler hook has that body."""
    return f"from noiseform import hookimpl\n@hookimpl\ndef noiseform_samplers():\n    {body}\n"


SHARED = {
    "chdir": ("os.chdir('/')", "working directory"),
    "umask": ("os.umask(0o177)", "umask"),
    "interrupts": ("signal.signal(signal.SIGINT, signal.SIG_IGN)", "handler of SIGINT"),
    "terminations": ("signal.signal(signal.SIGTERM, signal.SIG_IGN)", "handler of SIGTERM"),
    "hang-ups": ("signal.signal(signal.SIGHUP, signal.SIG_IGN)", "handler of SIGHUP"),
    "stderr": ("sys.stderr = None", "sys.stderr"),
    "stdout": ("sys.stdout = io.StringIO()", "sys.stdout"),
    "recursion": ("sys.setrecursionlimit(sys.getrecursionlimit() - 9)", "recursion limit"),
    "shallow": ("sys.setrecursionlimit(len(inspect.stack()) + 50)", "recursion limit"),
    "ignore": ("warnings.simplefilter('ignore')", "warning filters"),
    "reset": ("warnings.resetwarnings()", "warning filters"),
}


def shared() -> tuple[object, ...]:
    """Return what all code of the process shares."""
    umask = os.umask(0o077)
    os.umask(umask)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    return os.getcwd(), umask, handlers, sys.stdout, sys.stderr, sys.getrecursionlimit(), list(warnings.filters)


@pytest.mark.parametrize("place", ["import", "hook", "part"])
@pytest.mark.parametrize("how", SHARED)
def test_changed_process_is_put_back(site, how, place):
    change, told = SHARED[how]
    change = f"import inspect, io, os, signal, sys, warnings; {change}"
    source = hook(f"{change if place == 'hook' else ''}\n    return {{'midpoint': 'good_impl:Midpoint'}}")
    modules = {"meddling": f"{change if place == 'import' else ''}\n{source}"}
    modules["good_impl"] = f"{change if place == 'part' else ''}\n" + GOOD_IMPL
    site.add("meddling", modules)
    before = shared()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        inside = list(warnings.filters)
        find("sampler", "midpoint").load()
        assert list(warnings.filters) == inside
    said = f"plugin meddling (meddling 1.0) changed the process's {told}: undone"
    assert said in [str(one.message) for one in caught]
    assert shared() == before


def test_warning_filters_of_libraries_stay(site):
    ours = "import warnings\nwarnings.filterwarnings('ignore', message='my own')\n"
    site.add("quiet", {"quiet": ours + hook("return {}")})
    with warnings.catch_warnings():
        assert find("sampler", "ddim")
        assert any(one[1] is not None and one[1].pattern == "my own" for one in warnings.filters)
