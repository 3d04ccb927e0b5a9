"""From nothing: each template is made, installed, tested and used by the commands that `plugins new` prints.

What is printed is run word for word, in an environment of its own that sees this one's packages. Nothing is fetched.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import site
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
import soundfile
from noiseform.core.authoring.template import ALL_KINDS
from noiseform.core.cli.main import main
from noiseform.core.registration.kinds import KINDS

OFFLINE = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]

FEW = {
    "train": [*("--set", "training.steps=2"), *("--set", "training.checkpoint_every=2")],
    "evaluate": ["-n", "2"],
}
"""What is added to a printed command so that it takes no longer than it must."""

FROM_INSIDE = "sampler"
"""The kind whose project is tested from its own folder."""

RECORDED = ("process", "objective", "grid", "sampler", "guidance", "network", "codec", "conditioner", "pipeline")
"""Kinds that the record in a sound names."""

DRIVER = """\
import contextlib, io, json, sys
from noiseform.core.cli.main import main
done = []
for command in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(command)
    done.append((code, out.getvalue(), err.getvalue()))
json.dump(done, sys.stdout)
"""
"""Runs command lines one after the other in one interpreter, which imports torch once."""


@dataclass(frozen=True)
class Place:
    """A folder with a project for each kind, and an interpreter that has all of them installed.

    Attributes:
        folder: where the projects are, and where commands are run.
        python: the interpreter.
        commands: what `plugins new` printed for each kind.
    """

    folder: Path
    python: Path
    commands: Mapping[str, list[list[str]]]

    def run(self, *arguments: str, inside: str = ".", given: str = "") -> subprocess.CompletedProcess[str]:
        """Run the interpreter, with the configuration of no user."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NOISEFORM_")}
        environment |= {"XDG_CONFIG_HOME": str(self.folder / "no-configuration"), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [str(self.python), *arguments]
        where = self.folder / inside
        return subprocess.run(
            command, cwd=where, env=environment, input=given, capture_output=True, text=True, timeout=300
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Make a project for each kind, and install all of them in a new environment by one command."""
    folder = tmp_path_factory.mktemp("new-projects")
    commands = {}
    with contextlib.chdir(folder):
        for kind in ALL_KINDS:
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                assert main(["plugins", "new", f"acme-{kind}", "--kind", kind]) == 0
            lines = printed.getvalue().partition("next:\n")[2].splitlines()
            commands[kind] = [shlex.split(line) for line in lines]
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder / "venv")
    python = folder / "venv" / "bin" / "python"
    inner = next((folder / "venv").rglob("site-packages"))
    outer = [place for place in site.getsitepackages() if Path(place).is_dir()]
    (inner / "outer.pth").write_text("".join(f"import site; site.addsitedir({place!r})\n" for place in outer))
    asked = [word for kind in ALL_KINDS for word in installing(commands[kind])]
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", *OFFLINE, *asked]
    done = subprocess.run(pip, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return Place(folder, python, commands)


def installing(commands: list[list[str]]) -> list[str]:
    """Return what the first command asks of pip."""
    assert commands[0][:2] == ["pip", "install"]
    return commands[0][2:]


@pytest.fixture(scope="module")
def tested(place: Place) -> Mapping[str, Mapping[str, str]]:
    """Run the tests of all projects: one as its author does, from inside, the others in one process.

    Returns:
        for each kind its tests, and how they ended.
    """
    report = ["-m", "pytest", "-p", "no:cacheprovider", "-q", f"--junit-xml={place.folder / 'report.xml'}"]
    place.run(*report, inside=f"acme-{FROM_INSIDE}")
    found = dict(_ended(place.folder / "report.xml"))
    paths = []
    for kind in ALL_KINDS:
        program, *words = place.commands[kind][1]
        assert program == "pytest"
        paths += words if kind != FROM_INSIDE else []
    place.run(*report, *paths)
    return found | dict(_ended(place.folder / "report.xml"))


def _ended(report: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Give each kind that was tested with the names of its tests, and how they ended."""
    found: dict[str, dict[str, str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        module, _, suite = case.get("classname", "").rpartition("tests.test_")[2].partition(".")
        ended = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")
        told = "".join(child.text or "" for child in case if child.tag in ("failure", "error"))
        found.setdefault(module, {})[f"{suite}:{case.get('name')}"] = f"{ended} {told}".strip()
    yield from found.items()


@pytest.fixture(scope="module")
def used(place: Place) -> Mapping[str, list[tuple[int, str, str]]]:
    """Run the commands that use the parts, all in one process; return for each kind code, output and errors."""
    lines = [(kind, words) for kind in ALL_KINDS for words in place.commands[kind][2:]]
    assert {words[0] for _, words in lines} == {"noiseform"}
    given = json.dumps([words[1:] + FEW.get(words[1], []) for _, words in lines])
    done = place.run("-c", DRIVER, given=given)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[tuple[int, str, str]]] = {kind: [] for kind in ALL_KINDS}
    for (kind, _), result in zip(lines, json.loads(done.stdout), strict=True):
        found[kind].append(tuple(result))
    return found


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_its_tests_pass(tested, kind):
    results = tested[kind]
    assert {name: told for name, told in results.items() if not told.startswith(("passed", "skipped"))} == {}
    of_the_kit = [name for name in results if name.startswith("Test")]
    assert len(of_the_kit) >= (5 if kind in KINDS else 0)
    own = [results[name] for name in results if name not in of_the_kit]
    assert own
    assert set(own) == {"passed"}


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_its_part_is_used(used, place, kind):
    assert [code for code, _, _ in used[kind]] == [0] * len(place.commands[kind][2:]), used[kind]
    assert used[kind]
    evidence = {
        "metric": lambda: "acme-metric  decibels  " in used[kind][-1][1],
        "command": lambda: used[kind][0][1].splitlines()[-1].split() == ["0.0000", "1.0000", "0.0000", "inf"],
        "observer": lambda: len((place.folder / "runs/observer/step-times.csv").read_text().splitlines()) == 3,
        "modality": lambda: "the same, byte by byte" in used[kind][-1][1] + used[kind][-1][2],
        "converter": lambda: '"layout": "numpy"' in (place.folder / "runs/converter/manifest.json").read_text(),
    }
    if kind in evidence:
        assert evidence[kind](), used[kind]


@pytest.mark.parametrize("kind", RECORDED)
def test_the_part_is_in_the_record_of_what_it_made(used, place, kind):
    with soundfile.SoundFile(place.folder / f"acme-{kind}.wav") as file:
        record = str(file.copy_metadata())
    assert f"acme-{kind}/acme-{kind}" in record


def test_nothing_of_this_environment_changed(place):
    """What runs the tests does not see the projects."""
    code = "import importlib.metadata as m; print([d.name for d in m.distributions() if d.name.startswith('acme-')])"
    assert json.loads(place.run("-c", code).stdout.replace("'", '"')) != []
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"
