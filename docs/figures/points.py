"""Draw two clouds of each shape that the example plugin's model makes: ``python docs/figures/points.py``.

It takes some seconds. The plugin has to be installed: ``pip install docs/examples/points``.
"""

from __future__ import annotations

import sys
from pathlib import Path

IMAGES = Path(__file__).resolve().parents[1] / "images"


def main(picture: str = str(IMAGES / "points.png")) -> None:
    """Make them, on one sheet with a column for each shape."""
    from noiseform import points
    from noiseform_points.shapes import SHAPES
    from noiseform_points.sheet import sheet

    pipeline = points.load("shapes")
    wishes = [(label, seed) for seed in range(2) for label in SHAPES]
    clouds = [points.generate(pipeline, label=label, seed=seed)[0] for label, seed in wishes]
    sheet(clouds, [label for label, _ in wishes], picture, columns=len(SHAPES), overwrite=True)
    print(picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
