"""Targets: ``"module:attribute"``, the lazy form in which plugins and registries name an object."""

from __future__ import annotations

import importlib
import re
from types import ModuleType

from ..errors import nearest

__all__ = ["PACKAGE", "TARGET", "import_target"]

PACKAGE = __name__.rsplit(".", 3)[0]
"""The name under which this package is imported; ``noiseform`` at the head of a target stands for it."""

TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*)?")


def import_target(target: str) -> object:
    """Import the object that a target names; without ``:attribute`` that is the module.

    Raises:
        ValueError: the target is not of the form ``module`` or ``module:attribute``.
        ImportError, AttributeError, or whatever else the module raises; the nearest name is in the message of a
            module or class that lacks one.
    """
    if not TARGET.fullmatch(target):
        raise ValueError(f"{target!r} is not of the form 'module:attribute'")
    module_name, _, attributes = target.partition(":")
    head, dot, rest = module_name.partition(".")
    if head == "noiseform":
        module_name = PACKAGE + dot + rest
    found: object = importlib.import_module(module_name)
    for attribute in filter(None, attributes.split(".")):
        try:
            found = getattr(found, attribute)
        except AttributeError as error:
            if error.name != attribute or error.obj is not found:  # raised further inside
                raise
            known = [
                name
                for name, value in getattr(found, "__dict__", {}).items()
                if not name.startswith("_") and not _is_module(value)
            ]
            raise AttributeError(f"{error}; {nearest(attribute, known)}", name=attribute, obj=found) from None
    return found


def _is_module(value: object) -> bool:
    return isinstance(value, ModuleType)
