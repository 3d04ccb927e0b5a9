"""Films out of files that anyone may have made: MP4, WebM, Matroska and GIF, told by their content; and folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ...core.errors import ConfigError, MediaError
from ...core.naming import printable
from ...core.pipeline.record_text import parse_record
from ...core.storage.regular_file import open_regular
from . import frame_folder
from .colour import with_channels
from .decoding import PIXEL_LIMIT, Film, Limits, Shown, opened
from .film import Video
from .frame_folder import Frames
from .sound import read_sound
from .timing import RATES, as_fraction, at_rate, constant_rate

__all__ = ["VALUE_LIMIT", "read", "read_record"]

VALUE_LIMIT = 2**30
"""Most values of all frames together: 4 GiB as float32."""


def read(
    path: str | os.PathLike[str],
    *,
    fps: float | None = None,
    channels: Literal[1, 3] | None = None,
    background: Literal["white", "black"] = "white",
    sound: bool = True,
    max_pixels: int = PIXEL_LIMIT,
    max_seconds: float = 1800.0,
    max_values: int = VALUE_LIMIT,
) -> Video:
    """Return the film in a file or in a folder of frames.

    Args:
        path: an MP4, WebM, Matroska or GIF file, whose content decides, not its ending; or a folder of PNG files, whose
            names give their order.
        fps: frames per second wanted: at each moment the frame that stands on the screen then is taken. None keeps the
            film's rate, and gives a film of varying rate its mean. A folder that does not tell its rate gets this one.
        channels: 1 makes it grey (Rec. 601 luma of the values), 3 RGB; None keeps RGB, and grey of grey PNG files.
        background: what transparent pixels are laid on.
        sound: read its sound too, where it has one.
        max_pixels: largest frame that is accepted.
        max_seconds: longest film that is accepted.
        max_values: most values, ``time * channels * height * width``, that are accepted.

    Returns:
        The film, with the record that noiseform left in it, if there is one.

    Raises:
        ConfigError: a rate out of bounds.
        MediaError: it cannot be read, is no film in these formats, is damaged, too large or too long.
        ResourceError: there is too little memory for it.
    """
    if fps is not None and not RATES[0] <= fps <= RATES[1]:
        raise ConfigError(f"fps: expected {RATES[0]:g} to {RATES[1]:g} frames per second, got {fps!r}")
    limits = Limits(pixels=max_pixels, seconds=max_seconds)
    wanted = None if fps is None else as_fraction(fps)
    if os.path.isdir(path):
        return _of_folder(path, wanted, channels, frame_folder.read(path, limits, max_values, background))
    with open_regular(path) as file:
        where = f"cannot read: {printable(path)}"
        with opened(file, path, limits, background) as film:
            frames, rate = _frames(film, wanted, where, max_values)
            heard = (
                read_sound(file, film.kind, where, film.start, max_seconds) if sound and film.kind != "gif" else None
            )
            record = parse_record(film.comment)
    return Video(_channelled(frames, channels), float(rate), heard, record)


def read_record(path: str | os.PathLike[str]) -> dict[str, object] | None:
    """Return the record that noiseform left in a film, or None.

    Raises:
        MediaError: it cannot be read or is no film.
    """
    if os.path.isdir(path):
        return parse_record(frame_folder.read_comment(path))
    with open_regular(path) as file, opened(file, path) as film:
        return parse_record(film.comment)


def _of_folder(path: str | os.PathLike[str], wanted: Fraction | None, channels: int | None, found: Frames) -> Video:
    """Return a folder of frames as a film, at the rate that is wanted."""
    own = None if found.fps is None else as_fraction(found.fps)
    rate = wanted or own
    if rate is None:
        raise MediaError(
            f"cannot read: {printable(path)}: the frames do not tell their rate; "
            "give fps: in Python video.read(folder, fps=8), whose film edit and upscale take, or save it as an MP4"
        )
    frames = found.frames
    if own is not None and own != rate:
        shown = ((number / own, 1 / own, number) for number in range(len(frames)))
        frames = frames[list(at_rate(shown, rate))]
    return Video(_channelled(frames, channels), float(rate), None, parse_record(found.comment))


def _frames(film: Film, wanted: Fraction | None, where: str, max_values: int) -> tuple[Tensor, Fraction]:
    """Return frames, uint8 (time, 3, height, width), and their rate."""
    shown: list[Shown] = []
    values = 0
    for one in film.shown():
        values += one[2].size
        if values > max_values:
            raise MediaError(f"{where}: more than {max_values} values in its frames; cut it into pieces")
        shown.append(one)
    rate = wanted or rate_of([time for time, _, _ in shown], shown[-1][0] + shown[-1][1], film)
    pictures = list(at_rate(shown, rate))
    if sum(picture.size for picture in pictures) > max_values:
        raise MediaError(f"{where}: more than {max_values} values in its frames; lower fps or cut it into pieces")
    del shown
    frames = np.stack(pictures)
    return torch.from_numpy(frames).permute(0, 3, 1, 2), rate


def rate_of(times: Sequence[Fraction], end: Fraction, film: Film) -> Fraction:
    """Return the rate of a film by the times at which its frames begin; of one whose rate varies the mean.

    Raises:
        MediaError: it is out of bounds.
    """
    declared = film.rate if film.kind != "gif" else None
    rate = constant_rate([*times, end], film.tick, declared) or constant_rate(times, film.tick, declared)
    rate = rate or as_fraction(float(len(times) / end))
    if not RATES[0] <= float(rate) <= RATES[1]:
        raise MediaError(
            f"{float(rate):g} frames per second; {RATES[0]:g} to {RATES[1]:g} can be read; convert it first"
        )
    return rate


def _channelled(frames: Tensor, channels: int | None) -> Tensor:
    """Return uint8 frames as float32 in [0, 1], with the channels that are wanted."""
    frames = with_channels(frames, channels or frames.shape[1])
    whole = torch.empty(frames.shape)
    for number, frame in enumerate(frames):  # one at a time: the memory of a second whole film is not there
        torch.div(frame, 255, out=whole[number])
    return whole
