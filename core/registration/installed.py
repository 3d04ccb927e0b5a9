"""Plugins that are named somewhere, before anything of them is imported: entry points of installed distributions."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

__all__ = ["REGISTRY", "Candidate", "allowed", "came_by", "installed", "named_once", "normalized", "why_missing"]

GROUP = "noiseform"

REGISTRY = "registry"
"""In the place of a distribution for what a user's own registry.toml names."""


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
        requires: the dependency on noiseform that its distribution names, or an empty string.
        also: where else it was named, where a line of registry.toml and an entry point name one module.
    """

    name: str
    target: str
    distribution: str
    version: str
    origin: str
    builtin: bool = False
    fault: str = ""
    requires: str = ""
    also: str = ""

    @property
    def names(self) -> frozenset[str]:
        """What it is called where it is disabled."""
        return frozenset({self.name, self.distribution, f"{self.distribution}/{self.name}"})


def normalized(distribution: str) -> str:
    """Return the one spelling of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def installed() -> tuple[Candidate, ...]:
    """Return the plugins that installed distributions name in the entry-point group ``noiseform``.

    The search path is scanned once; only a changed ``sys.path`` makes it look again.
    """
    return _scan(tuple(sys.path))


def named_once(found: Iterable[tuple[Candidate, str]]) -> tuple[tuple[Candidate, str], ...]:
    """Make one of the candidates that name the same module, where they are one plugin.

    They are where a line of registry.toml and an entry point name it, or two entry points of one distribution.

    Args:
        found: candidates, each with what disables it; a disabled one stays by itself.
    """
    kept: list[tuple[Candidate, str]] = []
    for candidate, disabled in found:
        place = next(
            (n for n, (other, why) in enumerate(kept) if not disabled and not why and _same(candidate, other)), None
        )
        if place is None:
            kept.append((candidate, disabled))
            continue
        first, second = kept[place][0], candidate
        if first.distribution == REGISTRY and second.distribution != REGISTRY:  # the distribution has a version
            first, second = second, first
        also = second.origin if second.origin != first.origin else f"entry point {second.name}"
        kept[place] = replace(first, also=also), ""
    return tuple(kept)


def _same(one: Candidate, other: Candidate) -> bool:
    owners = {one.distribution, other.distribution}
    outsiders = not one.builtin and not other.builtin and bool(one.target)
    return outsiders and one.target == other.target and (len(owners) == 1 or REGISTRY in owners)


def allowed(value: str, distribution: str) -> bool:
    """Read ``NOISEFORM_PLUGINS``: 0 allows no outsiders, names of distributions allow those, empty or 1 all."""
    allowed = {normalized(name.strip()) for name in value.split(",")} - {""}
    return allowed <= {"1"} or distribution in allowed - {"0"}


def why_missing(distribution: str) -> str:
    """Return why a distribution has no plugin here, and what to do about it."""
    if normalized(distribution) == REGISTRY:
        return 'no line of registry.toml names a plugin that works; add one: [plugins] NAME = "module"'
    try:
        version = importlib.metadata.version(distribution)
    except Exception:  # it is not there, or too damaged to be told of
        return f"no distribution {distribution} is installed; install it if you trust it"
    return f"{distribution} {version} is installed but has no plugin of noiseform; another version may have one"


def came_by(candidate: Candidate) -> str:
    """Return how a plugin came onto this machine: ``editable, /home/me/kit``, ``wheel, by pip``."""
    import json
    from urllib.parse import urlsplit

    if candidate.builtin:
        return "noiseform itself"
    if candidate.distribution == REGISTRY:
        return "a line of registry.toml"
    try:
        distribution = importlib.metadata.distribution(candidate.distribution)
        said = json.loads(distribution.read_text("direct_url.json") or "{}")
        if not said:
            installer = (distribution.read_text("INSTALLER") or "").strip()
            return ("wheel" if distribution.read_text("WHEEL") else "metadata") + (
                f", by {installer}" if installer else ""
            )
        url = urlsplit(said["url"])
        place = url.path if url.scheme == "file" else f"{url.scheme}://{url.hostname or ''}{url.path}"  # no passwords
        if "dir_info" in said:
            return f"editable, {place}" if said["dir_info"].get("editable") else f"from the folder {place}"
        commit = said.get("vcs_info", {}).get("commit_id", "")
        return f"from {place}" + (f" at {commit:.12}" if commit else "")
    except Exception:  # damaged metadata tell nothing
        return "its metadata do not say how"


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
            # Importing torch reads the entry points of everything, for backends of other devices: it would fail at this
            # one too, and crash where it is imported once more.
            os.environ.setdefault("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")
        # The first distribution of a name on the path is the one that Python would import.
        found += [candidate for candidate in candidates if candidate.distribution not in seen]
        seen.update(candidate.distribution for candidate in candidates)
    return tuple(found)


def _candidates(distribution: importlib.metadata.Distribution) -> Iterator[Candidate]:
    text = distribution.read_text("entry_points.txt")
    if text is None:
        return
    _check_lines(text)
    if GROUP not in text:  # metadata is slow to parse: only where it matters
        return
    points = distribution.entry_points.select(group=GROUP)
    if not points:
        return
    metadata = distribution.metadata
    name, version = metadata["Name"], metadata["Version"]
    if not name or not version:
        raise ValueError("no Name or no Version")
    requires = _on_noiseform(metadata.get_all("Requires-Dist") or distribution.requires or ())
    for point in points:
        yield Candidate(point.name, point.value, normalized(name), version, f"{name} {version}", requires=requires)


def _check_lines(text: str) -> None:
    """Refuse entry points that Python cannot read, whose ever they are: in a section each line is ``name = target``."""
    inside = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            inside = True
        elif inside and line and not line.startswith("#") and "=" not in line:
            raise ValueError(f"entry_points.txt: {line!r:.80} is not of the form 'name = target'")


def _on_noiseform(lines: Iterable[str]) -> str:
    """Return the dependency on noiseform itself; those of extras, which may not be installed, do not count."""
    for line in lines:
        text, _, marker = line.partition(";")
        if re.match(rf"{GROUP}(?![\w.-])", text.strip(), re.IGNORECASE) and "extra" not in marker:
            return text.strip()
    return ""
