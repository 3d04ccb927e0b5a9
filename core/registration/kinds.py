"""The kinds of parts that plugins provide: for each its hook, and what a built part must have."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import ConfigError, nearest

__all__ = ["KINDS", "NAME", "NAME_RULE", "Kind", "kind_of"]

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
"""What the name of a part, of a plugin or of a pipeline looks like."""

NAME_RULE = "a name is 1 to 64 of a-z, 0-9, '.', '_' and '-', and begins with a letter or a digit"
"""The same in words."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of parts.

    Attributes:
        name: the kind's name, as in ``build(kind, name)``.
        hook: the hook by which plugins provide parts of the kind.
        summary: what a part of the kind does, in a few words.
        contract: attributes that every built part has; checked once, when the part is built.
        since: the version of noiseform since which hook and contract are as they are.
    """

    name: str
    hook: str
    summary: str
    contract: tuple[str, ...] = ()
    since: str = "0.1"


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("process", "noiseform_processes", "how data is destroyed", ("alpha", "sigma")),
        Kind(
            "objective",
            "noiseform_objectives",
            "what the network predicts, and which errors matter",
            ("prediction", "times", "loss"),
        ),
        Kind("grid", "noiseform_grids", "which times are visited", ("times",)),
        Kind(
            "sampler",
            "noiseform_samplers",
            "how one step is made",
            ("order", "stochastic", "nfe_per_step", "init", "step"),
        ),
        Kind("guidance", "noiseform_guidances", "wraps a denoiser in a denoiser", ("wrap",)),
        Kind("network", "noiseform_networks", "net(x, time, cond) -> output", ("item_ndim", "forward")),
        Kind("codec", "noiseform_codecs", "media to latent and back", ("shape", "encode", "decode")),
        Kind(
            "conditioner",
            "noiseform_conditioners",
            "labels, text or media to conditioning",
            ("outputs", "encode", "forward", "null"),
        ),
        Kind(
            "modality",
            "noiseform_modalities",
            "axes, units, files and verbs of a kind of media",
            (
                *("name", "endings", "spec", "wrap", "dataset", "write", "check_output", "read_record"),
                *("sheet", "warnings"),
            ),
        ),
        Kind("metric", "noiseform_metrics", "compares generated with real media", ("compare",)),
        Kind("pipeline", "noiseform_pipelines", "named pipelines"),
        Kind("converter", "noiseform_converters", "models in other layouts to ours", ("reads", "convert")),
        Kind("command", "noiseform_commands", "extra subcommands of the command line"),
    )
}


def kind_of(name: str) -> Kind:
    """Return the kind of that name.

    Raises:
        ConfigError: there is no such kind.
    """
    try:
        return KINDS[name]
    except (KeyError, TypeError):
        hint = nearest(str(name), KINDS, listing="noiseform list")
        raise ConfigError(f"unknown kind of part {name!r}; {hint}") from None
