"""Plugins that are named somewhere, before anything of them is imported: entry points of installed distributions."""

from __future__ import annotations

import functools
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Candidate", "installed", "normalized"]

GROUP = "noiseform"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plugin that has been named but not yet imported.

    Attributes:
        name: its name: of the entry point, or the key in registry.toml.
        target: the module (or ``module:attribute``) that holds its hook implementations.
        distribution: the distribution that it comes with, normalized (``some-name``).
        version: the version of that distribution.
        origin: where it was named, for people to read.
        builtin: whether noiseform itself names it.
        fault: why it cannot even be imported, or an empty string.
    """

    name: str
    target: str
    distribution: str
    version: str
    origin: str
    builtin: bool = False
    fault: str = ""


def normalized(distribution: str) -> str:
    """Return the one spelling of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def installed() -> tuple[Candidate, ...]:
    """Return the plugins that installed distributions name in the entry-point group ``noiseform``.

    The search path is scanned once; only a changed ``sys.path`` makes it look again.
    """
    return _scan(tuple(sys.path))


@functools.lru_cache(maxsize=1)
def _scan(path: tuple[str, ...]) -> tuple[Candidate, ...]:
    found: list[Candidate] = []
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions(path=list(path)):
        try:
            candidates = list(_candidates(distribution))
        except Exception as error:  # one damaged dist-info folder must not hide the others
            where = str(getattr(distribution, "_path", distribution))
            name = re.split(r"[\\/]", where)[-1].split("-")[0] or "unknown"
            fault = f"its metadata cannot be read ({type(error).__name__}: {error})"
            candidates = [Candidate(name, "", normalized(name), "", where, fault=fault)]
        # The first distribution of a name on the path is the one that Python would import.
        found += [candidate for candidate in candidates if candidate.distribution not in seen]
        seen.update(candidate.distribution for candidate in candidates)
    return tuple(found)


def _candidates(distribution: importlib.metadata.Distribution) -> Iterator[Candidate]:
    text = distribution.read_text("entry_points.txt")
    if text is None or GROUP not in text:  # metadata is slow to parse: only where it matters
        return
    points = distribution.entry_points.select(group=GROUP)
    if not points:
        return
    name, version = distribution.metadata["Name"], distribution.metadata["Version"]
    if not name or not version:
        raise ValueError("no Name or no Version")
    for point in points:
        yield Candidate(point.name, point.value, normalized(name), version, f"{name} {version}")
