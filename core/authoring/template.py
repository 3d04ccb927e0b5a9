"""The templates of new projects: for each kind a part that works, its tests, and what else it takes to try it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from string import Template as Text

from ..errors import ConfigError, nearest
from ..registration.kinds import KINDS

__all__ = ["ALL_KINDS", "PROJECT", "Template", "files_in", "filled", "template_of"]

FOLDER = Path(__file__).parent / "templates"

OBSERVER = "observer"
"""What is no kind of parts, but has a template too: something that watches a training."""

ALL_KINDS = (*KINDS, OBSERVER)
"""What a project may be made for."""

PROJECT = FOLDER / "project"
"""The files that every project has."""

ENDING = ".in"
"""Ends the names of files with ``$names`` in them; so nobody takes them for sources of this package."""


@dataclass(frozen=True, slots=True)
class Template:
    """What a kind's ``kind.toml`` says.

    Attributes:
        kind: the kind of the part.
        summary: what it is, in a few words.
        use: commands that use it.
        factory: it as ``module:attribute``, in the project's package; empty where ``hook.py.in`` says the hook.
        needs: distributions, besides noiseform, from which its modules import.
        data: which example data the commands need, as in ``example_data``.
        recipe: the file of a recipe with the part in it, or an empty string.
        stage: how the recipe differs from that of built-in parts only, by ``$names`` of ``recipe.toml.in``.
    """

    kind: str
    summary: str
    use: tuple[str, ...]
    factory: str = ""
    needs: tuple[str, ...] = ()
    data: str = ""
    recipe: str = ""
    stage: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Return where the template's files are."""
        return FOLDER / self.kind

    def hook(self, module: str, part: str) -> str:
        """Return the source of the hook by which a package gives the part.

        Args:
            module: the name of the package.
            part: that of the part.
        """
        if not self.factory:
            return (self.folder / "hook.py.in").read_text(encoding="utf-8")
        given = f'{{"{part}": "{module}.{self.factory}"}}'
        return f"@hookimpl\ndef {KINDS[self.kind].hook}():\n    return {given}\n"


def template_of(kind: str) -> Template:
    """Return the template of a kind.

    Raises:
        ConfigError: there is none of that name.
    """
    if kind not in ALL_KINDS:
        raise ConfigError(f"plugins new: unknown kind {kind!r:.80}; {nearest(kind, ALL_KINDS)}")
    table = tomllib.loads((FOLDER / kind / "kind.toml").read_text(encoding="utf-8"))
    needs = tuple(table.pop("needs", ()))
    return Template(kind=kind, use=tuple(table.pop("use")), needs=needs, **table)


def files_in(folder: Path) -> Iterator[tuple[PurePosixPath, bytes, bool]]:
    """Give the files under a folder: path without its ``.in``, content, and whether there are ``$names`` in it.

    ``dot-`` at the head of a name stands for a dot: packages are built without files that are hidden.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            parts = [
                part.replace("dot-", ".", 1) if part.startswith("dot-") else part for part in _inside(path, folder)
            ]
            yield PurePosixPath(*parts), path.read_bytes(), path.suffix == ENDING


def filled(text: str, names: Mapping[str, str]) -> str:
    """Return a template's text with its ``$names`` filled in; one that is not given is an error of the template."""
    return Text(text).substitute(names)


def _inside(path: Path, folder: Path) -> tuple[str, ...]:
    """Return the parts of a path from ``folder`` on, without ``.in`` at its end."""
    inside = path.relative_to(folder)
    return (inside.with_suffix("") if inside.suffix == ENDING else inside).parts
