"""Films with more frames: what lies between those that are there, made by a model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...core.errors import ConfigError
from ...core.media import MediaSpec
from ...core.pipeline.pipeline import Pipeline
from ...core.verbs.asked import conditions_of, labels_of
from ...core.verbs.interpolation import interpolate as fill_between
from ...core.verbs.verbs import Verbs
from .film import Video
from .taking import fitted
from .writing import check, check_format

if TYPE_CHECKING:
    from ...core.diffusion.sampling import Observer

__all__ = ["interpolate"]


def interpolate(
    film: Video,
    pipeline: str | os.PathLike[str] | Pipeline | None = None,
    *,
    factor: int = 2,
    label: str | Sequence[str] | None = None,
    prompt: str | None = None,
    seed: int = 0,
    steps: int | None = None,
    guidance: float | None = None,
    settings: Sequence[str] = (),
    observers: Sequence[Observer] = (),
) -> Video:
    """Return a film of ``factor`` times the frames per second: ``factor - 1`` new ones between each two of its own.

    The frames that are there are key frames: they are brought to the model's size, pass its codec, and stay where they
    are. A model knows motion at the rate that it was trained on, so that films of that rate divided by ``factor`` fare
    best. Sound stays as it is.

    Args:
        film: the key frames.
        pipeline: a name, the path of a model folder, or what ``load`` gave; the model has the conditioner ``mask`` and
            has learnt key frames that far from each other.
        factor: how many times as many frames per second.
        label: what the film shows, for models that take labels.
        prompt: the same in words, for models that take text.
        seed: of what is new.
        steps: as for ``generate``, as the following.
        guidance: scale of classifier-free guidance.
        settings: ``path=value`` inside the pipeline.
        observers: watch the steps.

    Raises:
        ConfigError: a wrong argument, a film that is too short, or a model that has not learnt this.
        CheckpointError: damaged weights.
        MediaError: frames so long and narrow that they cannot be brought to the model's size.

    Example:
        >>> from noiseform import video
        >>> film = video.interpolate(video.read("pear.mp4"), "turning-fruit", factor=2, label="pear")
    """
    if isinstance(factor, bool) or not isinstance(factor, int) or factor < 2:
        raise ConfigError(f"interpolate: factor: expected a whole number from 2, got {factor!r}")
    if not isinstance(film, Video):
        raise ConfigError(f"interpolate: film: expected a Video, such as video.read gives, got {film!r:.80}")
    check(film, "frames", "interpolate: film")
    (condition,) = conditions_of(labels_of(label), prompt, count=1)
    pipeline = Verbs("video").loaded(pipeline, steps=steps, guidance=guidance, settings=settings)
    window = pipeline.stages[0].media
    check_format("x.frames", film.fps * factor, window.shape[0], len(film.frames), *window.shape[2:])
    frames = fitted(film.frames, window).transpose(0, 1).contiguous()
    spec = MediaSpec((window.shape[0], len(film.frames), *window.shape[2:]), (film.fps, None, None), 0.0, 1.0)
    made = fill_between(pipeline, frames, spec, factor, condition, seed=seed, observers=observers).media
    assert isinstance(made, Video), "pipelines of films make films"
    return Video(made.frames, made.fps, film.audio, made.record)
