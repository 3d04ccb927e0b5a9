"""The kinds of media that writers are killed and raced with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from noiseform.core.errors import NoiseformError
from noiseform.modalities import audio, image, video

__all__ = ["KINDS", "Kind"]


@dataclass(frozen=True)
class Kind:
    """A kind of media.

    Attributes:
        endings: of its files.
        make: gives an item that tells by its size and record, a number, which one it is.
        large: gives an item that takes a while to write.
        number: which one an item is by its size.
        read: of a file.
    """

    endings: tuple[str, ...]
    make: Callable[[int], Any]
    large: Callable[[], Any]
    number: Callable[[Any], int]
    read: Callable[[Path], Any]

    def is_whole(self, path: Path) -> bool:
        """Whether a file holds one of the items made, whole."""
        try:
            item = self.read(path)
        except NoiseformError:
            return False
        return item.record is not None and item.record["number"] == self.number(item)


KINDS = {
    "audio": Kind(
        ("wav", "flac", "ogg", "mp3"),
        lambda number: audio.Audio(torch.full((1, 1000 + 100 * number), 0.1), 16000, {"number": number}),
        lambda: audio.Audio(torch.linspace(-0.5, 0.5, 400_000)[None], 16000, {"number": 3990}),
        lambda sound: (sound.samples.shape[1] - 1000) // 100,
        audio.read,
    ),
    "image": Kind(
        ("png", "jpg", "webp"),
        lambda number: image.Image(torch.full((3, 16, 20 + number), 0.1), {"number": number}),
        lambda: image.Image(torch.linspace(0, 1, 500_000).sin().reshape(1, 500, 1000), {"number": 980}),
        lambda picture: picture.width - 20,
        image.read,
    ),
    "video": Kind(
        ("mp4", "webm", "gif"),
        lambda number: video.Video(torch.full((2, 3, 16, 20 + 2 * number), 0.1), 8.0, None, {"number": number}),
        lambda: video.Video(torch.linspace(0, 1, 480_000).reshape(10, 1, 100, 480), 8.0, None, {"number": 230}),
        lambda film: (film.width - 20) // 2,
        video.read,
    ),
}
