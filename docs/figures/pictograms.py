"""Draw pictograms by prompt, for the README and the model card: nothing is picked, picture number N has seed N.

``python docs/figures/pictograms.py --data noto_emoji`` writes into ``docs/images``

- ``pictograms.png``: 64 prompts, each a description from the data;
- ``pictograms-nearest.png``: every fourth of them beside the training picture that it is nearest to;
- ``pictograms-new.png``: prompts whose words were never seen together, as they come.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from noiseform import image
from noiseform.modalities.image.sheet import sheet

DOCS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DOCS / "evaluation"))
from pictograms import nearest, read  # noqa: E402

PROMPTS = (
    "red heart", "blue heart", "broken heart", "sparkling heart", "star", "sun", "full moon", "rainbow",
    "red apple", "banana", "strawberry", "watermelon", "hamburger", "birthday cake", "teacup without handle", "carrot",
    "grinning face", "crying face", "angry face", "smiling face with heart-eyes", "ghost", "alien", "robot", "skull",
    "dog face", "cat face", "tiger face", "panda", "frog", "pig face", "penguin", "fish",
    "bus", "taxi", "helicopter", "airplane", "flying saucer", "sailboat", "locomotive", "motorcycle",
    "house", "church", "castle", "hospital", "mountain", "desert", "volcano", "bridge at night",
    "open book", "blue book", "pencil", "key", "hammer", "light bulb", "alarm clock", "camera",
    "thumbs up", "clapping hands", "woman judge", "man cook", "red circle", "green circle", "stop sign", "anchor",
)  # fmt: skip
NEW = (
    "blue apple", "green heart on fire", "purple star", "red banana", "yellow car", "green dog face",
    "blue tiger face", "angry cat face", "crying robot", "pig face with sunglasses", "skull with hat", "red house",
    "two red apples", "blue circle with star", "ghost with heart-eyes", "purple book",
)  # fmt: skip


def draw(pipeline: str, data: Path, folder: Path) -> None:
    """Write the three sheets of one pipeline."""
    captions, pictures = read(data)
    unknown = [prompt for prompt in PROMPTS if prompt not in captions]
    known = [prompt for prompt in NEW if prompt in captions]
    if unknown or known:
        sys.exit(f"not in the data: {unknown}; in the data: {known}")
    loaded = image.load(pipeline)
    made = [image.generate(loaded, prompt=prompt, seed=seed)[0] for seed, prompt in enumerate(PROMPTS)]
    sheet(made, PROMPTS, folder / "pictograms.png", columns=8, overwrite=True)
    chosen = range(0, len(PROMPTS), 4)
    numbers, _ = nearest(torch.stack([made[row].pixels for row in chosen]), pictures)
    shown, told = [], []
    for row, number in zip(chosen, numbers.tolist(), strict=True):
        shown += [made[row], image.Image(pictures[number])]
        told += [PROMPTS[row], f"nearest: {captions[number]}"]
    sheet(shown, told, folder / "pictograms-nearest.png", columns=8, overwrite=True)
    new = [image.generate(loaded, prompt=prompt, seed=seed)[0] for seed, prompt in enumerate(NEW)]
    sheet(new, NEW, folder / "pictograms-new.png", columns=8, overwrite=True)


def main() -> None:
    """Read the arguments and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pipeline", nargs="?", default="pictograms")
    parser.add_argument("--data", type=Path, required=True, help="folder of the pictures and captions.csv")
    parser.add_argument("-o", "--out", type=Path, default=DOCS / "images", help="folder of the sheets")
    given = parser.parse_args()
    draw(given.pipeline, given.data, given.out)


if __name__ == "__main__":
    main()
