"""Reads mutated films and prints one JSON line of what happened; run by test_video_files."""

from __future__ import annotations

import io

import numpy
import torch
from mutation import report
from noiseform.core.data.dataset import DataConfig
from noiseform.core.media import MediaSpec
from noiseform.modalities.video.decoding import opened
from noiseform.modalities.video.framing import Framing
from noiseform.modalities.video.gif import insert_comment
from noiseform.modalities.video.sound import read_sound
from video_edges import coded, early, gif, mp4, webm


def originals() -> list[tuple[str, bytes]]:
    """Return good files of many kinds."""
    commented = io.BytesIO(gif())
    insert_comment(commented, 'noiseform {"a":1}')
    return [
        ("a.mp4", mp4(sound="aac")),
        ("b.mp4", early()),
        ("c.webm", webm(sound="libopus")),
        ("d.mkv", coded("matroska", "ffv1", sound="pcm_s16le")),
        ("e.mkv", coded("matroska", "libx264")),
        ("f.gif", commented.getvalue()),
        ("g.gif", gif(disposal=2)),
        ("h.mp4", coded("mp4", "mpeg4", sound="libmp3lame")),
    ]


FRAMING = Framing.of(MediaSpec((3, 2, 16, 16), (8.0, None, None), 0.0, 1.0), DataConfig(labels="none"))


def is_good(number: int, name: str, data: bytes) -> bool:
    """Read a film with its sound; whether its values are in range and its times in order."""
    file = io.BytesIO(data)
    with opened(file, name) as film:
        last, pictures = -1.0, []
        for time, lasting, picture in film.shown():
            if float(time) <= last or lasting <= 0 or picture.dtype != numpy.uint8 or picture.shape[2] != 3:
                return False
            last = float(time)
            pictures.append(FRAMING.fitted(picture))
        heard = None if film.kind == "gif" else read_sound(file, film.kind, f"cannot read: {name}", film.start, 1800.0)
        if len({tuple(picture.shape) for picture in pictures}) != 1 or not isinstance(film.comment, str):
            return False
    return heard is None or bool(torch.isfinite(heard.samples).all() and heard.samples.abs().max() <= 1)


if __name__ == "__main__":
    report(originals(), is_good)
