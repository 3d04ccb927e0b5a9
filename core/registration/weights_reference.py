"""Where a pipeline's ``weights`` are: a folder, or a resource of an installed package; never a download."""

from __future__ import annotations

import importlib
import importlib.resources
import re
from pathlib import Path

from ..errors import ConfigError, PluginError
from ..naming import printable
from .targets import PACKAGE

__all__ = ["resolve_weights"]

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_RESOURCE = re.compile(
    r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*)"
)


def resolve_weights(reference: str, *, base: Path | None = None) -> Path:
    """Return the model folder that ``reference`` names.

    Args:
        reference: ``"package.module:folder"``, a folder beside or below that module, or a path.
        base: what a relative path starts from, such as the folder of the registry file; None: the current folder.

    Raises:
        ConfigError: when it is empty, a URL, leads out of its package, or there is no such folder.
        PluginError: when the package cannot be imported.
    """
    shown = printable(reference)
    if not reference or "\0" in reference:
        raise ConfigError(
            f"weights: {shown!r}: no reference to weights; write 'package.module:folder' or a folder's path"
        )
    if _REMOTE.match(reference):
        raise ConfigError(
            f"weights: {shown}: noiseform downloads nothing; fetch the model folder yourself and name its path"
        )
    resource = _RESOURCE.fullmatch(reference)
    if resource is not None:  # a path of this form can be written with ./ before it
        return _resource_folder(resource[1], resource[2], shown)
    path = Path(reference).expanduser()
    path = path if path.is_absolute() or base is None else base / path
    try:
        if path.is_dir():
            return path
    except OSError:
        pass
    raise ConfigError(f"weights: {printable(path)}: there is no such folder; name one that `noiseform train` made")


def _resource_folder(module: str, inside: str, shown: str) -> Path:
    """Find a folder of an installed package."""
    head, dot, rest = module.partition(".")
    name = f"{PACKAGE}{dot}{rest}" if head == "noiseform" else module
    try:
        # Of a module that is no package its package counts; Python 3.11 does not see to that itself.
        root = importlib.resources.files(importlib.import_module(name).__package__ or name)
    except Exception as error:  # whatever the package's import raises
        raise PluginError(
            f"weights: {shown}: the package {module!r} cannot be imported "
            f"({type(error).__name__}: {printable(str(error))}); "
            "install the plugin that has it"
        ) from error
    if not isinstance(root, Path):
        raise ConfigError(f"weights: {shown}: its package is no plain folder on disk; install it unpacked")
    folder = root / inside
    if not folder.is_dir():
        raise ConfigError(f"weights: {shown}: the package has no folder {inside!r}; reinstall it")
    if not folder.resolve().is_relative_to(root.resolve()):
        raise ConfigError(f"weights: {shown}: the folder leads out of its package; copy it into the package")
    return folder
