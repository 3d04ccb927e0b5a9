"""Films coded frame by frame into an open file by FFmpeg."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, BinaryIO, cast

import av
import numpy as np
import torch
from av.codec.context import Flags as CodecFlags
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from PIL import Image as PillowImage

from ...core.machine.interrupts import interrupts_held
from ...core.raster.pixels import eight_bit, to_pillow
from ...core.storage.guarded_file import GuardedFile
from . import gif
from .colour import with_channels, yuv
from .film import Sound, Video
from .sound import blocks, encoded_rate
from .timing import as_fraction

__all__ = ["encode"]

_CODERS = {
    # Rate factors at which people see no loss; one thread and a fixed speed, so that the bytes are the same each time.
    # x264's macroblock tree reads past the blocks of small frames: with it the bytes depend on what lay in memory.
    "mp4": ("libx264", {"crf": "14", "preset": "medium", "mbtree": "0", "threads": "1"}, "aac"),
    "webm": (
        "libvpx-vp9",
        {"crf": "18", "b": "0", "deadline": "good", "cpu-used": "3", "row-mt": "0", "threads": "1"},
        "libopus",
    ),
}
SOUND_BITS = 192_000
"""Bits a second of the sound, for both channels."""

_SAMPLED = 2**20  # pixels that the colours of a GIF are chosen by


def encode(video: Video, kind: str, file: BinaryIO, *, comment: str = "") -> None:
    """Write a film, already checked, to an open, empty file as ``kind``: mp4, webm or gif.

    Raises:
        OSError: the file could not be written.
    """
    guarded = GuardedFile(file)
    try:
        if kind == "gif":
            _encode_gif(video, guarded)
        else:
            _encode_coded(video, kind, guarded, comment)
    finally:
        guarded.raise_failure()
    if kind == "gif" and comment:
        gif.insert_comment(file, comment)


def _encode_coded(video: Video, kind: str, file: GuardedFile, comment: str) -> None:
    """Write MP4 or WebM: pictures and sound side by side, as they are shown."""
    coder, options, sound_coder = _CODERS[kind]
    rate = as_fraction(video.fps)
    container_options = {"fflags": "+bitexact"}
    if kind == "mp4":
        # Room for the index before the pictures, so that a browser can begin before it has the whole file.
        packets = 0 if video.audio is None else video.audio.samples.shape[1] // 1024 + 16
        container_options["moov_size"] = str(2**12 + len(comment) + 40 * (len(video.frames) + packets))
    with av.open(file, "w", format=kind, container_options=container_options) as container:
        if comment:
            container.metadata["comment"] = comment
        pictures = _picture_stream(container, coder, options, rate, video.height, video.width)
        sound = None if video.audio is None else _sound_stream(container, sound_coder, video.audio)
        heard = iter(()) if video.audio is None else blocks(video.audio)
        block = next(heard, None)
        for number, picture in enumerate(video.frames):
            frame = yuv(picture)
            frame.pts, frame.time_base, frame.duration = number, 1 / rate, 1
            _code(container, pictures, frame)
            while sound is not None and block is not None and block[0] * rate <= number + 1:
                _code(container, sound, block[1])
                block = next(heard, None)
            file.raise_failure()
        _code(container, pictures, None)
        while sound is not None and block is not None:
            _code(container, sound, block[1])
            block = next(heard, None)
            file.raise_failure()
        if sound is not None:
            _code(container, sound, None)


def _picture_stream(
    container: av.container.OutputContainer,
    coder: str,
    options: dict[str, str],
    rate: Fraction,
    height: int,
    width: int,
) -> av.VideoStream:
    """Add a stream of pictures, tagged as BT.709 of narrow range."""
    stream = cast(av.VideoStream, container.add_stream(coder, rate=rate, options=options))
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    context = stream.codec_context
    context.time_base = 1 / rate
    context.flags |= CodecFlags.bitexact.value
    context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return stream


def _sound_stream(container: av.container.OutputContainer, coder: str, sound: Sound) -> av.AudioStream:
    rate = encoded_rate(int(sound.sample_rate), coder)
    layout = "mono" if sound.samples.shape[0] == 1 else "stereo"
    stream = cast(av.AudioStream, container.add_stream(coder, rate=rate, layout=layout, bit_rate=SOUND_BITS))
    stream.codec_context.flags |= CodecFlags.bitexact.value
    return stream


def _code(container: av.container.OutputContainer, stream: Any, frame: av.VideoFrame | av.AudioFrame | None) -> None:
    """Code a frame, or what a coder still holds where it is None, and write what came of it."""
    with interrupts_held():
        container.mux(stream.encode(frame))


def _encode_gif(video: Video, file: GuardedFile) -> None:
    """Write a GIF with the same colours throughout, so that what stands still does not flicker."""
    rate = as_fraction(video.fps)
    palette = _palette(video.frames)
    colours = np.full((256, 4), 255, np.uint8)
    table = np.array(palette.getpalette(), np.uint8).reshape(-1, 3)
    colours[: len(table), 1:] = table  # alpha, red, green, blue
    times = [round(Fraction(100 * number) / rate) for number in range(len(video.frames) + 1)]
    with av.open(file, "w", format="gif", container_options={"final_delay": str(times[-1] - times[-2])}) as container:
        stream = container.add_stream("gif", rate=100, options={"gifflags": "0"})
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "pal8"
        stream.codec_context.time_base = Fraction(1, 100)
        for number, picture in enumerate(video.frames):
            indices = _picture(picture).quantize(palette=palette, dither=PillowImage.Dither.FLOYDSTEINBERG)
            pair: Any = (np.asarray(indices), colours)
            frame = av.VideoFrame.from_ndarray(pair, format="pal8")
            frame.pts, frame.time_base, frame.duration = (
                times[number],
                Fraction(1, 100),
                times[number + 1] - times[number],
            )
            _code(container, stream, frame)
            file.raise_failure()
        _code(container, stream, None)


def _palette(frames: torch.Tensor) -> PillowImage.Image:
    """Return an image whose palette has the 256 colours that serve all frames best: black, white and 254 of theirs."""
    chosen = frames[:: max(1, len(frames) // 16)]
    step = max(1, round((chosen.shape[0] * chosen.shape[2] * chosen.shape[3] / _SAMPLED) ** 0.5))
    strip = torch.cat(list(chosen[:, :, ::step, ::step]), dim=1)
    chosen_by = _picture(strip).quantize(254, PillowImage.Quantize.MEDIANCUT, dither=PillowImage.Dither.NONE)
    chosen_by.putpalette([*(chosen_by.getpalette() or [])[: 3 * 254], 0, 0, 0, 255, 255, 255])
    return chosen_by


def _picture(frame: torch.Tensor) -> PillowImage.Image:
    """Return a frame (channels, height, width) as an image in RGB."""
    return to_pillow(with_channels(eight_bit(frame), 3))
