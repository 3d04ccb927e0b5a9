"""The name of a new project, and the names that follow from it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import keyword
import re
import sys
from dataclasses import dataclass

from ..errors import ConfigError
from ..naming import printable
from ..registration.installed import normalized

__all__ = ["ProjectName", "project_name"]

DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", re.ASCII)
"""A name that package indexes take (PEP 508), not longer than the name of a part may be."""

FOLDERS = {"build", "dist", "example", "runs", "src", "tests"}
"""Folders that a project has, or that others make in it and git passes over."""


@dataclass(frozen=True, slots=True)
class ProjectName:
    """A name under which a plugin can be installed beside everything that is installed here.

    Attributes:
        distribution: that of the distribution, normalized, as it stands before the slash in ``acme-noise/ralston``.
        module: that of its package: ``acme_noise``.
    """

    distribution: str
    module: str


def project_name(text: str) -> ProjectName:
    """Return the names of a project that is called ``text``.

    Raises:
        ConfigError: no distribution or no module can be called so, or one is already.
    """
    if not DISTRIBUTION.fullmatch(text):
        raise _refused(
            text, "a name is 1 to 64 of a-z, 0-9, '-', '_' and '.', and begins and ends with a letter or a digit"
        )
    name = ProjectName(normalized(text), normalized(text).replace("-", "_"))
    if not name.module.isidentifier():
        raise _refused(text, f"its module could not be called {name.module!r}; begin with a letter, as in acme-{text}")
    if keyword.iskeyword(name.module):
        raise _refused(text, f"{name.module!r} is a word of Python's own; write more, as in acme-{text}")
    if name.module in FOLDERS:
        raise _refused(text, f"{name.module!r} is a folder in every project; write more, as in acme-{text}")
    if name.distribution == "noiseform":
        raise _refused(text, "this is noiseform itself; choose another, such as noiseform-acme")
    if name.module in sys.stdlib_module_names:
        raise _refused(text, f"its module would hide Python's own {name.module!r}; write more, as in acme-{text}")
    try:
        version = importlib.metadata.version(name.distribution)
    except importlib.metadata.PackageNotFoundError:
        version = ""
    if version:
        raise _refused(text, f"{name.distribution} {version} is installed; choose another, or uninstall that one")
    place = _installed_at(name.module)
    if place:
        raise _refused(text, f"its module would hide {place}; choose another")
    return name


def _refused(text: str, why: str) -> ConfigError:
    return ConfigError(f"plugins new: name '{printable(text)}': {why}")


def _installed_at(module: str) -> str:
    """Return the file of a module that can be imported, an empty string where there is none; imports nothing."""
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return ""
    # A folder without __init__.py, such as a project of that name in the current folder, hides nothing.
    return printable(found.origin) if found is not None and found.origin else ""
