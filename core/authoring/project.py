"""A new project: the files of a plugin that works, made of templates and written whole or not at all."""

from __future__ import annotations

import importlib.util
import os
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import ConfigError
from ..naming import printable
from ..registration.kinds import NAME, NAME_RULE
from ..registration.targets import PACKAGE
from ..storage.atomic import publish_folder, temporary_folder, write_whole
from .example_data import EXAMPLE_DATA
from .project_name import ProjectName
from .template import FOLDER, PROJECT, Template, files_in, filled

__all__ = [
    *("kit_is_installed", "part_name", "project_commands", "project_files"),
    *("refuse_known_parts", "refuse_taken", "write_project"),
]

COPYRIGHT = "Copyright 2026 The noiseform authors"
"""The line of noiseform's licence that a project has its own in the place of."""

STAGE = {
    "process": '{ use = "flow" }',
    "objective": '{ use = "velocity" }',
    "network": '{ use = "unet-1d", channels = [16, 24], blocks = 1, head_width = 8, patch = 4 }',
    "codec": '{ use = "identity", scale = 2.0 }',
    "conditioners": '[{ use = "labels", names = ["low", "high"], width = 32 }]',
    "data": 'labels = "folder"',
}
"""What a recipe says where a template says nothing else."""


def project_files(name: ProjectName, templates: Sequence[Template]) -> dict[str, bytes]:
    """Return the files of a project with one part of each template, by their path in it.

    Args:
        name: of the project.
        templates: at least one, each at most once.
    """
    common = _names(name, templates)
    files = dict(_filled(PROJECT, name, common))
    for template in templates:
        names = {**common, "part": part_name(name, template, templates)}
        files |= _filled(template.folder, name, names)
        if template.recipe:
            place = template.recipe.replace("package/", f"src/{name.module}/")
            files[place] = _recipe(template, names).encode()
        for inside, content in EXAMPLE_DATA.get(template.data, dict)().items():
            files[f"example/{template.data}/{inside}"] = content
    files[f"src/{name.module}/__init__.py"] = _package(name, templates).encode()
    files["LICENSE"] = _license(name).encode()
    return dict(sorted(files.items()))


def part_name(name: ProjectName, template: Template, templates: Sequence[Template]) -> str:
    """Return the name of a template's part: the project's own, with the kind where there are several.

    That of a modality is an identifier, for ``from noiseform import NAME``.

    Raises:
        ConfigError: it would be too long.
    """
    found = name.distribution if len(templates) == 1 else f"{name.distribution}-{template.kind}"
    if not NAME.fullmatch(found):
        raise ConfigError(f"plugins new: a part would be called {found}; {NAME_RULE}; choose a shorter name")
    return found.replace("-", "_") if template.kind == "modality" else found


def refuse_known_parts(name: ProjectName, templates: Sequence[Template], taken: Mapping[str, Sequence[str]]) -> None:
    """Refuse a name by which a part is known already.

    Args:
        name: of the project.
        templates: that it is made of.
        taken: by kind, the names that no part of it may have.

    Raises:
        ConfigError: a part would be called so.
    """
    for template in templates:
        part = part_name(name, template, templates)
        if part in taken.get(template.kind, ()):
            raise ConfigError(
                f"plugins new: there is a {template.kind} {part!r} already; "
                f"choose another name, as in acme-{name.distribution}"
            )


def kit_is_installed() -> bool:
    """Tell whether there is what the tests of a project need, which noiseform's extra ``testing`` brings."""
    return all(importlib.util.find_spec(name) for name in ("hypothesis", "pytest"))


def project_commands(
    name: ProjectName, templates: Sequence[Template], folder: str, *, with_kit: bool = False
) -> list[str]:
    """Return the commands by which a project is installed, tested and used.

    Args:
        name: of the project.
        templates: that it was made of.
        folder: where it is.
        with_kit: install what its tests need, too.
    """
    path = folder if os.path.isabs(folder) or folder == os.curdir else os.path.join(os.curdir, folder)
    place, installed = shlex.quote(path), shlex.quote(f"{path}[dev]" if with_kit else path)
    names = {"distribution": name.distribution, "module": name.module, "folder": place}
    used = [
        filled(command, {**names, "part": part_name(name, template, templates)})
        for template in templates
        for command in template.use
    ]
    return [f"pip install -e {installed}", f"pytest {place}", *used]


def refuse_taken(folder: Path) -> None:
    """Refuse a place for a project where there is something already; an empty folder is none.

    Raises:
        ConfigError: it is taken.
    """
    if not folder.name or "\0" in str(folder):
        raise ConfigError(f"plugins new: {printable(folder)}: no name for a new folder; choose another with -o")
    try:
        taken = os.path.lexists(folder) and (not folder.is_dir() or folder.is_symlink() or any(folder.iterdir()))
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise ConfigError(f"plugins new: {printable(folder)}: {why}; choose another folder with -o") from error
    if taken:
        raise ConfigError(f"plugins new: {printable(folder)}: it exists; choose another name, or a folder with -o")


def write_project(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files, by their paths in ``folder``, whole or not at all.

    Raises:
        ConfigError: the folder is taken, or its place is missing, no folder or not writable.
        ResourceError: the disk is full.
    """
    refuse_taken(folder)
    with temporary_folder(folder) as room:
        for path, content in files.items():
            (room / path).parent.mkdir(parents=True, exist_ok=True)
            write_whole(room / path, content)
        publish_folder(room, folder)


def _names(name: ProjectName, templates: Sequence[Template]) -> dict[str, str]:
    """Return what the ``$names`` in templates stand for."""
    parts = [f"- {_shown(name, each, templates)}: {each.summary}" for each in templates]
    summary, *others = (each.summary for each in templates)
    kinds = ", ".join(each.kind for each in templates)
    needs = sorted({need for each in templates for need in each.needs}, key=str.lower)
    return {
        "distribution": name.distribution,
        "module": name.module,
        "requirement": _requirement(),
        "needs": "".join(f'\n    "{need}",' for need in needs),
        "year": str(time.localtime().tm_year),
        "summary": f"Parts for noiseform: {kinds}" if others else _sentence(summary),
        "parts": "\n".join(parts),
        "commands": "\n".join(
            f"$ {command}" for command in project_commands(name, templates, os.curdir, with_kit=True)
        ),
    }


def _shown(name: ProjectName, template: Template, templates: Sequence[Template]) -> str:
    if not template.factory:
        return f"an {template.kind} of trainings"
    return f"`{name.distribution}/{part_name(name, template, templates)}` ({template.kind})"


def _filled(folder: Path, name: ProjectName, names: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Give the files of a template's folder, by their path in the project, with ``$names`` filled in."""
    for path, content, named in files_in(folder):
        if path.name not in ("kind.toml", "hook.py"):
            parts = ("src", name.module, *path.parts[1:]) if path.parts[0] == "package" else path.parts
            yield "/".join(parts), filled(content.decode(), names).encode() if named else content


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _requirement() -> str:
    """Return the versions of noiseform that the project is built for: this one, and those that keep its interface."""
    major, minor = map(int, str(importlib.import_module(PACKAGE).__version__).split(".")[:2])
    return f"noiseform>={major}.{minor},<{f'0.{minor + 1}' if major == 0 else major + 1}"


def _package(name: ProjectName, templates: Sequence[Template]) -> str:
    """Return the source of the module that the entry point names."""
    head = '"""A plugin of noiseform. This module only names its parts: it is imported whenever noiseform starts."""'
    imports = "from __future__ import annotations\n\nfrom noiseform import hookimpl"
    hooks = (each.hook(name.module, part_name(name, each, templates)) for each in templates)
    return "\n\n".join([head, imports, *(f"\n{hook}".rstrip() for hook in hooks)]) + "\n"


def _recipe(template: Template, names: Mapping[str, str]) -> str:
    """Return the recipe of a template: that of built-in parts, with the template's own in their place."""
    stage = {key: filled(value, names) for key, value in {**STAGE, **template.stage}.items()}
    text = (FOLDER / "recipe.toml.in").read_text(encoding="utf-8")
    return filled(text, {**names, **stage, "summary": template.summary})


def _license(name: ProjectName) -> str:
    """Return the Apache License 2.0, which is noiseform's own, in the name of the project's authors."""
    text = (Path(str(importlib.import_module(PACKAGE).__file__)).parent / "LICENSE").read_text(encoding="utf-8")
    head, found, tail = text.partition(COPYRIGHT)
    assert found, "the licence has no line of copyright"
    return f"{head}Copyright {time.localtime().tm_year} The authors of {name.distribution}{tail}"
