"""Progress of what is counted: bars on a terminal, and nothing of them elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import sys

import pytest
import torch
from noiseform.core.cli.counting import counted
from noiseform.core.cli.main import main
from noiseform.core.cli.progress import bar
from noiseform.core.diffusion.level import Level
from noiseform.core.diffusion.sampling import SamplingStep
from noiseform.core.pipeline import compat
from noiseform.core.pipeline.work import Work, untold

GONE = "\x1b[1A\x1b[2K"
"""One line up, and that erased: how a bar is taken away."""


@pytest.fixture
def terminal(capsys, monkeypatch):
    """Have standard error be a terminal, as wide as bars need, and standard output none."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda stream: stream is sys.stderr)  # each phase has its own
    return capsys


def test_the_bar_names_what_is_done(terminal):
    with counted() as tell:
        tell(Work("sampler/one", 0, 2, "parts"))
        print("what a part says")
        tell(Work("sampler/[two]", 1, 2, "parts"))
    printed = terminal.readouterr()
    assert printed.out == "what a part says\n"
    assert "sampler/[two]" in printed.err
    assert "1/2" in printed.err
    assert "parts" in printed.err


def test_a_bar_ends_with_its_work_or_with_an_error(terminal):
    with counted() as tell:
        tell(Work("all", 0, 1, "items"))
        assert GONE not in terminal.readouterr().err
        tell(Work("all", 1, 1, "items"))
        assert terminal.readouterr().err.endswith(GONE)
        tell(Work("all", 1, 1, "items"))
        assert terminal.readouterr().err == ""
    with contextlib.suppress(ZeroDivisionError), counted() as tell:
        tell(Work("all", 0, 1, "items"))
        raise ZeroDivisionError
    assert terminal.readouterr().err.endswith(GONE)


@contextlib.contextmanager
def own_terminal(monkeypatch):
    """Have standard error be a terminal of the process's own, and give what hangs it up."""
    monkeypatch.setenv("TERM", "xterm")
    master, slave = pty.openpty()
    with open(slave, "w", encoding="utf-8") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        yield lambda: os.close(master)


def test_a_terminal_that_is_gone_ends_nothing(monkeypatch):
    with own_terminal(monkeypatch) as hang_up, counted() as tell:
        assert tell is not untold
        tell(Work("all", 0, 3, "items"))
        hang_up()
        tell(Work("all", 1, 3, "items"))
        tell(Work("all", 3, 3, "items"))
        tell(Work("more", 0, 3, "items"))


def test_nor_does_it_while_media_are_made(monkeypatch):
    x, level = torch.zeros(1, 2), Level(0.5, 0.8, 0.6, 0.0, 0.0, 0.0)
    with own_terminal(monkeypatch) as hang_up, bar("digits", 3) as shown:
        hang_up()
        shown(SamplingStep(0, 3, level, level, x, None))
        shown.say("something that takes long")


def test_nothing_is_shown_elsewhere_or_where_it_is_to_be_quiet(capsys, monkeypatch):
    with counted() as tell:
        tell(Work("all", 0, 1, "items"))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with counted(quiet=True) as tell:
        tell(Work("all", 0, 1, "items"))
    assert capsys.readouterr() == ("", "")


def test_compat_shows_how_far_it_is(terminal, monkeypatch):
    names = {"process": "flow", "objective": "velocity", "grid": "uniform", "sampler": "euler ddim", "guidance": "none"}
    monkeypatch.setattr(compat, "_names", lambda kind: names[kind].split())
    assert main(["compat", "--json"]) == 0
    printed = terminal.readouterr()
    assert len(json.loads(printed.out)) == compat.how_many() == 2
    for told in ("flow, velocity", "1/2", "combinations"):
        assert told in printed.err


def test_compat_counts_every_combination(monkeypatch):
    names = {
        "process": "flow ve",
        "objective": "velocity eps x0",
        "grid": "uniform karras",
        "sampler": "euler ddim",
        "guidance": "none cfg",
    }
    monkeypatch.setattr(compat, "_names", lambda kind: names[kind].split())
    assert len(list(compat.combinations(steps=2))) == compat.how_many() == 48


METRIC = """
from noiseform import hookimpl

@hookimpl
def noiseform_metrics():
    return {"count": Count}

class Count:
    def compare(self, made, real):
        return {"both": len(made) + len(real)}
"""


def test_evaluate_shows_how_far_it_is(terminal, site, tiny_model, tones):
    site.add("some-metrics", {"some_metrics": METRIC})
    words = ["--set", "metrics.likelihood.method=bound", "--set", "metrics.likelihood.draws=2", "-n", "3"]
    assert main(["evaluate", str(tiny_model), "--data", str(tones), *words]) == 0
    printed = terminal.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == ["count"] + ["likelihood"] * 3
    first, _, shown = printed.err.partition("\n")
    assert first.endswith(": count, likelihood")
    for told in ("likelihood", "making 3 items", "steps", "count", "/3", "items"):
        assert told in shown
    assert "warning" not in shown


def test_grid_shows_how_far_it_is(terminal, tiny_model, tmp_path):
    words = ["grid", str(tiny_model), "--steps", "3", "--trials", "2"]
    assert main([*words, str(tmp_path / "a")]) == 0
    shown = terminal.readouterr().err
    for told in ("2 long runs", "times for 3 steps", "calls"):
        assert told in shown
    assert main([*words, str(tmp_path / "b"), "--quiet"]) == 0
    assert terminal.readouterr() == ("", "")
