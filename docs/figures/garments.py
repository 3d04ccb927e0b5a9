"""Draw generated garments above real ones, for the README and the model card.

``python docs/figures/garments.py --data fashion_mnist`` writes ``docs/images/garments.png``: of every class two that
were made and, below them, two that were held back from training. Nothing is picked: picture number N has seed N,
and the real ones are the first of their class among the last 5,000 of the training set.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from noiseform import image
from noiseform.modalities.image.sheet import sheet

DOCS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DOCS / "evaluation"))
from garments import CLASSES, HELD_BACK, read  # noqa: E402

ROWS = 2


def draw(pipeline: str, data: Path, path: Path) -> None:
    """Write the sheet of one pipeline."""
    loaded = image.load(pipeline)
    pictures, classes = read(data)
    held, held_classes = pictures[-HELD_BACK:], classes[-HELD_BACK:]
    shown, captions = [], []
    for row in range(ROWS):
        for number, name in enumerate(CLASSES):
            shown += image.generate(loaded, label=name, seed=row * len(CLASSES) + number)
            captions.append(name)
    for row in range(ROWS):
        for number in range(len(CLASSES)):
            shown.append(image.Image(held[held_classes == number][row]))
            captions.append("real")
    sheet(shown, captions, path, columns=len(CLASSES), overwrite=True)
    print(path)


def main() -> None:
    """Read the arguments and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pipeline", nargs="?", default="garments")
    parser.add_argument("--data", type=Path, required=True, help="folder of Fashion-MNIST's IDX files")
    parser.add_argument("-o", "--out", type=Path, default=DOCS / "images" / "garments.png")
    given = parser.parse_args()
    draw(given.pipeline, given.data, given.out)


if __name__ == "__main__":
    main()
