"""The example projects, as if they were installed: their own tests, and what each adds, from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from noiseform.core.cli.main import main
from noiseform.core.registration.build import build
from noiseform.core.registration.registry import current

from .conftest import ROOT, environment

EXAMPLES = ROOT / "docs" / "examples"
PROJECTS = ("midpoint", "points", "stopwatch")
"""Those that are read as models of a project; ``outsider`` is quoted in the guide, and tried in ``test_examples``."""


def project(name: str) -> dict[str, object]:
    return tomllib.loads((EXAMPLES / name / "pyproject.toml").read_text())["project"]


@pytest.fixture
def projects(install_example, site) -> Path:
    """Have these three found as if they were installed; give the folder that says so."""
    for name in PROJECTS:
        install_example(name)
    return site.folder


@pytest.mark.parametrize("name", [*PROJECTS, "outsider"])
def test_own_tests_of_a_project(projects, install_example, name, tmp_path):
    install_example(name)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLES / name)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(projects, tmp_path / "above"),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.usefixtures("projects")
@pytest.mark.parametrize("name", PROJECTS)
def test_every_part_of_a_project_keeps_its_contract(name, capsys):
    """By what the parts claim of themselves alone, as someone checks them who has not written them."""
    code = main(["plugins", "check", f"noiseform-{name}"])
    told = capsys.readouterr().out
    assert code == 0, told
    assert ", none failed" in told
    assert "without checks" not in told


@pytest.mark.parametrize("name", PROJECTS)
def test_a_project_says_what_it_needs_and_how_to_use_it(name):
    told, folder = project(name), EXAMPLES / name
    assert told["dependencies"] == ["noiseform>=0.1,<0.2"]
    assert told["license"] == "Apache-2.0"
    readme = (folder / told["readme"]).read_text()
    assert f"pip install docs/examples/{name}" in readme
    assert "Licence: Apache-2.0" in readme


def test_all_are_light_until_they_are_used(projects):
    loaded = {plugin.distribution for plugin in current().plugins.plugins if plugin.usable}
    assert {f"noiseform-{name}" for name in PROJECTS} <= loaded
    modules = {name for name in sys.modules if name.startswith("noiseform_")}
    assert modules == {f"noiseform_{name}" for name in PROJECTS}


RECIPE = """
modality = "points"
[media]
points = 48
[[stages]]
process = { use = "flow" }
objective = { use = "velocity" }
network = { use = "point-transformer", width = 16, depth = 1, heads = 2, inducing = 4 }
codec = { use = "identity", scale = 9.0 }  # so that the noise of a network that has learnt nothing lies within bounds
conditioners = [{ use = "labels", names = ["box", "cone", "cylinder", "helix", "sphere", "table", "torus"], width = 8 }]
steps = 3
[training]
steps = 3
batch_size = 4
checkpoint_every = 3
sample_every = 3
samples = 2
"""


@pytest.mark.usefixtures("projects")
def test_point_clouds_have_every_verb(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOISEFORM_MALLOC", "0")
    Path("recipe.toml").write_text(RECIPE)
    assert main(["make-shapes", "shapes", "-n", "2", "--points", "60"]) == 0
    assert main(["train", "recipe.toml", "--data", "shapes", "-o", "run", "--quiet"]) == 0
    assert len(list(Path("run/samples").glob("*.png"))) == 1
    made = ["generate", "points", "./run", "--label", "torus", "-o", "torus.ply"]
    assert main([*made, "--sheet", "torus.png", "--previews", "steps"]) == 0
    assert Path("torus.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(Path("steps").glob("*.png"))) == 3
    assert main(["replay", "torus.ply", "--pipeline", "./run"]) == 0
    read = build("modality", "points").read
    given = read("torus.ply").points
    edit = ["edit", "points", "torus.ply", "--pipeline", "./run", "--label", "cone", "--seed", "1"]
    for number, (change, new) in enumerate(
        (
            (["--mask", "0:20"], torch.arange(48) < 20),
            (["--mask", "z=0:"], given[2] >= 0),
            (["--strength", "0.5"], torch.ones(48, dtype=torch.bool)),
        )
    ):
        file = f"edited-{number}.ply"
        assert main([*edit, *change, "-o", file]) == 0
        assert main(["replay", file, "--source", "torus.ply", "--pipeline", "./run"]) == 0
        changed = (read(file).points != given).any(0)
        assert torch.equal(changed, new)
    capsys.readouterr()
    evaluate = ["evaluate", "./run", "--data", "shapes", "--metric", "chamfer", "-n", "7", "--json"]
    assert main([*evaluate, "--batch-size", "7"]) == 0
    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["figure"] for one in figures] == ["minimum matching distance", "coverage", "1-nn accuracy"]
    assert all(one["value"] >= 0 and one["items"] == 7 for one in figures)
    assert main([*edit, "--extend", "1", "-o", "x.ply"]) == 2
    assert main(["upscale", "points", "torus.ply", "--pipeline", "./run", "-o", "x.ply"]) == 2
    told = capsys.readouterr().err
    assert "such items have no ends" in told
    assert "none of its stages makes anything larger" in told


@pytest.mark.usefixtures("projects")
def test_the_shipped_model_in_the_words_of_the_readme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOISEFORM_STOPWATCH", "steps.csv")
    import noiseform

    made = noiseform.points.generate("shapes", label="torus", sampler="midpoint", steps=2)[0]
    made.save("torus.ply")
    assert main(["replay", "torus.ply"]) == 0
    calls = [line.split(",")[-2] for line in Path("steps.csv").read_text().splitlines()]
    assert calls == ["calls", *["2"] * 4]  # of the midpoint method, in two runs of two steps
    size = sum(path.stat().st_size for path in (EXAMPLES / "points/noiseform_points/weights").iterdir())
    assert size < 2**19
