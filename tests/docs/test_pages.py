"""README, guide and tutorial, run as a reader would run them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from noiseform.core.cli.main import main
from noiseform.core.errors import NoiseformError
from noiseform.core.registration.registry import current

from .conftest import ROOT, environment, script

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
GUIDE = sorted((ROOT / "docs" / "guide").glob("*.md"))
MODELS = ("spoken-digits", "spoken-digits-cascade")

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
QUOTED = re.compile(r"<!-- quoted: \S+ -->.*?<!-- end -->", re.DOTALL)
FILE = re.compile(r"# ([\w./-]+\.(?:py|toml))\b")
LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(#[^)\s]*)?\)")


class Reader:
    """Follows a page in the current folder: writes its files, runs its Python and its commands."""

    def __init__(self, page: Path, site, install_example) -> None:
        self.page, self.site, self.install_example = page, site, install_example
        self.module = ModuleType(page.stem)

    def read(self) -> None:
        text = self.page.read_text(encoding="utf-8")
        text = QUOTED.sub(lambda match: "\n" * match[0].count("\n"), text)
        for block in BLOCK.finditer(text):
            language, source = block[1], block[2]
            line = text.count("\n", 0, block.start(2)) + 1
            named = FILE.match(source)
            if language in ("python", "toml") and named:
                self.write(Path(named[1]), source)
            elif language == "python":
                exec(compile("\n" * (line - 1) + source, str(self.page), "exec"), vars(self.module))
            elif language == "console":
                for command in source.splitlines():
                    self.run(command.removeprefix("$ ").partition("  #")[0].strip(), line)

    def write(self, path: Path, source: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")

    def install(self, folder: str) -> None:
        """Build a project of the page's own and install it beside the test."""
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
        pip += ["--no-deps", "--no-build-isolation", "--target", str(self.site.folder), folder]
        subprocess.run(pip, check=True)
        self.site.forget()

    def run(self, command: str, line: int) -> None:
        program, *arguments = shlex.split(command)
        where = f"{self.page.name}, line {line}: {command}"
        if program == "make":
            targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            assert arguments[0] in targets, where
        elif program == "pip" and Path(arguments[-1]).is_dir() and not arguments[-1].startswith("docs/"):
            self.install(arguments[-1])
        elif program == "pip" and arguments[-1].startswith("docs/examples/"):
            self.install_example(Path(arguments[-1]).name)
        elif program == "pytest":
            run = {"env": environment(self.site.folder, Path("above").absolute()), "capture_output": True, "text": True}
            done = subprocess.run([sys.executable, "-m", "pytest", "-q", *arguments], check=False, **run)
            assert done.returncode == 0, f"{where}\n{done.stdout}{done.stderr}"
        elif program in ("pip", "python"):
            assert all((ROOT / word).exists() for word in arguments if "/" in word), where
        else:
            assert program == "noiseform", where
            if arguments[0] == "train":  # the page's words, but no more than a moment
                arguments += ["--quiet", "--set", "training.steps=1", "--set", "training.batch_size=2"]
                arguments += [] if "--resume" not in arguments else ["--override"]
            assert main(arguments) == 0, where


def embedded() -> list[str]:
    """Return which of the demonstration models are inside the package."""
    found = []
    for name in MODELS:
        try:
            current().pipeline(name)
        except NoiseformError:
            continue
        found.append(name)
    return found


@pytest.fixture
def reader(place: Path, site, install_example, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(place))
    before = set(sys.modules)
    yield lambda page: Reader(page, site, install_example).read()
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(place)):
            del sys.modules[name]


@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("stand_ins")
@pytest.mark.parametrize("page", GUIDE, ids=lambda page: page.stem)
def test_guide(page, reader, outsider):
    reader(page)


@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("stand_ins")
def test_readme_with_stand_ins(reader):
    reader(ROOT / "README.md")


def test_readme_counts_the_lines_of_its_plugin():
    section = (ROOT / "README.md").read_text().partition("## A plugin")[2].partition("\n## ")[0]
    files = [block[2] for block in BLOCK.finditer(section) if FILE.match(block[2])]
    lines = [line for file in files for line in file.splitlines()[1:] if line]
    assert f"all of it, {len(lines)} lines" in section


def test_readme(reader):
    missing = sorted(set(MODELS) - set(embedded()))
    if missing:
        pytest.skip(f"not inside the package yet: {', '.join(missing)}")
    reader(ROOT / "README.md")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # matplotlib's own
def test_tutorial_and_its_figures(tmp_path):
    pytest.importorskip("matplotlib")
    figures = script("figures/tutorial.py")
    figures.main(tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    shown = set(re.findall(r"images/(tutorial-[a-z]+\.png)", (ROOT / "docs" / "tutorial.md").read_text()))
    kept = {path.name for path in (ROOT / "docs" / "images").glob("tutorial-*")}
    assert drawn == shown == kept


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    coming = [] if len(embedded()) == len(MODELS) else ["spoken_digits", "spoken-digits"]
    for path, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if any(name in path for name in coming):
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert target.is_relative_to(ROOT), path
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor[1:] in anchors, anchor
