"""Pictures of sounds: one spectrogram, or many on a labelled sheet."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from functools import cache

import torch
from PIL import Image, ImageDraw, ImageFont

from ...core.errors import ConfigError
from ...core.naming import printable
from ...core.storage.atomic import whole_file
from .clip import Audio

__all__ = ["picture", "png", "sheet"]

FLOOR_DECIBELS = 65.0
"""Range from the loudest point (brightest) down to black."""

_PAPER = (255, 255, 255)
_INK = (38, 36, 48)
_FAINT = (126, 122, 140)
_BEYOND = (240, 239, 243)  # after the end of a sound
_CELL = (232, 150)
_GAP = (14, 34)
_MARGIN = (54, 14, 18, 40)  # left, top, right, bottom


def picture(audio: Audio, width: int = 480, height: int = 160, *, seconds: float | None = None) -> Image.Image:
    """Return the spectrogram of a sound: time to the right, pitch upwards on the mel scale, loudness as light.

    Args:
        audio: the sound; several channels are averaged.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        seconds: length of time that the width stands for; the sound's own where None.

    Source: mel scale 2595 log10(1 + f / 700), O'Shaughnessy 1987.
    """
    span = audio.seconds if seconds is None else seconds
    decibels = _decibels(audio, max(1, round(width * audio.seconds / span)))
    bins = decibels.shape[0]
    top = 2595 * math.log10(1 + audio.sample_rate / 2 / 700)
    pitch = torch.linspace(top, 0, height, dtype=torch.float64)
    place = (700 * (10 ** (pitch / 2595) - 1) / (audio.sample_rate / 2) * (bins - 1)).clamp(0, bins - 1)
    below = place.floor().long().clamp(max=bins - 2)
    part = (place - below).float()[:, None]
    rows = decibels[below] * (1 - part) + decibels[below + 1] * part
    light = (1 + rows / FLOOR_DECIBELS).clamp(0, 1)
    colours = _colours()[(light * 255).round().long()][:, :width]
    canvas = torch.tensor(_BEYOND, dtype=torch.uint8).repeat(height, width, 1)
    canvas[:, : colours.shape[1]] = colours
    return Image.fromarray(canvas.numpy(), "RGB")


def png(image: Image.Image) -> bytes:
    """Return a picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def sheet(
    clips: Sequence[Audio],
    captions: Sequence[str],
    path: str | os.PathLike[str] | None = None,
    *,
    columns: int | None = None,
    title: str = "",
    overwrite: bool = False,
) -> Image.Image:
    """Return spectrograms of several sounds on one sheet, all on the same scale of time, each with its caption.

    Args:
        clips: the sounds, row by row.
        captions: one short line for each.
        path: where the picture is written as PNG, if anywhere.
        columns: how many stand in a row; about as many as make the sheet half as high again as wide, where None.
        title: a line above all.
        overwrite: replace a file that stands at ``path``.

    Raises:
        ConfigError: no sounds, or not one caption for each; or ``path`` cannot be written.
        ResourceError: the disk is full.
    """
    if not clips or len(clips) != len(captions):
        raise ConfigError(f"no sheet: {len(clips)} sounds with {len(captions)} captions; give one caption for each")
    columns = max(1, min(len(clips), columns or round(math.sqrt(len(clips) * 1.2))))
    rows = -(-len(clips) // columns)
    left, top, right, bottom = _MARGIN
    top += 30 if title else 0
    size = (
        left + columns * (_CELL[0] + _GAP[0]) - _GAP[0] + right,
        top + rows * (_CELL[1] + _GAP[1]) - 4 + bottom,
    )
    image = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(image)
    if title:
        draw.text((left, 12), title, _INK, ImageFont.load_default(18))
    span = max(clip.seconds for clip in clips)
    for index, (clip, caption) in enumerate(zip(clips, captions, strict=True)):
        row, column = divmod(index, columns)
        x = left + column * (_CELL[0] + _GAP[0])
        y = top + row * (_CELL[1] + _GAP[1]) + 22
        _caption(draw, x, y, caption)
        image.paste(picture(clip, *_CELL, seconds=span), (x, y))
        if column == 0:
            _pitch_axis(draw, x, y, clip.sample_rate)
        if index + columns >= len(clips):
            _time_axis(draw, x, y + _CELL[1], span)
    if path is not None:
        with whole_file(path, overwrite=overwrite) as file:
            file.write(png(image))
    return image


def _decibels(audio: Audio, width: int) -> torch.Tensor:
    """Return the short-time spectrum in decibels below its loudest point, (bins, width)."""
    wave = audio.samples.detach().to("cpu", torch.float32).mean(dim=0)
    window = 1 << max(6, round(math.log2(audio.sample_rate * 0.032)))  # 32 ms: harmonics of a voice come apart
    # Each column shows the loudest of its frames; of a long sound not every moment is looked at, to bound the work.
    hop = max(1, window // 64, min(window // 8, len(wave) // width), len(wave) // (16 * width))
    padded = torch.nn.functional.pad(wave, (window // 2, window // 2))
    shape = torch.hann_window(window)
    spectrum = torch.stft(
        padded, max(1024, 2 * window), hop, window, shape, center=True, pad_mode="constant", return_complex=True
    ).abs()
    skip = window // 2 // hop
    spectrum = spectrum[:, skip : max(skip + 1, spectrum.shape[1] - skip)]
    columns = torch.nn.functional.adaptive_max_pool1d if spectrum.shape[1] > 2 * width else _stretched
    spectrum = columns(spectrum[None], width)[0]
    loudest = spectrum.max().clamp(min=1e-4)  # silence stays dark
    return 20 * torch.log10((spectrum / loudest).clamp(min=1e-6))


def _stretched(spectrum: torch.Tensor, width: int) -> torch.Tensor:
    return torch.nn.functional.interpolate(spectrum, width, mode="linear", align_corners=False)


@cache
def _colours() -> torch.Tensor:
    """Return 256 colours (256, 3) from black over violet and orange to pale yellow, with evenly rising lightness.

    The path is drawn in OKLab, where equal steps look equal. Source: Ottosson 2020, "A perceptual color space".
    """
    step = torch.linspace(0, 1, 256, dtype=torch.float64)
    lightness = 0.10 + 0.88 * step
    chroma = 0.19 * torch.sin(math.pi * step.clamp(max=1) ** 0.85) ** 0.8 * (1 - 0.25 * step) + 0.02
    hue = torch.deg2rad(285 + 185 * step**1.15)
    a, b = chroma * torch.cos(hue), chroma * torch.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = torch.stack(
        [
            4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
        ],
        dim=1,
    ).clamp(0, 1)
    coded = torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp(min=1e-9) ** (1 / 2.4) - 0.055)
    return (coded * 255).round().to(torch.uint8)


def _caption(draw: ImageDraw.ImageDraw, x: int, y: int, text: str) -> None:
    text, font = printable(text), ImageFont.load_default(13)
    while text and draw.textlength(text, font) > _CELL[0]:
        text = text[:-2] + "…"
    draw.text((x, y - 4), text, _INK, font, anchor="ls")


def _pitch_axis(draw: ImageDraw.ImageDraw, x: int, y: int, sample_rate: int) -> None:
    top = 2595 * math.log10(1 + sample_rate / 2 / 700)
    font = ImageFont.load_default(11)
    for hertz in (0, 250, 500, 1000, 2000, 4000, 8000, 16000):
        if hertz > sample_rate / 2:
            break
        here = y + (_CELL[1] - 1) * (1 - 2595 * math.log10(1 + hertz / 700) / top)
        draw.line((x - 4, here, x - 1, here), _FAINT)
        name = f"{hertz // 1000} kHz" if hertz >= 1000 else f"{hertz}" if hertz else "0 Hz"
        draw.text((x - 7, here), name, _FAINT, font, anchor="rm")


def _time_axis(draw: ImageDraw.ImageDraw, x: int, y: int, seconds: float) -> None:
    step = _nice_step(seconds / 4)
    font = ImageFont.load_default(11)
    for index in range(int(seconds / step + 1e-9) + 1):
        here = x + (_CELL[0] - 1) * index * step / seconds
        draw.line((here, y, here, y + 4), _FAINT)
        last = (index + 1) * step > seconds + 1e-9
        draw.text((here, y + 6), f"{index * step:g}" + (" s" if last else ""), _FAINT, font, anchor="mt")


def _nice_step(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10… (times a power of ten) that is no smaller than ``least``."""
    power: float = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))
