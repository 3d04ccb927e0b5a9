"""Take the frames out of films, to train a model of pictures on: a folder for each caption, in it the films.

python docs/examples/stills.py fruits360_rotation stills --fps 8
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from noiseform import video


def main() -> None:
    """Read the arguments, and write ``stills/CAPTION/FILM.frames/frame-00000.png``, …"""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of films with captions.csv (columns file and caption)")
    parser.add_argument("out", type=Path, help="is made")
    parser.add_argument("--fps", type=float, help="frames per second to take; those of the film if omitted")
    given = parser.parse_args()
    with open(given.data / "captions.csv", encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    for row in rows:
        folder = given.out / row["caption"]
        folder.mkdir(parents=True, exist_ok=True)
        film = video.read(given.data / row["file"], fps=given.fps)
        film.save(folder / f"{Path(row['file']).stem}.frames")
        print(f"{row['file']}: {len(film.frames)} frames")


if __name__ == "__main__":
    main()
