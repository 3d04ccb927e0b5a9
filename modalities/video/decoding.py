"""Films decoded frame by frame, with nothing of their headers believed.

The format is told by the first bytes and FFmpeg is held to it; it reads an open file and may open no other, so that a
playlist, a reference or an address inside a film leads nowhere. Only well-known codecs are let near the data. Sizes are
checked by the header, by the decoder and again for each frame.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO, Literal, NoReturn

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from ...core.data.decoding_errors import decoding_errors
from ...core.errors import MediaError
from ...core.naming import printable
from . import gif
from .colour import rgb
from .sniff import foreign, sniff
from .structure import shortfall
from .timing import RATES

__all__ = ["SOUND_CODECS", "Film", "Limits", "Shown", "failures", "open_container", "opened"]

PIXEL_LIMIT = 16 * 2**20
"""Most pixels of a frame: twice those of 4K."""

_FORMATS = {"mp4": "mov", "matroska": "matroska", "gif": "gif"}
# What films come in; the others of FFmpeg's hundreds of decoders are never let near a file.
PICTURE_CODECS = "h264,hevc,vp8,vp9,libvpx-vp9,av1,libdav1d,mpeg4,mpeg2video,mpeg1video,mjpeg,ffv1,gif"
SOUND_CODECS = (
    "aac,opus,libopus,vorbis,libvorbis,mp3,mp3float,mp2,mp2float,flac,ac3,alac,"
    "pcm_u8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s32le,pcm_f32le"
)

Shown = tuple[Fraction, Fraction, np.ndarray[Any, Any]]
"""When a frame begins and how long it stands, in seconds from the first, and its pixels, uint8 (height, width, 3)."""


@dataclass(frozen=True)
class Limits:
    """What a film may have at most.

    Attributes:
        pixels: of a frame.
        frames: of the film.
        seconds: of the film.
    """

    pixels: int = PIXEL_LIMIT
    frames: int = 100_000
    seconds: float = 1800.0


@contextmanager
def failures(where: str) -> Iterator[None]:
    """Turn whatever a decoder raises into an error of ours; FFmpeg's name files of its own, and lengths for memory."""
    with decoding_errors(where, "film", smaller="lower max_seconds or cut it into pieces"):
        try:
            yield
        except av.FFmpegError as error:
            if isinstance(error, MemoryError):  # an absurd length, beyond FFmpeg's own limit
                raise MediaError("damaged or too large, it asks for too much memory; make it again") from error
            why = printable(error.strerror or "")
            raise MediaError(f"damaged or no film ({why}); fetch or make it again") from error


def open_container(file: BinaryIO, kind: str) -> av.container.InputContainer:
    """Open a film of the given format by FFmpeg, which may open nothing else."""
    file.seek(0)
    options = {
        "max_pixels": str(PIXEL_LIMIT),
        "threads": "1",
        "protocol_whitelist": "file",
        "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,gif",
        "codec_whitelist": f"{PICTURE_CODECS},{SOUND_CODECS}",
    }
    return av.open(
        file, "r", format=_FORMATS[kind], options=options, metadata_errors="replace", io_open=_refuse, buffer_size=65536
    )


def _refuse(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise MediaError(f"wants to read {printable(url)}, another file; make the film whole first")


class Film:
    """An open film: what its header says, checked, and its frames one after the other.

    Attributes:
        kind: its format, mp4, matroska or gif.
        height: of the first frame, upright or not.
        width: of the first frame.
        rate: frames per second by the header, or None.
        tick: seconds between the time stamps that are possible.
        start: time stamp of the first frame, in seconds, once it has been decoded.
        comment: the text in which noiseform keeps its record, or an empty one.
    """

    def __init__(self, file: BinaryIO, where: str, limits: Limits, background: Literal["white", "black"]) -> None:
        self._where, self._limits, self._background = where, limits, background
        head = file.read(16)
        if not head:
            raise MediaError(f"{where}: empty file; make it again")
        kind = sniff(head)
        if kind is None:
            other = foreign(head)
            what = f"{other} is not read" if other else "no film that is known by its content"
            raise MediaError(f"{where}: {what}; give MP4, WebM, Matroska or GIF")
        self.kind = kind
        self._blocks = gif.parse(file, where) if kind == "gif" else None
        missing = 0 if self._blocks else shortfall(file, kind)
        if missing:
            raise MediaError(f"{where}: cut short, {missing} bytes are missing; fetch or make it again")
        if self._blocks and not 0 < self._blocks.width * self._blocks.height <= limits.pixels:
            self._refuse_size(self._blocks.width, self._blocks.height)
        self._container = open_container(file, kind)
        self._stream = self._video_stream()
        coder = self._stream.codec_context
        coder.thread_count = 1
        coder.options = {"max_pixels": str(limits.pixels)}
        self.height, self.width = coder.height, coder.width
        rate = self._stream.average_rate
        self.rate = Fraction(rate) if rate else None
        self.tick = Fraction(self._stream.time_base or 0)
        self.start = Fraction(0)
        self._declared = len(self._blocks.lasting) if self._blocks else int(self._stream.frames)
        tags = {key.lower(): value for key, value in self._container.metadata.items()}
        self.comment = self._blocks.comment if self._blocks else tags.get("comment", "")
        self._check_header()

    def close(self) -> None:
        """Close it for FFmpeg; the file stays open."""
        self._container.close()

    def shown(self) -> Iterator[Shown]:
        """Yield the frames with their times; of a GIF with those of its blocks.

        Raises:
            MediaError: a frame is damaged, of another size or without a time; too many or too few; too long.
        """
        reformatter = VideoReformatter()
        size: tuple[int, int] | None = None
        number, last, end = 0, Fraction(-1), Fraction(0)
        for frame in self._container.decode(self._stream):
            size = size or (frame.width, frame.height)
            self._check_frame(frame, size, number)
            if self._blocks:
                if number >= len(self._blocks.lasting):
                    break
                time, lasting = end, self._blocks.lasting[number]
            else:
                stamp = (frame.pts or 0) * self.tick
                self.start = stamp if number == 0 else self.start
                time, lasting = stamp - self.start, (frame.duration or 0) * self.tick
            lasting = lasting or (1 / self.rate if self.rate else self.tick)
            if time <= last:
                raise MediaError(f"{self._where}: frame {number} stands before the one before it; make the film again")
            if time + lasting > self._limits.seconds:
                raise MediaError(f"{self._where}: more than {self._limits.seconds:g} s; cut it into pieces")
            end, last = time + lasting, time
            number += 1
            yield time, lasting, rgb(frame, reformatter, self._background)
        if number == 0:
            raise MediaError(f"{self._where}: holds no frames; fetch or make it again")
        if number < 0.9 * self._declared:
            raise MediaError(
                f"{self._where}: cut short or damaged, {number} of {self._declared} frames are left; "
                "fetch or make it again"
            )

    def _video_stream(self) -> av.VideoStream:
        """Return the first stream of pictures that is no picture on a cover. Raises MediaError where there is none."""
        for stream in self._container.streams.video:
            if not stream.disposition & Disposition.attached_pic:
                if stream.codec_context is None or stream.codec_context.codec.name not in PICTURE_CODECS.split(","):
                    name = stream.codec_context.codec.name if stream.codec_context else "an unknown codec"
                    raise MediaError(f"{self._where}: its pictures are in {name}, which is not read; convert it first")
                return stream
        raise MediaError(f"{self._where}: no video stream; name a file with moving pictures")

    def _check_header(self) -> None:
        """Refuse what the header says, before anything is decoded."""
        if not 0 < self.width * self.height <= self._limits.pixels:
            self._refuse_size(self.width, self.height)
        if self._declared > self._limits.frames:
            raise MediaError(
                f"{self._where}: {self._declared} frames, at most {self._limits.frames} are read; cut it into pieces"
            )
        if self.rate is not None and not RATES[0] <= float(self.rate) <= RATES[1] and self.kind != "gif":
            raise MediaError(
                f"{self._where}: {float(self.rate):g} frames per second; "
                f"from {RATES[0]:g} to {RATES[1]:g} can be read; convert it first"
            )
        if self.tick <= 0:
            raise MediaError(f"{self._where}: its clock stands still; make the film again")
        length = self._container.duration
        if length is not None and length / 1e6 > self._limits.seconds:
            raise MediaError(
                f"{self._where}: {length / 1e6:g} s, at most {self._limits.seconds:g} s are read; cut it into pieces"
            )

    def _check_frame(self, frame: av.VideoFrame, size: tuple[int, int], number: int) -> None:
        if (frame.width, frame.height) != size:
            raise MediaError(
                f"{self._where}: frame {number} has {frame.width} x {frame.height} pixels, those before "
                f"{size[0]} x {size[1]}; convert it to one size first"
            )
        if not 0 < frame.width * frame.height <= self._limits.pixels:
            self._refuse_size(frame.width, frame.height)
        if number >= self._limits.frames:
            raise MediaError(f"{self._where}: more than {self._limits.frames} frames; cut it into pieces")
        if frame.is_corrupt:
            raise MediaError(f"{self._where}: frame {number} is damaged; fetch or make it again")
        if frame.pts is None and self.kind != "gif":
            raise MediaError(f"{self._where}: frame {number} has no time; make the film again")

    def _refuse_size(self, width: int, height: int) -> NoReturn:
        size = f"{width} x {height} pixels" if width and height else "no size, or a huge one"
        raise MediaError(f"{self._where}: {size}, expected 1 to {self._limits.pixels} pixels; make it smaller")


@contextmanager
def opened(
    file: BinaryIO,
    name: str | os.PathLike[str],
    limits: Limits | None = None,
    background: Literal["white", "black"] = "white",
) -> Iterator[Film]:
    """Give an open film; what goes wrong inside the block is a MediaError that names the file."""
    where = f"cannot read: {printable(name)}"
    with failures(where):
        film = Film(file, where, limits or Limits(), background)
        try:
            yield film
        finally:
            film.close()
