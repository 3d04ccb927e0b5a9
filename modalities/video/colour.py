"""Frames of films as RGB of sRGB values, and RGB as the planes that coders take.

Read: by the colour matrix that the frame names. Where it names none the rule of players holds, BT.709 from 720 rows on
and BT.601 below; where it names no range, the narrow one, but for formats that are full by their name (yuvj).
Transparent pixels are laid on the background. High dynamic range (PQ, HLG) has no place in [0, 1] and is refused.

Written: BT.709, narrow range (black 16, white 235: what every player takes for granted), 4:2:0 with the chroma between
the rows and on the even columns, where H.264 and VP9 expect it.

Source: ITU-R BT.709-6, sections 3 and 4; ITU-T H.273, table 4.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from av import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter
from torch import Tensor

from ...core.errors import MediaError

__all__ = ["rgb", "with_channels", "yuv"]

_UNSPECIFIED = 2  # of the colour matrix, in H.273
_HIGH_RANGE = {16: "PQ", 18: "HLG"}  # transfer functions of H.273
_ACCURATE = (
    Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP | Interpolation.ACCURATE_RND
)
_RED, _BLUE = 0.2126, 0.0722


def rgb(
    frame: VideoFrame, reformatter: VideoReformatter, background: Literal["white", "black"] = "white"
) -> np.ndarray[Any, Any]:
    """Return a decoded frame as uint8 (height, width, 3), upright.

    Raises:
        MediaError: its values are of high dynamic range.
    """
    if int(frame.color_trc) in _HIGH_RANGE:
        raise MediaError(f"{_HIGH_RANGE[int(frame.color_trc)]} (high dynamic range) given; convert it to BT.709 first")
    matrix = None
    if int(frame.colorspace) == _UNSPECIFIED:
        matrix = Colorspace.ITU709 if frame.height >= 720 else Colorspace.ITU601
    transparent = any(component.is_alpha for component in frame.format.components) or frame.format.name == "pal8"
    plain = reformatter.reformat(
        frame,
        format="rgba" if transparent else "rgb24",
        src_colorspace=matrix,
        dst_color_range=ColorRange.JPEG,
        interpolation=_ACCURATE,
        threads=1,  # several now and then leave a strip of a small frame of more than 8 bits out (PyAV 18.1)
    )
    array = plain.to_ndarray()
    if transparent:
        alpha = array[..., 3:].astype(np.uint16)
        ground = 255 if background == "white" else 0
        array = ((array[..., :3] * alpha + (255 - alpha) * ground + 127) // 255).astype(np.uint8)
    turns = int(frame.rotation) // 90 % 4
    return np.rot90(array, turns) if turns else array


def with_channels(frames: Tensor, wanted: int) -> Tensor:
    """Return uint8 frames (..., channels, height, width) with 1 or 3 channels, the others' number.

    Grey is the luma of Rec. 601 as for pictures, ``(19595 R + 38470 G + 7471 B + 32768) // 65536``.
    """
    if frames.shape[-3] == wanted:
        return frames
    if wanted == 3:
        return frames.expand(*frames.shape[:-3], 3, *frames.shape[-2:])
    red, green, blue = frames.to(torch.int32).unbind(-3)
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).to(torch.uint8).unsqueeze(-3)


def yuv(frame: Tensor) -> VideoFrame:
    """Return a frame, float (channels, height, width) in [0, 1] with even sides, as yuv420p.

    ``Y' = 16 + 219 y``, ``Cb = 128 + 224 (b - y) / 1.8556``, ``Cr = 128 + 224 (r - y) / 1.5748`` with
    ``y = 0.2126 r + 0.7152 g + 0.0722 b``, rounded once.
    """
    values = frame.detach().to("cpu", torch.float32).clamp(0, 1)
    red, green, blue = values if len(values) == 3 else values.expand(3, -1, -1)
    luma = _RED * red + (1 - _RED - _BLUE) * green + _BLUE * blue
    planes = [16 + 219 * luma]
    for part, share in ((blue, _BLUE), (red, _RED)):
        planes.append(128 + 112 * _halved(part - luma) / (1 - share))
    array = torch.cat([plane.round().to(torch.uint8).flatten() for plane in planes])
    height, width = luma.shape
    coded = VideoFrame.from_ndarray(array.reshape(height * 3 // 2, width).numpy(), format="yuv420p")
    coded.colorspace, coded.color_range = Colorspace.ITU709, ColorRange.MPEG
    coded.color_primaries, coded.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return coded


def _halved(plane: Tensor) -> Tensor:
    """Return a plane at half the rows and columns: the mean of two rows, 1/4 1/2 1/4 around the even columns."""
    rows = (plane[0::2] + plane[1::2]) / 2
    left = torch.cat([rows[:, :1], rows[:, 1:-1:2]], dim=1)
    return rows[:, 0::2] / 2 + (left + rows[:, 1::2]) / 4
