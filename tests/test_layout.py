"""The rules of the layout: who imports whom, how, and what files are called."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(path for top in ("core", "plugins", "modalities") for path in (ROOT / top).rglob("*.py"))
VAGUE = re.compile(r"(^|_)(utils?|helpers?|misc|common|manager|stuff|base|tools)(_|$)")
ROOMS = [
    "",
    "registration",
    "machine",
    "raster",
    "storage",
    "networks",
    "diffusion",
    "data",
    "pipeline",
    "verbs",
    "training",
    "testing",
    "authoring",
    "cli",
]
OWN = {"core", "plugins", "modalities", "noiseform"}


def imports(path: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Give line and target of each import of this package, as the parts of its path from the root."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            inner = tuple(node.module.split(".")) if node.module else ()
            for item in node.names:  # `from .. import plugins` names a folder as `from ..plugins import` does
                yield node.lineno, (*base, *inner, item.name)


def absolute(path: Path) -> Iterator[tuple[int, str]]:
    """Give line and name of each import by an absolute name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, item.name) for item in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.lineno, node.module


def room(parts: tuple[str, ...]) -> str:
    """Return the part of the layout that a path is in: core, the root, one plugin, or one modality."""
    if not parts or parts[0] not in ("core", "plugins", "modalities"):
        return "root"
    return parts[0] if parts[0] == "core" else "/".join(parts[:2])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports(path: Path) -> None:
    here = room(path.relative_to(ROOT).parts)
    for line, target in imports(path):
        there = room(target)
        # The root holds nothing but the version and the public names; core tells the version in records.
        assert there in (here, "core") or (there == "root" and target == ("__version__",)), (line, target)
    for line, name in absolute(path):
        assert name.split(".")[0] not in OWN, f"line {line}: import {name} relatively"


@pytest.mark.parametrize("path", [path for path in SOURCES if path.is_relative_to(ROOT / "core")], ids=str)
def test_rooms_of_core_import_downwards(path: Path) -> None:
    """Hold the order of ROOMS: each may import those before it. The first is core's own files."""

    def level(parts: tuple[str, ...]) -> int:
        name = parts[1] if len(parts) > 1 and (ROOT / "core" / parts[1]).is_dir() else ""
        return ROOMS.index(name)

    here = level(path.relative_to(ROOT).parts)
    above = [(line, target) for line, target in imports(path) if target[0] == "core" and level(target) > here]
    assert above == []


def test_names_say_what_is_inside() -> None:
    everything = [
        path for top in ("core", "plugins", "modalities", "tests", "docs") for path in (ROOT / top).rglob("*")
    ]
    vague = [path for path in everything if path.suffix in ("", ".py") and VAGUE.search(path.stem)]
    assert [path for path in vague if "__pycache__" not in path.parts] == []


def test_the_top_level_is_as_agreed() -> None:
    for name in ("core", "plugins", "modalities", "tests", "docs"):
        assert (ROOT / name).is_dir(), name
    for name in ("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "registry.toml", "py.typed"):
        assert (ROOT / name).is_file(), name


def test_files_are_short() -> None:
    """Count the lines of each file: 250 is the rule of thumb; this notices when it has been forgotten altogether."""
    long = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in long.items() if lines > 350} == {}
