"""`noiseform plugins new`: what it writes and prints, what it refuses, and that it leaves nothing half done."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import noiseform
import pytest
from noiseform.core.authoring import project
from noiseform.core.authoring.project import project_files
from noiseform.core.authoring.project_name import ProjectName
from noiseform.core.authoring.template import ALL_KINDS, FOLDER, template_of
from noiseform.core.cli.main import main
from noiseform.core.registration.installed import installed
from noiseform.core.registration.kinds import KINDS
from noiseform.core.registration.registry import current
from noiseform.core.storage.temporary import TEMPORARY_PREFIX

ROOT = Path(noiseform.__file__).resolve().parent
NAME = ProjectName("acme-noise", "acme_noise")
EVERYTHING = [word for kind in ALL_KINDS for word in ("--kind", kind)]

ALIKE = (
    *("process/process", "objective/objective", "grid/grid", "guidance/guidance", "codec/codec"),
    *("conditioner/conditioner", "modality/modality", "modality/dataset", "observer/observer"),
)
"""Kinds and files of their templates that docs/examples/outsider has too."""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def whole(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_writes_and_prints(here, capsys):
    assert main(["plugins", "new", "Acme_Noise", "--kind", "sampler", "-o", "my plugin"]) == 0
    files, _, commands = capsys.readouterr().out.partition("\nnext:\n")
    assert files.splitlines() == [f"my plugin/{name}" for name in sorted(whole(here / "my plugin"))]
    assert commands.splitlines() == [
        "  pip install -e './my plugin'",
        "  pytest './my plugin'",
        "  noiseform generate audio spoken-digits --label seven --steps 8 "
        "--sampler acme-noise/acme-noise -o acme-noise.wav",
    ]
    assert set(whole(here / "my plugin")) == {
        *(".github/workflows/test.yml", ".gitignore", "CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml"),
        *("src/acme_noise/__init__.py", "src/acme_noise/sampler.py", "tests/test_sampler.py"),
    }


def test_what_the_tests_need_is_installed_where_it_is_absent(here, capsys, monkeypatch):
    monkeypatch.setattr(project, "kit_is_installed", lambda: False)
    assert main(["plugins", "new", "acme-noise", "--kind", "grid"]) == 0
    assert "  pip install -e './acme-noise[dev]'\n  pytest ./acme-noise\n" in capsys.readouterr().out
    readme = (here / "acme-noise" / "README.md").read_text()
    assert "$ pip install -e '.[dev]'\n$ pytest .\n$ noiseform generate audio spoken-digits" in readme


@pytest.mark.parametrize(
    ("version", "bounds"), [("0.1.0", ">=0.1,<0.2"), ("0.12.3", ">=0.12,<0.13"), ("2.5.1", ">=2.5,<3")]
)
def test_a_project_says_what_it_is_built_for(monkeypatch, version, bounds):
    monkeypatch.setattr(noiseform, "__version__", version)
    table = tomllib.loads(project_files(NAME, [template_of("grid")])["pyproject.toml"].decode())["project"]
    assert table["dependencies"] == [f"noiseform{bounds}", "annotated-types", "torch"]
    assert table["entry-points"] == {"noiseform": {"acme-noise": "acme_noise"}}
    assert table["optional-dependencies"] == {"dev": ["noiseform[testing]", "build"]}


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_what_a_part_imports_is_declared(kind):
    files = project_files(NAME, [template_of(kind)])
    imported = set()
    for path, content in files.items():
        for node in ast.walk(ast.parse(content)) if path.startswith("src/") and path.endswith(".py") else ():
            imported |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            imported |= {node.module} if isinstance(node, ast.ImportFrom) and node.level == 0 else set()
    outside = {name.partition(".")[0] for name in imported} - {*sys.stdlib_module_names, "noiseform"}
    names = {"annotated_types": "annotated-types", "PIL": "Pillow"}
    table = tomllib.loads(files["pyproject.toml"].decode())["project"]
    assert table["dependencies"][1:] == sorted((names.get(each, each) for each in outside), key=str.lower)


def test_metadata_is_what_an_index_shows():
    """Who wrote it, where it is, and by which words it is found; the licence is said in one place."""
    table = tomllib.loads(project_files(NAME, [template_of("codec"), template_of("grid")])["pyproject.toml"].decode())
    assert table["project"]["description"] == "Parts for noiseform: codec, grid"
    assert table["project"]["authors"] == [{"name": "The authors of acme-noise"}]
    assert set(table["project"]["urls"]) == {"Repository", "Issues", "Changelog"}
    assert "noiseform" in table["project"]["keywords"]
    assert not [each for each in table["project"]["classifiers"] if each.startswith(("Framework", "License"))]


def test_a_wheel_has_the_model_and_not_how_its_training_went(tmp_path):
    patterns = tomllib.loads(project_files(NAME, [template_of("pipeline")])["pyproject.toml"].decode())
    shipped = patterns["tool"]["setuptools"]["package-data"]["*"]
    names = ["base-0123abcd.safetensors", "pipeline.toml", "manifest.json", "log.jsonl", "loss.png", "step-times.csv"]
    found = [name for name in names if any(Path("weights", name).match(pattern) for pattern in shipped)]
    assert found == names[:3]


def test_the_forge_builds_and_may_publish():
    text = project_files(NAME, [template_of("grid")])[".github/workflows/test.yml"].decode()
    lines = [line.strip() for line in text.splitlines()]
    torch = lines.index("- run: pip install torch torchaudio --index-url https://download.pytorch.org/whl/cpu")
    assert torch < lines.index('- run: pip install -e ".[dev]"') < lines.index("- run: pytest")
    assert "- run: python -m build" in lines
    assert all(line.startswith("  #") for line in text.partition("  # Publishes")[2].splitlines()[1:])
    assert "${{ matrix.python }}" in text


def test_a_licence_names_the_project():
    text = project_files(NAME, [template_of("grid")])["LICENSE"].decode()
    own = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert len(text.splitlines()) == len(own.splitlines())
    ((before, after),) = [pair for pair in zip(own.splitlines(), text.splitlines(), strict=True) if pair[0] != pair[1]]
    assert "The noiseform authors" in before
    assert "The authors of acme-noise" in after


def test_several_kinds_make_one_project(here, monkeypatch):
    """All of them, in one module: what each alone has is there, every hook is found, and the sources are in order."""
    assert main(["plugins", "new", "acme-noise", *EVERYTHING, "--kind", "grid"]) == 0
    files = whole(here / "acme-noise")
    common = {"CHANGELOG.md", "README.md", "pyproject.toml", "src/acme_noise/__init__.py"}
    for kind in ALL_KINDS:
        alone = project_files(NAME, [template_of(kind)])
        for name in alone.keys() - common:
            renamed = files[name]
            for own, plain in ((f"acme-noise-{kind}", "acme-noise"), (f"acme_noise_{kind}", "acme_noise")):
                renamed = renamed.replace(own.encode(), plain.encode())
            assert renamed == alone[name], name
    source = files["src/acme_noise/__init__.py"].decode()
    hooks = {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    assert hooks == {*(kind.hook for kind in KINDS.values()), "noiseform_training_observers"}
    for check in (["check"], ["format", "--check"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *check, "--no-cache", "acme-noise"], capture_output=True)
        assert done.returncode == 0, done.stdout.decode()


def test_every_part_can_be_named(site, here):
    """Parts of the templates clash with nothing that is built in, by their short names."""
    for path, content in project_files(NAME, [template_of(kind) for kind in ALL_KINDS]).items():
        place = site.folder / path.removeprefix("src/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    site.add("acme-noise", {}, entry_points={"acme-noise": "acme_noise"})
    assert [each.distribution for each in installed() if each.name == "acme-noise"] == ["acme-noise"]
    for kind in KINDS:
        part = "acme_noise_modality" if kind == "modality" else f"acme-noise-{kind}"
        assert current().plugins.find(kind, part).full_name == f"acme-noise/{part}"


def test_first_parts_of_two_authors_do_not_collide(site, here):
    """Whose projects are made of the same template."""
    for name in ("acme-noise", "other-noise"):
        module = name.replace("-", "_")
        source = project_files(ProjectName(name, module), [template_of("sampler")])[f"src/{module}/__init__.py"]
        site.add(name, {module: source.decode()}, entry_points={name: module})
    assert current().plugins.clashes() == []
    assert current().plugins.find("sampler", "other-noise").full_name == "other-noise/other-noise"


def test_a_modality_can_be_imported(site, here):
    assert main(["plugins", "new", "acme-noise", "--kind", "modality"]) == 0
    source = (here / "acme-noise/src/acme_noise/__init__.py").read_text()
    site.add("acme-noise", {"acme_noise": source}, entry_points={"acme-noise": "acme_noise"})
    assert noiseform.acme_noise


def test_templates_are_those_of_the_kinds():
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} == {*ALL_KINDS, "project"}


@pytest.mark.parametrize("file", ALIKE)
def test_the_example_and_the_template_are_one(file):
    kind, name = file.split("/")
    template = (FOLDER / kind / "package" / f"{name}.py.in").read_text(encoding="utf-8")
    template = template.replace("$part", "series")  # which only a modality says itself
    assert template == (ROOT / "docs/examples/outsider/noiseform_outsider" / f"{name}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["json", "--kind", "grid"], "would hide Python's own"),
        (["acme-noise"], "of which kind? say --kind, as in --kind sampler; known: process,"),
        (["euler", "--kind", "sampler"], "there is a sampler 'euler' already; choose another name, as in acme-euler"),
        (["train", "--kind", "command"], "there is a command 'train' already"),
        (["audio", "--kind", "modality"], "there is a modality 'audio' already"),
        (["a" * 60, "--kind", "sampler", "--kind", "grid"], "choose a shorter name"),
        (["acme-noise", "--kind", "smapler"], "unknown kind 'smapler'; did you mean 'sampler'?"),
        (["acme-noise", "--kind", "grid", "--kind", "project"], "unknown kind 'project'"),
        (["acme-noise", "--kind", "../grid"], "unknown kind '../grid'"),
        (["acme-noise", "--kind", "grid", "-o", "full"], "full: it exists; choose another name, or a folder with -o"),
        (["acme-noise", "--kind", "grid", "-o", "full/file"], "it exists"),
        (["acme-noise", "--kind", "grid", "-o", "link"], "it exists"),
        (["acme-noise", "--kind", "grid", "-o", "no/such"], "make the folder first"),
        (["acme-noise", "--kind", "grid", "-o", "full/file/x"], "error: "),
        (["acme-noise", "--kind", "grid", "-o", ""], "no name for a new folder; choose another with -o"),
        (["acme-noise", "--kind", "grid", "-o", "x" * 300], "error: "),
    ],
)
def test_what_is_refused_leaves_nothing(here, capsys, arguments, why):
    (here / "full").mkdir()
    (here / "full" / "file").write_text("mine")
    (here / "empty").mkdir()
    (here / "link").symlink_to("empty")
    before = sorted(here.rglob("*"))
    assert main(["plugins", "new", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert why in printed.err
    assert printed.err.count("\n") == 1
    assert sorted(here.rglob("*")) == before
    assert (here / "full" / "file").read_text() == "mine"


def test_an_empty_folder_is_taken_over(here):
    (here / "acme-noise").mkdir()
    assert main(["plugins", "new", "acme-noise", "--kind", "grid"]) == 0
    assert (here / "acme-noise" / "pyproject.toml").is_file()


def test_a_second_one_leaves_the_first(here, capsys):
    assert main(["plugins", "new", "acme-noise", "--kind", "grid"]) == 0
    (here / "acme-noise" / "README.md").write_text("mine")
    before = whole(here)
    assert main(["plugins", "new", "acme-noise", "--kind", "sampler"]) == 2
    assert "acme-noise: it exists" in capsys.readouterr().err
    assert whole(here) == before


@pytest.mark.parametrize("at", [1, 5, 8])
def test_whole_or_not_at_all(here, monkeypatch, capsys, at):
    """Where a file in the middle cannot be written, no folder is left, and no temporary one."""
    written = []

    def failing(path, data):
        written.append(path)
        if len(written) == at:
            raise OSError(28, os.strerror(28))
        Path(path).write_bytes(data)

    monkeypatch.setattr(project, "write_whole", failing)
    assert main(["plugins", "new", "acme-noise", "--kind", "grid"]) == 6
    assert "no space left on device; free some space" in capsys.readouterr().err
    assert len(written) == at
    assert all(TEMPORARY_PREFIX in str(path) for path in written)
    assert list(here.iterdir()) == []
