"""Names in ``registry.toml`` and in ``NOISEFORM_PLUGINS`` that nothing installed has, so that they settle nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from ..errors import nearest
from .installed import REGISTRY, Candidate, normalized
from .kinds import KINDS
from .plugins import Plugins
from .registry_layer import Origin, section
from .toml_file import KeyPath

__all__ = ["Unmatched", "not_allowed", "not_settled"]

_LISTING = "noiseform plugins list"
_UPSCALE = "upscale-"


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A name that nothing has.

    Attributes:
        where: the key with its file and line, or the environment variable.
        why: what there is not.
        cure: the nearest name, or what to install.
        unusable: whether something cannot be used for it.
    """

    where: str
    why: str
    cure: str
    unusable: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.why}; {self.cure}"


def not_allowed(value: str, candidates: Iterable[Candidate]) -> Iterator[Unmatched]:
    """Give each name in ``NOISEFORM_PLUGINS`` that allows nothing, since no distribution with a plugin has it."""
    known = {candidate.distribution for candidate in candidates if not candidate.builtin}
    for name in value.split(","):
        if normalized(name.strip()) not in known | {"", "0", "1", REGISTRY}:
            why = f"no installed plugin is of the distribution {name.strip()!r:.80}"
            yield Unmatched("NOISEFORM_PLUGINS", why, nearest(normalized(name.strip()), known, listing=_LISTING))


def not_settled(
    table: Mapping[str, object],
    origin: Callable[[KeyPath], Origin],
    candidates: Iterable[Candidate],
    plugins: Plugins,
) -> Iterator[Unmatched]:
    """Give each name in a user's defaults, in what is disabled and in what is preferred that nothing installed has.

    Args:
        table: the merged registry.
        origin: tells where a key of it was set; what the built-in layer says is left alone.
        candidates: the plugins that are named.
        plugins: the same, loaded; what one of them has that is disabled or set aside is known all the same.
    """

    def told(path: KeyPath, why: str, cure: str = "", *, unusable: bool = False) -> Iterator[Unmatched]:
        set_at = origin(path)
        if why and set_at.layer != "built-in":
            why, _, rest = why.partition("; ")
            yield Unmatched(f"registry: {set_at}: {'.'.join(map(str, path))}", why, cure or rest, unusable)

    names = {name for candidate in candidates for name in candidate.names}
    for name in cast("list[str]", section(table, "plugins").get("disable", [])):
        if name not in names:
            why = f"no plugin or distribution is called {name!r:.80}"
            yield from told(("plugins", "disable"), why, nearest(name, names, listing=_LISTING))
    for key, owner in cast("Mapping[str, str]", section(section(table, "plugins"), "prefer")).items():
        kind, _, name = key.partition(":")
        yield from told(("plugins", "prefer", key), plugins.why_unknown(kind, f"{owner}/{name}"))
    pipelines = section(table, "pipelines")
    hidden = not all(plugin.usable for plugin in plugins.plugins)  # whose parts, and so their short names, nobody knows
    for key, name in cast("Mapping[str, str]", section(table, "defaults")).items():
        path = ("defaults", key)
        if hidden and "/" not in name:
            continue
        if key in KINDS:
            yield from told(path, plugins.why_unknown(key, name), unusable=True)
        elif hidden:
            continue
        elif plugins.why_unknown("modality", key.removeprefix(_UPSCALE)):
            modalities = [part.name for part in plugins.parts("modality")]
            known = [*KINDS, *modalities, *(_UPSCALE + each for each in modalities)]
            yield from told(path, "nothing has a default of that name", nearest(key, known))
        elif name not in pipelines and not os.path.isdir(os.path.expanduser(name)):
            yield from told(path, plugins.why_unknown("pipeline", name, also=pipelines), unusable=True)
