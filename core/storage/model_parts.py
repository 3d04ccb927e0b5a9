"""What a model needs of the installed plugins, and whether it is there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..errors import PluginError
from ..naming import printable

__all__ = ["RequiredPart", "check_parts", "parsed"]


@dataclass(frozen=True)
class RequiredPart:
    """A part that a model needs: its kind and name, and the distribution and version that it came from."""

    kind: str
    name: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.distribution}/{self.name}=={self.version}"


def parsed(text: str) -> RequiredPart | None:
    """Return a part from its text, ``kind/distribution/name==version``; None where it is of another form."""
    match = re.fullmatch(r"([^/=]+)/([^/=]+)/([^/=]+)==(.*)", text)
    return RequiredPart(match[1], match[3], match[2], match[4]) if match else None


def check_parts(
    parts: Iterable[RequiredPart],
    resolve: Callable[[RequiredPart], str | None],
    *,
    what: str = "model",
    why: Callable[[RequiredPart], str] = lambda part: "",
) -> list[str]:
    """Compare what a model needs with what is installed.

    Args:
        parts: what the model's manifest names.
        resolve: gives the installed version of the distribution that has the part, None where there is none.
        what: what needs them, for messages.
        why: says of a part why it cannot be had, and what to do, where its distribution is installed all the same.

    Returns:
        A warning for each distribution that is there in another version.

    Raises:
        PluginError: when parts are missing, with all of them named and what to install.
    """
    missing: list[RequiredPart] = []
    warnings: dict[str, str] = {}
    for part in parts:
        version = resolve(part)
        if version is None:
            missing.append(part)
        elif version != part.version:
            warnings[part.distribution] = (
                f"the model was made with {printable(part.distribution, 80)} {printable(part.version, 40)}, "
                f"installed is {version}; results may differ"
            )
    if missing:
        shown = ", ".join(f"{part.kind} {part.name!r}" for part in missing[:10])
        reasons = {part: why(part) for part in missing}
        told = sorted({reason for reason in reasons.values() if reason})
        needed = sorted({f"{one.distribution}=={one.version}" for one in missing if one.version and not reasons[one]})
        if needed:
            told.append(f"install {printable(', '.join(needed[:10]))} if you trust it")
        cure = "; ".join(told) or "install the plugin that has it, or name its module in registry.toml"
        raise PluginError(f"{what}: it needs {printable(shown)}, which no installed plugin has; {cure}")
    return list(warnings.values())
