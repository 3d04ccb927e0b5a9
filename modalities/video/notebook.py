"""How a film shows itself in a notebook: a player, large enough to be seen."""

from __future__ import annotations

import base64
import html
import io

import torch

from ...core.raster.pixels import enlargement
from .encoding import encode
from .film import Video

__all__ = ["as_html"]

EDGE = 192
"""Smaller films are enlarged to about this edge, in pixels."""

EMBED_LIMIT = 2**28
"""Most values of the frames of a film that is coded into a page; a longer one is named only."""


def as_html(video: Video) -> str:
    """Return an HTML fragment that needs nothing from outside; of a film, finite and of 1 or 3 channels."""
    line = html.escape(f"{video.seconds:.2f} s, {len(video.frames)} frames at {video.fps:g} fps")
    if video.frames.numel() > EMBED_LIMIT:
        return f"<figure><figcaption>{line}; too long to be played here; save it to a file</figcaption></figure>"
    factor = enlargement(video.height, video.width, EDGE)
    size = f'width="{video.width * factor}" height="{video.height * factor}"'
    frames = video.frames[..., : video.height // 2 * 2 or None, : video.width // 2 * 2 or None]  # H.264 has even sides
    if min(frames.shape[-2:]) < 2:
        frames = torch.nn.functional.interpolate(video.frames, scale_factor=2)
    buffer = io.BytesIO()
    encode(Video(frames, video.fps, video.audio), "mp4", buffer)
    film = base64.b64encode(buffer.getvalue()).decode("ascii")
    return (
        f'<figure style="margin:0"><video controls loop autoplay muted playsinline {size} '
        f'style="image-rendering:pixelated" src="data:video/mp4;base64,{film}"></video>'
        f'<figcaption style="font-size:smaller">{line}</figcaption></figure>'
    )
