"""The errors that noiseform raises for what a user can cause, each with the exit code of the command line.

Every message is one line: what went wrong, where, why, and what to do about it.
The command line prints it as ``error: <message>`` and ends with ``exit_code``; a traceback takes ``--debug``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CheckpointError",
    "ConfigError",
    "MediaError",
    "NoiseformError",
    "NumericError",
    "PluginError",
    "ResourceError",
    "closest",
    "nearest",
]


class NoiseformError(Exception):
    """Base of every error that noiseform raises on purpose."""

    exit_code = 1


class ConfigError(NoiseformError):
    """A wrong argument, option, recipe or registry file."""

    exit_code = 2


class MediaError(NoiseformError):
    """A picture, sound or film that cannot be read as what it claims to be."""

    exit_code = 3


class CheckpointError(NoiseformError):
    """A model folder or training checkpoint that is damaged, foreign or does not fit."""

    exit_code = 4


class PluginError(NoiseformError):
    """A plugin that is missing, set aside, in conflict, or breaks its contract."""

    exit_code = 5


class ResourceError(NoiseformError):
    """Disk, memory or time ran out."""

    exit_code = 6


class NumericError(NoiseformError):
    """A value that is not finite where a finite one was promised."""

    exit_code = 7


def nearest(name: str, known: Iterable[str], *, listing: str = "") -> str:
    """Return the end of an error message: the nearest known name, whatever its case, or all, and how to list them.

    ``nearest("dimm", ["ddim", "ddpm"])`` gives ``"did you mean 'ddim'?"``.
    """
    names = sorted(known)
    close = closest(name, names)
    if close is not None:
        hint = f"did you mean {close!r}?"
    elif names:
        shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
        hint = f"known: {shown}"
    else:
        hint = "none is known"
    return f"{hint} ({listing} shows all)" if listing else hint


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the nearest known name, whatever its case; None where none is near."""
    lower = {each.lower(): each for each in sorted(known, reverse=True)}
    close = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    return lower[close[0]] if close else None
