"""The interface between noiseform and plugins by its versions: what changed in it, and what each plugin is built for.

A plugin says what it is built for by its distribution's dependency on noiseform, ``noiseform>=0.1,<0.2``, whose lower
bound counts; ``noiseform_api = 1`` in its module says so too, and counts for more. Who says neither is taken to be
built for the interface as it is now.

- Built for a later one: set aside.
- Built for an earlier one that is still served: loaded, with one warning that names what has changed since then in the
  hooks which it has.
- Built for one of which a hook that it has is no longer served: set aside.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import PluginError
from ..hookspecs import API_VERSION
from .installed import Candidate
from .targets import PACKAGE

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

__all__ = [
    "CHANGES",
    "DEPENDENCY",
    "BuiltFor",
    "Change",
    "Hook",
    "built_for",
    "check_requirement",
    "required",
    "said_in",
    "served",
]

Hook = Callable[..., object]

_DEPENDENCY = re.compile(r"\w+\s*(?:\[[^\]]*\])?\s*\(?([^@()]*?)\)?")
DEPENDENCY = 'dependencies = ["noiseform>=0.1,<0.2"]'
"""How a plugin's pyproject.toml names what it is built for."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a hook, or of the contract of the parts that it gives, which plugins from before notice.

    Attributes:
        api: the version of the interface from which on it holds; the newest change's is ``API_VERSION``.
        since: the version of noiseform that brought it.
        hook: the hook that it touches, by its name now.
        what: one sentence: what changed, and what an author does.
        former: the hook's name before, if it was renamed. ``hookspecs`` keeps the former hook, with pluggy's
            ``warn_on_impl``, which then carries the warning; so it is asked under either name.
        adapted: makes of an implementation from before one of now; of a renamed hook, of that under the former name.
        served: whether plugins from before still work.
    """

    api: int
    since: str
    hook: str
    what: str
    former: str = ""
    adapted: Callable[[Hook], Hook] = lambda hook: hook
    served: bool = True


CHANGES: tuple[Change, ...] = ()
"""Every change so far, oldest first. There has been none."""


@dataclass(frozen=True, slots=True)
class BuiltFor:
    """What a plugin is built for, as it says itself.

    Attributes:
        api: version of the interface, as its module says; None where it does not.
        requirement: versions of noiseform, as its distribution says: ``>=0.1,<0.2``.
        lowest: the lowest of them; None where there is none.
    """

    api: int | None = None
    requirement: str = ""
    lowest: Version | None = None

    def __str__(self) -> str:
        return ", ".join(filter(None, [self.requirement, "" if self.api is None else f"API {self.api}"]))

    def before(self, change: Change) -> bool:
        """Return whether it is built for an interface before a change."""
        if self.api is not None:
            return self.api < change.api
        return self.lowest is not None and self.lowest < _version_of(change.since)


@functools.lru_cache(maxsize=64)
def said_in(requires: str) -> SpecifierSet | None:
    """Return the versions of noiseform that a dependency names; None where it names none that can be read."""
    match = _DEPENDENCY.fullmatch(requires)
    if match is None or not match[1]:
        return None
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # not its requirements, thrice as long to import

    try:
        return SpecifierSet(match[1])
    except InvalidSpecifier:
        return None


def required(candidate: Candidate) -> BuiltFor:
    """Read the versions of noiseform that a plugin's distribution names, before anything of the plugin is imported."""
    specifiers = said_in(candidate.requires)
    if specifiers is None:
        return BuiltFor()
    text = ",".join(sorted(map(str, specifiers), reverse=True))
    return BuiltFor(None, text, max((version for _, version in _bounds(specifiers)), default=None))


def check_requirement(candidate: Candidate) -> str:
    """Hold the versions of noiseform that a plugin's distribution names against this one.

    Returns:
        A warning where it does not name this version; an empty one where it does.

    Raises:
        PluginError: it is built for a later noiseform.
    """
    specifiers, here = said_in(candidate.requires), _noiseform()
    if specifiers is None or specifiers.contains(here, prereleases=True):
        return ""
    text, now = required(candidate).requirement, _version_of(here)
    if any(version > now or (operator == ">" and version >= now) for operator, version in _bounds(specifiers)):
        raise PluginError(
            f"it is built for noiseform {text}, this is noiseform {here}; "
            f'update noiseform (pip install "noiseform{text}"), or install an earlier {candidate.distribution}'
        )
    return (
        f"it says that it works with noiseform {text}, and this is noiseform {here}; it is used all the same, and "
        f"where it fails: install a later {candidate.distribution}"
    )


def built_for(module: object, said: BuiltFor) -> BuiltFor:
    """Return what a plugin is built for, given its module and what its distribution says.

    Raises:
        PluginError: its module says a version of the interface that there is not.
    """
    api = getattr(module, "noiseform_api", None)
    if api is None:
        return said
    if isinstance(api, bool) or not isinstance(api, int) or not 1 <= api <= API_VERSION:
        later = isinstance(api, int) and api > API_VERSION
        cure = "update noiseform, or install an earlier version of it" if later else "tell its author"
        if isinstance(api, str) and api.isdecimal() and 1 <= int(api) <= API_VERSION:
            cure = f"write {int(api)} without quotes"
        known = f"1 to {API_VERSION}" if API_VERSION > 1 else "1"
        raise PluginError(f"it is built for plugin API {api!r:.40}, this noiseform has {known}; {cure}")
    return BuiltFor(api, said.requirement, said.lowest)


def served(hooks: Mapping[str, Hook], built: BuiltFor) -> tuple[dict[str, Hook], list[str]]:
    """Return a plugin's hooks as they are asked now, and what has changed in them since it was built.

    Raises:
        PluginError: a hook of it is no longer served as it was.
    """
    now, told = dict(hooks), []
    for change in CHANGES:
        old = now.pop(change.former, None) if change.former else None
        if old is not None and change.hook not in now:  # pluggy has warned of it already
            now[change.hook] = change.adapted(old)
        elif change.hook in now and not change.former and built.before(change):
            if not change.served:
                raise PluginError(
                    f"it is built for noiseform {built}, and since {change.since} its hook {change.hook} is no longer "
                    f"served as it was: {change.what}"
                )
            now[change.hook] = change.adapted(now[change.hook])
            told.append(f"{change.hook} changed in noiseform {change.since}: {change.what}")
    return now, told


_FROM = {">=", ">", "~=", "==", "==="}


def _bounds(specifiers: SpecifierSet) -> list[tuple[str, Version]]:
    """Return the versions from which on a plugin works, each with its operator."""
    return [(one.operator, _version_of(one.version)) for one in specifiers if one.operator in _FROM]


def _version_of(text: str) -> Version:
    """Return a version as packaging compares it; of ``0.1.*`` and of a pre-release the first, of what is none 0."""
    from packaging.version import Version

    match = re.match(r"\d+(\.\d+)*", text)
    return Version(match[0] if match else "0")


def _noiseform() -> str:
    return str(importlib.import_module(PACKAGE).__version__)
