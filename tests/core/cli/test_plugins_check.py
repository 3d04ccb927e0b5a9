"""``noiseform plugins check``: what it finds, what it leaves out, and what it ends with."""

from __future__ import annotations

import json
import sys

import pytest
from noiseform.core.cli.main import main
from noiseform.core.testing.suites.every import SUITES

PARTS = """\
from noiseform import hookimpl
@hookimpl
def noiseform_commands():
    there = "noiseform.core.testing.mutants.commands"
    return {"counting": f"{there}:counting", "silent": f"{there}:_silent"}
@hookimpl
def noiseform_metrics():
    return {"wants": "acme_parts:Wants", "prints": "acme_parts:Prints", "leaves": "acme_leaves:Metric"}
@hookimpl
def noiseform_converters():
    return {"claims": "acme_parts:Claims"}
"""

CODE = """\
class Wants:
    '''Has a parameter that it cannot do without.'''
    def __init__(self, model: str): pass
    def compare(self, made, real): return {"figure": 0.0}
class Prints:
    '''Prints.'''
    modality, claims = "image", {"best": None}
    def compare(self, made, real):
        print("comparing", "\\x1b[31m")
        return {"figure": 1.0}
class Claims:
    '''Claims what no converter can.'''
    claims = {"superb": True}
    def reads(self, source): return False
    def convert(self, source, *, pickles): raise NotImplementedError
"""


SAMPLERS = """\
import torch
class Right:
    order, stochastic, nfe_per_step = 1, False, 1
    def init(self, x): return None
    def step(self, x, here, next, denoise, noise, state):
        x0 = denoise(x, here)
        return next.alpha * x0 + next.sigma * (x - here.alpha * x0) / here.sigma, None
class Undefined(Right):
    def step(self, x, here, next, denoise, noise, state):
        return undefined_name, None
class Deep(Right):
    def step(self, x, here, next, denoise, noise, state):
        return torch.nn.Linear(99, 1)(x), None
class NoInit:
    order, stochastic, nfe_per_step = 1, False, 1
    def step(self, x, here, next, denoise, noise, state): return x, None
class Flat(Right):
    def step(self, x, here, next, denoise, noise, state):
        return super().step(x, here, next, denoise, noise, state)[0].flatten(), None
class InPlace(Right):
    def step(self, x, here, next, denoise, noise, state):
        x.copy_(super().step(x, here, next, denoise, noise, state)[0])
        return x, None
"""

NAMES = "from noiseform import hookimpl\n@hookimpl\ndef noiseform_samplers():\n    return "


@pytest.fixture
def secant(site):
    """Give a distribution with samplers that are wrong in one way each."""
    names = {name.lower(): f"secant_parts:{name}" for name in ("Undefined", "Deep", "NoInit", "Flat", "InPlace")}
    modules = {"secant": f"{NAMES}{names}\n", "secant_parts": SAMPLERS}
    site.add("secant", modules, entry_points={"secant": "secant"})


@pytest.fixture
def acme(site):
    """Give a distribution with parts that are right, wrong, and neither."""
    site.add(
        "acme-noise",
        {"acme_noise": PARTS, "acme_parts": CODE, "acme_leaves": "raise SystemExit(3)"},
        entry_points={"acme": "acme_noise"},
    )


def test_a_built_in_part_passes(capsys):
    assert main(["plugins", "check", "sampler/euler"]) == 0
    table, total = capsys.readouterr().out.rsplit("\n", 2)[:2]
    assert table.splitlines()[1].split()[:2] == ["sampler/euler", "noiseform"]
    assert total.startswith("1 part: ")
    assert total.endswith(" left out, none failed")


@pytest.mark.parametrize("about", ["acme-noise", "Acme_Noise", "acme", "acme-noise/acme"])
def test_a_distribution(acme, capsys, about):
    assert main(["plugins", "check", about]) == 5
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    failed = [line for line in lines if line.startswith("failed: ")]
    assert [line.split(":")[1].strip() for line in failed] == [
        "metric/leaves",
        "metric/prints",
        "converter/claims",
        "command/silent",
        "command/silent",
    ]
    assert "SystemExit" in failed[0]
    assert r"prints nothing: printed 'comparing \x1b[31m" in failed[1]
    assert "a converter can claim no 'superb'" in failed[2]
    assert "silent has no help" in failed[3]
    assert next(line for line in lines if line.startswith("metric/wants")).endswith(
        "left out: needs parameters model; say it in the part's attribute `claims`"
    )
    assert lines[-1].startswith("6 parts, 1 without checks: ")
    assert lines[-1].endswith(", 5 failed")
    assert "\x1b" not in printed.out
    assert "comparing" not in printed.err


def test_without_a_name_all_that_comes_from_outside(acme, site, capsys):
    site.add("broken", {"broken": "raise ValueError('no')"})
    assert main(["plugins", "check", "--json"]) == 5
    owners = [one["owner"] for one in json.loads(capsys.readouterr().out)]
    assert sorted(owners) == [*["acme-noise 1.0"] * 6, "broken 1.0"]


def test_without_a_name_something_must_come_from_outside(site, capsys):
    assert main(["plugins", "check"]) == 2
    assert "no plugin from outside is installed; name what to check" in capsys.readouterr().err


def told_of(capsys, name: str, *options: str) -> tuple[list[str], str, str]:
    """Return the lines of what failed or was left out of a sampler, what stands last, and the errors."""
    assert main(["plugins", "check", f"sampler/{name}", *options]) == 5
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    return [line for line in lines if line.startswith(("failed", "left out"))], lines[-1], printed.err


@pytest.mark.parametrize(("name", "line", "causes"), [("undefined", 10, 1), ("deep", 13, 2)])
def test_an_exception_is_told_once_with_its_line(secant, capsys, name, line, causes):
    """The line is the author's own, where the exception came from a library too; on the device meta that is another."""
    told, total, errors = told_of(capsys, name)
    assert all(f" (secant_parts.py:{line})" in one for one in told)
    assert len(told) == causes
    failed = int(total.split()[-2])
    assert failed > 10
    assert any(one.endswith(f"... and in {failed - len(told)} more checks") for one in told)
    assert errors == ""


def test_debug_shows_tracebacks(secant, capsys):
    told, _, errors = told_of(capsys, "undefined", "--debug")
    assert len(told) == 1
    assert errors.count("Traceback (most recent call last)") == 1
    assert "return undefined_name, None" in errors
    assert "\nNameError: name 'undefined_name' is not defined\n" in errors


def test_verbose_lists_each(secant, capsys):
    told, total, _ = told_of(capsys, "undefined", "--verbose")
    failed = [line for line in told if line.startswith("failed")]
    assert len(failed) == int(total.split()[-2])
    assert all(line.endswith("(secant_parts.py:10)") for line in failed)


def test_without_its_contract_a_part_is_not_checked_further(secant, capsys):
    (failed, left_out), total, _ = told_of(capsys, "noinit")
    assert failed.startswith("failed: sampler/noinit: test_keeps_its_contract: ")
    assert "without init" in failed
    number = int(total.split(" left out")[0].split()[-1])
    assert number > 10
    assert left_out == f"left out: sampler/noinit: {number} other checks, until the part keeps its contract"
    assert total.endswith(f": 0 checks passed, {number} left out, 1 failed")


@pytest.mark.parametrize(
    ("name", "first"),
    [("inplace", "test_leaves_its_inputs_alone: x was changed in place"), ("flat", "test_keeps_shape_and_dtype: ")],
)
def test_the_finding_that_explains_the_others_is_first(secant, capsys, name, first):
    told, _, _ = told_of(capsys, name)
    assert told[0].startswith(f"failed: sampler/{name}: {first}")
    assert len(told) <= 4


def test_several_are_checked_and_the_first_failure_may_end_it(secant, capsys):
    several = ["sampler/euler", "sampler/noinit", "secant/secant", "sampler/euler"]
    assert main(["plugins", "check", *several, "--json"]) == 5
    names = [one["name"] for one in json.loads(capsys.readouterr().out)]
    assert names[:2] == ["sampler/euler", "sampler/noinit"]
    assert sorted(names) == sorted(
        f"sampler/{one}" for one in ("euler", "noinit", "undefined", "deep", "flat", "inplace")
    )
    assert main(["plugins", "check", *several, "--json", "-x"]) == 5
    euler, noinit = json.loads(capsys.readouterr().out)
    assert {one["verdict"] for one in euler["outcomes"]} <= {"passed", "left out"}
    assert [one["check"] for one in noinit["outcomes"]] == ["test_keeps_its_contract"]


def test_one_part_and_every_check(acme, capsys):
    assert main(["plugins", "check", "command/acme-noise/counting", "--verbose"]) == 0
    told = capsys.readouterr().out
    assert "passed: command/counting: test_helps\n" in told
    assert main(["plugins", "check", "metric/prints", "--verbose"]) == 5
    told = capsys.readouterr().out
    assert "left out: metric/prints: test_noise_is_worse: the suite says that no figure has a best value\n" in told


def test_json(acme, capsys):
    assert main(["plugins", "check", "acme-noise", "--json"]) == 5
    told = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert set(told["command/counting"]) == {"name", "owner", "outcomes", "note", "seconds"}
    assert told["command/counting"]["owner"] == "acme-noise 1.0"
    assert {one["verdict"] for one in told["command/counting"]["outcomes"]} <= {"passed", "left out"}
    (left,) = told["metric/leaves"]["outcomes"]
    assert (left["check"], left["verdict"]) == ("loads", "failed")
    assert told["metric/wants"]["outcomes"] == []


def test_a_plugin_that_is_set_aside_is_a_failure(site, capsys, monkeypatch):
    site.add("broken", {"broken": "import no_such_module"})
    assert main(["plugins", "check", "broken"]) == 5
    told = capsys.readouterr().out
    assert "failed: plugin broken: loads: ModuleNotFoundError" in told
    monkeypatch.setenv("NOISEFORM_PLUGINS", "0")
    site.forget()
    assert main(["plugins", "check", "broken"]) == 5
    assert "is disabled: by the environment variable NOISEFORM_PLUGINS; enable it" in capsys.readouterr().err


def test_a_kind_without_a_suite_is_told(acme, capsys, monkeypatch):
    monkeypatch.delitem(SUITES, "command")
    assert main(["plugins", "check", "command/silent"]) == 0
    assert "no suite for this kind" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ("acme-nose", "no distribution, plugin or KIND/NAME 'acme-nose'; did you mean 'acme-noise'?"),
        ("sampler/eulr", "unknown sampler 'eulr'; did you mean 'euler'?"),
        ("smapler/euler", "no distribution, plugin or KIND/NAME 'smapler/euler'"),
    ],
)
def test_what_there_is_not(acme, capsys, about, reason):
    assert main(["plugins", "check", about]) == 2
    printed = capsys.readouterr().err
    assert reason in printed
    assert printed.count("\n") == 1


def test_without_hypothesis_the_cure_is_told(capsys, monkeypatch):
    for name in list(sys.modules):
        if name.startswith(("noiseform.core.testing", "hypothesis")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    assert main(["plugins", "check", "noiseform"]) == 2
    told = "error: noiseform.testing needs hypothesis and pytest; pip install 'noiseform[testing]'\n"
    assert capsys.readouterr().err == told


SERIES = """\
from noiseform import hookimpl
@hookimpl
def noiseform_modalities(): return {"series": "DIST_parts:Series"}
@hookimpl
def noiseform_metrics(): return {"DIST": "DIST_parts:Level"}
"""
SERIES_PARTS = """\
from noiseform.modalities.audio.modality import AudioModality
class Series(AudioModality):
    name = "series"
class Level:
    '''Difference of the mean levels.'''
    modality = "series"
    def compare(self, made, real):
        level = lambda items: sum(float(one.samples.abs().mean()) for one in items) / len(items)
        return {"level": abs(level(made) - level(real))}
"""


def test_a_metric_measures_the_modality_of_its_own_distribution(site, capsys):
    for name in ("alpha", "beta"):
        site.add(f"{name}-series", {f"{name}_series": SERIES.replace("DIST", name), f"{name}_parts": SERIES_PARTS})
    assert main(["plugins", "check", "metric/beta"]) == 0, capsys.readouterr().out
    assert "none failed" in capsys.readouterr().out
