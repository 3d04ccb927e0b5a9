"""Films that a user gives, as a model takes them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ...core.data.dataset import DataConfig
from ...core.errors import ConfigError, MediaError
from ...core.media import MediaSpec
from ...core.raster.pixels import eight_bit
from ...core.values import all_finite
from .colour import with_channels
from .film import Video
from .framing import Framing

__all__ = ["fitted", "taken"]


def taken(film: object, spec: MediaSpec, *, fit: bool) -> tuple[Tensor, MediaSpec]:
    """Return frames (channels, time, height, width) with a model's channels, and their shape and rate.

    Args:
        film: a film.
        spec: what the model sees.
        fit: also bring it to the model's size and to its frames per second: at each moment the frame that stands on the
            screen then. Its length stays.

    Raises:
        ConfigError: it is no film.
        MediaError: its values are not finite, or it is too long and narrow.
    """
    if not isinstance(film, Video) or film.frames.ndim != 4 or film.channels not in (1, 3):
        raise ConfigError(f"film: expected a Video with 1 or 3 channels, such as video.read gives, got {film!r:.80}")
    frames, fps = film.frames.detach().to("cpu", torch.float32), film.fps
    if not frames.numel() or not all_finite(frames):
        raise MediaError("film: empty, or some values are not finite; give frames with values in [0, 1]")
    if fit:
        fps = spec.rates[0] or fps
        count = max(1, round(len(frames) / film.fps * fps))
        shown = (torch.arange(count, dtype=torch.float64) * film.fps / fps + 1e-6).long().clamp(max=len(frames) - 1)
        frames = fitted(frames if fps == film.fps else frames[shown], spec)
    elif film.channels != spec.shape[0]:
        frames = with_channels(eight_bit(frames), spec.shape[0]).to(torch.float32) / 255
    made = frames.transpose(0, 1).clamp(0, 1).contiguous()
    return made, replace(spec, shape=tuple(made.shape), rates=(float(fps), None, None))


def fitted(frames: Tensor, spec: MediaSpec) -> Tensor:
    """Return frames (time, channels, height, width) of a model's size, cut and resized as training data are."""
    if frames.shape[1:] == (spec.shape[0], *spec.shape[2:]):
        return frames
    framing = Framing.of(spec, DataConfig(window="centre"))
    coloured = with_channels(eight_bit(frames), 3).permute(0, 2, 3, 1).numpy()
    made = torch.stack([framing.window_of(framing.fitted(frame), 0.0) for frame in coloured])
    return made.to(torch.float32) / 255
