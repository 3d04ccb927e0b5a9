"""Progress of what is counted: bars on a terminal, and nothing of them elsewhere."""

from __future__ import annotations

import contextlib
import json
import sys

import pytest
from noiseform.core.cli.counting import counted
from noiseform.core.cli.main import main
from noiseform.core.pipeline import compat
from noiseform.core.pipeline.work import Work

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


def test_compat_counts_every_combination():
    kinds = {kind: len(compat._names(kind)) for kind in compat.KINDS}
    assert min(kinds.values()) >= 2
    product = 1
    for count in kinds.values():
        product *= count
    assert compat.how_many() == product


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
