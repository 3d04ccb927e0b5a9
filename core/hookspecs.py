"""The hooks by which a plugin, built-in or from outside, gives noiseform its parts.

Each registration hook returns a mapping from name to factory, given as ``"module:attribute"`` (imported when the part
is first used) or as the object itself. Names match ``[a-z0-9][a-z0-9._-]{0,63}``.
The run hooks are called once a run; what they return watches the run and never changes ``x``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pluggy

__all__ = ["API_VERSION", "hookimpl", "hookspec"]

API_VERSION = 1
"""The version of this interface, one more with each change that plugins notice; ``registration/api.py`` lists them.

A plugin says what it is built for by its dependency on noiseform, and may say so in its module: ``noiseform_api = 1``.
A hook that is given up stays here for a while, marked ``@hookspec(warn_on_impl=DeprecationWarning("..."))``; of an
argument that is given up ``warn_on_impl_args`` tells.
"""

hookspec = pluggy.HookspecMarker("noiseform")
hookimpl = pluggy.HookimplMarker("noiseform")

Factories = Mapping[str, str | Callable[..., object]]


@hookspec
def noiseform_processes() -> Factories:  # type: ignore[empty-body]
    """Give forward processes: ``alpha(t)`` and ``sigma(t)`` of ``x_t = alpha * x0 + sigma * eps``."""


@hookspec
def noiseform_objectives() -> Factories:  # type: ignore[empty-body]
    """Give objectives: what the network predicts, and which errors matter."""


@hookspec
def noiseform_grids() -> Factories:  # type: ignore[empty-body]
    """Give grids: ``times(process, steps)``, decreasing from 1 to 0."""


@hookspec
def noiseform_samplers() -> Factories:  # type: ignore[empty-body]
    """Give samplers: ``init(x)`` and ``step(x, here, next, denoise, noise, state)``."""


@hookspec
def noiseform_guidances() -> Factories:  # type: ignore[empty-body]
    """Give guidances: ``wrap(denoise, cond, null)`` returns a denoiser."""


@hookspec
def noiseform_networks() -> Factories:  # type: ignore[empty-body]
    """Give networks: torch modules with ``item_ndim`` and ``forward(x, time, cond)``."""


@hookspec
def noiseform_codecs() -> Factories:  # type: ignore[empty-body]
    """Give codecs: ``encode(media)``, ``decode(latent, media_shape)`` and ``shape(media_shape)``."""


@hookspec
def noiseform_conditioners() -> Factories:  # type: ignore[empty-body]
    """Give conditioners: labels, text or media to conditioning, with a null for guidance."""


@hookspec
def noiseform_modalities() -> Factories:  # type: ignore[empty-body]
    """Give modalities: axes, units, files and verbs of a kind of media."""


@hookspec
def noiseform_metrics() -> Factories:  # type: ignore[empty-body]
    """Give metrics: comparisons of generated with real media."""


@hookspec
def noiseform_pipelines() -> Mapping[str, str | Mapping[str, object]]:  # type: ignore[empty-body]
    """Give named pipelines: registry tables, or ``"module:attribute"`` of a table or of a function that returns one."""


@hookspec
def noiseform_converters() -> Factories:  # type: ignore[empty-body]
    """Give converters: ``reads(source)`` and ``convert(source)``, which gives a model in another layout as ours."""


@hookspec
def noiseform_commands() -> Factories:  # type: ignore[empty-body]
    """Give subcommands of the command line: click commands."""


@hookspec
def noiseform_sampling_observers(run: object) -> object:
    """Give the observers of one sampling run: one, several, or None."""


@hookspec
def noiseform_training_observers(run: object) -> object:
    """Give the observers of one training run: one, several, or None."""
