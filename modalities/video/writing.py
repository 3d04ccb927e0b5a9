"""Films into files: MP4, WebM, GIF and folders of PNG files, whole or not at all, the same bytes each time."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch

from ...core.errors import ConfigError, NumericError
from ...core.naming import printable
from ...core.pipeline.record_text import format_record
from ...core.storage.atomic import whole_file
from ...core.values import all_finite
from . import frame_folder
from .encoding import encode
from .film import Video
from .gif import FASTEST
from .sound import check_sound
from .timing import RATES

__all__ = ["check", "check_format", "format_of", "write"]

_SIDES = {"mp4": 16_384, "webm": 16_384, "gif": 65_535, "frames": 65_535}

FRAME_LIMIT = 100_000
"""Most frames of a film: what is read back."""


def write(
    video: Video,
    path: str | os.PathLike[str],
    *,
    record: Mapping[str, object] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a film; the ending of ``path`` chooses the format (mp4, webm, gif, or frames: a folder of PNG files).

    MP4 (H.264, AAC) and WebM (VP9, Opus) hold 4:2:0 of BT.709, tagged so, of high quality but with loss; the sides must
    be even. GIF holds 256 colours, chosen for the whole film, and times in hundredths of a second; folders of PNG files
    hold 8-bit values without loss. GIF and folders hold no sound. The same film and record give the same bytes each
    time.

    Args:
        video: the film.
        path: the file, or the folder.
        record: what is kept in the file's own metadata, as plain values; None for nothing.
        overwrite: replace what stands there.

    Raises:
        ConfigError: an ending that names no format; a size, rate, sound or number of channels that the format cannot
            hold; no frames; a record that is not plain; the file exists, or its place cannot be written.
        NumericError: a value is not finite.
        ResourceError: the disk is full.
    """
    where = f"cannot write: {printable(path)}"
    kind = format_of(path)
    check(video, kind, where)
    comment = format_record(record)
    if video.audio is not None and kind in ("gif", "frames"):
        warnings.warn(f"{where}: {kind} holds no sound; it is left out", stacklevel=3)
    if kind == "frames":
        frame_folder.write(video.frames, video.fps, path, comment=comment, overwrite=overwrite)
        return
    with whole_file(path, overwrite=overwrite) as file:
        encode(video, kind, file, comment=comment)


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format that the ending of ``path`` names. Raises ConfigError where it names none."""
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in _SIDES:
        raise ConfigError(
            f"cannot write: {printable(path)}: unknown video format; end the name in .mp4, .webm, .gif or .frames"
        )
    return kind


def check_format(path: str | os.PathLike[str], fps: float, channels: int, frames: int, height: int, width: int) -> None:
    """Raise ConfigError if a film of this rate, in frames per second, and size could not be written to this name."""
    _check_shape(format_of(path), fps, channels, frames, height, width, f"cannot write: {printable(path)}")


def check(video: Video, kind: str, where: str) -> None:
    """Refuse a film that the format cannot hold, before the file is touched. Raises ConfigError or NumericError."""
    frames = video.frames
    if frames.ndim != 4 or not frames.is_floating_point():
        raise ConfigError(
            f"{where}: frames of shape {tuple(frames.shape)} and {frames.dtype}; "
            "give (time, channels, height, width) as float32"
        )
    count, channels, height, width = frames.shape
    _check_shape(kind, video.fps, channels, count, height, width, where)
    if not all_finite(frames):
        bad = int((~torch.isfinite(frames)).sum())
        raise NumericError(f"{where}: {bad} of {frames.numel()} values are not finite; look for their origin")
    if video.audio is not None and kind in ("mp4", "webm"):
        check_sound(video.audio, where)


def _check_shape(kind: str, fps: float, channels: int, frames: int, height: int, width: int, where: str) -> None:
    """Refuse a rate or size that the format cannot hold."""
    if channels not in (1, 3):
        raise ConfigError(f"{where}: {channels} channels; films have 1 (grey) or 3 (RGB)")
    if not 1 <= frames <= FRAME_LIMIT:
        raise ConfigError(f"{where}: {frames} frames; give 1 to {FRAME_LIMIT}")
    if not math.isfinite(fps) or not RATES[0] <= fps <= RATES[1]:
        raise ConfigError(f"{where}: {fps} frames per second; give {RATES[0]:g} to {RATES[1]:g}")
    if kind == "gif" and fps > FASTEST:
        raise ConfigError(f"{where}: {fps:g} frames per second, gif holds at most {FASTEST}; choose mp4 or webm")
    if min(height, width) < 1 or max(height, width) > _SIDES[kind]:
        raise ConfigError(f"{where}: {width} x {height} pixels, {kind} holds 1 to {_SIDES[kind]} a side")
    if kind in ("mp4", "webm") and (height % 2 or width % 2):
        raise ConfigError(
            f"{where}: {width} x {height} pixels, {kind} holds even sides only; choose gif or frames, or another size"
        )
