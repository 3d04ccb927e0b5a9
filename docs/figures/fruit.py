"""Draw generated films of fruit beside real ones, and the frames of a film that goes on, for the README and the card.

``python docs/figures/fruit.py --data fruits360_rotation`` writes ``docs/images/turning-fruit.png``: sixteen films as
they come on the left, on the right real ones of the same fruit; ``turning-fruit-long.png``: one film of 20 seconds; and
``turning-fruit.webp``, films that move, for pages. Nothing is picked: film number N has seed N and the Nth fruit of
every second one, and the real ones begin in the middle of the first film of their fruit.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from noiseform import video
from noiseform.core.raster.pixels import eight_bit, to_pillow
from noiseform.modalities.video.strip import sheet
from PIL import Image as PillowImage

DOCS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DOCS / "evaluation"))
from fruit import FPS, FRAMES, HELD_BACK, names_of, read  # noqa: E402

SHOWN, MOVING = 16, (4, 2)


def side_by_side(*sheets: PillowImage.Image) -> PillowImage.Image:
    """Return sheets next to each other."""
    whole = PillowImage.new(
        "RGB", (sum(one.width for one in sheets), max(one.height for one in sheets)), (255, 255, 255)
    )
    left = 0
    for one in sheets:
        whole.paste(one, (left, 0))
        left += one.width
    return whole


def moving(films: list[torch.Tensor], path: Path) -> None:
    """Write films (time, 3, height, width) as one that moves, in rows, forwards and back."""
    wide, tall = MOVING
    rows = [torch.cat(films[row * wide : (row + 1) * wide], 3) for row in range(tall)]
    frames = [to_pillow(frame) for frame in eight_bit(torch.cat(rows, 2))]
    there_and_back = frames + frames[-2:0:-1]
    first, *others = there_and_back
    first.save(path, save_all=True, append_images=others, duration=1000 // FPS, loop=0, quality=80, method=6)


def draw(pipeline: str, data: Path, folder: Path) -> None:
    """Write the figures of one pipeline."""
    films = read(data)
    every_second = names_of(films)[::2]
    names = [every_second[number % len(every_second)] for number in range(SHOWN)]
    loaded = video.load(pipeline)
    made = [video.generate(loaded, label=name, seed=number)[0] for number, name in enumerate(names)]
    real = []
    for name in names:
        known = [frames for film, (label, frames) in sorted(films.items()) if label == name and film not in HELD_BACK]
        middle = (len(known[0]) - FRAMES) // 2
        real.append(video.Video(known[0][middle : middle + FRAMES], float(FPS)))
    left = sheet(made, names, frames=8, title="turning-fruit")
    right = sheet(real, names, frames=8, title="real")
    side_by_side(left, right).quantize(256).save(folder / "turning-fruit.png", optimize=True)
    moving([film.frames for film in made[: MOVING[0] * MOVING[1]]], folder / "turning-fruit.webp")
    (long,) = video.generate(pipeline, label="pear", seed=0, extend=18.0)
    rows = [video.Video(part, long.fps) for part in long.frames.split(2 * FRAMES)]
    captions = [f"pear, from second {4 * number}" for number in range(len(rows))]
    sheet(rows, captions, folder / "turning-fruit-long.png", frames=16, overwrite=True)
    for name in ("turning-fruit.png", "turning-fruit.webp", "turning-fruit-long.png"):
        print(folder / name)


def main() -> None:
    """Read the arguments and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pipeline", nargs="?", default="turning-fruit")
    parser.add_argument("--data", type=Path, required=True, help="folder of the films and captions.csv")
    parser.add_argument("-o", "--out", type=Path, default=DOCS / "images", help="folder of the figures")
    given = parser.parse_args()
    draw(given.pipeline, given.data, given.out)


if __name__ == "__main__":
    main()
