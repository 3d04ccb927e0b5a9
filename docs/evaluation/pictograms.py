"""Are generated pictograms what was asked for? Which training picture is each of them nearest to?

There is one picture for each description and none is held back, so this measures how well a model recalls, not how well
it invents: a picture counts as what was asked for if, of all pictures of the data, the nearest is the one of that very
description. Distances are root mean squares over pixels and colours in [0, 1], after both were reduced to 16 x 16, so
that a shift by a pixel weighs little.

    python docs/evaluation/pictograms.py --data noto_emoji --pipeline pictograms --count 500
"""

from __future__ import annotations

import argparse
import csv
import fnmatch
import json
import random
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

SKIN_TONES = "*_1f3f[b-f]*"  # not trained on: the same pictures in another colour


def read(data: Path) -> tuple[list[str], Tensor]:
    """Return descriptions and pictures (count, 3, 64, 64) in [0, 1] of a folder with the files and captions.csv."""
    from noiseform.modalities.image.reading import read as read_picture

    with open(data / "captions.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if not fnmatch.fnmatch(row["file"], SKIN_TONES)]
    pictures = [_over_white(read_picture(data / row["file"]).pixels) for row in rows]
    return [row["caption"] for row in rows], torch.stack(pictures)


def _over_white(pixels: Tensor) -> Tensor:
    """Return (3, height, width) for pixels with or without alpha and colours."""
    colours, alpha = (pixels[:-1], pixels[-1:]) if len(pixels) in (2, 4) else (pixels, torch.ones_like(pixels[:1]))
    return (colours * alpha + 1 - alpha).expand(3, -1, -1).contiguous()


def nearest(made: Tensor, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each made picture (rows, 3, 64, 64) the number of the nearest of the data, and its distance."""
    small, known = (avg_pool2d(one, 4).flatten(1) for one in (made, pictures))
    distance, number = torch.cdist(small, known).min(1)
    return number, distance / small.shape[1] ** 0.5


def judge(pipeline: str, captions: list[str], pictures: Tensor, count: int, seed: int) -> dict[str, float]:
    """Return the figures of one picture for each of so many descriptions, drawn without picking."""
    from noiseform import image

    loaded = image.load(pipeline)
    asked = random.Random(seed).sample(range(len(captions)), count)
    started, passes, made = time.perf_counter(), 0, []
    for row, number in enumerate(asked):
        (one,) = image.generate(loaded, prompt=captions[number], seed=seed + row)
        made.append(one.pixels)
        passes += int(one.record["nfe"])
    seconds = time.perf_counter() - started
    shown = torch.stack(made)
    found, distance = nearest(shown, pictures)
    target = torch.tensor(asked)
    to_asked = (avg_pool2d(shown, 4) - avg_pool2d(pictures[target], 4)).square().mean((1, 2, 3)).sqrt()
    between, _ = torch.cdist(*(2 * (avg_pool2d(pictures, 4).flatten(1),))).fill_diagonal_(torch.inf).min(1)
    return {
        "pictures": count,
        "nearest is the one asked for": (found == target).double().mean().item(),
        "distance to the nearest, median": distance.median().item(),
        "distance to the one asked for, median": to_asked.median().item(),
        "of two real pictures to each other, median of the nearest": (between / (3 * 16 * 16) ** 0.5).median().item(),
        "nfe": passes / count,
        "seconds_per_item": seconds / count,
    }


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the pictures and captions.csv")
    parser.add_argument("--pipeline", default="pictograms")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    captions, pictures = read(given.data)
    print(json.dumps(judge(given.pipeline, captions, pictures, given.count, given.seed), indent=2))


if __name__ == "__main__":
    main()
