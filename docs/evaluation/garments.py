"""Are generated garments what was asked for, and as varied as real ones? The verdict of a classifier of pictures.

The judge is a small convolutional network trained on real pictures by this script, independently of the models that it
judges. Training data are pictures 0 to 54,999 of Fashion-MNIST's training set; the last 5,000 are held back from every
training, that of the classifier and that of the models.

    python docs/evaluation/garments.py train --data fashion_mnist
    python docs/evaluation/garments.py judge --data fashion_mnist --pipeline garments --count 500
    python docs/evaluation/garments.py judge --data fashion_mnist --folder pictures      # sneaker_0.png ...
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from pathlib import Path

import numpy as np
import torch
from distance import common_size, diversity, drawn_frechet, nearest
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
HELD_BACK = 5000
WEIGHTS = Path(__file__).with_name("garments.safetensors")
FEATURES = 64


def read(data: Path) -> tuple[Tensor, Tensor]:
    """Return the pictures of the training set (60000, 1, 28, 28) in [0, 1], and their classes."""
    raw = {}
    for kind, head in (("images-idx3", 16), ("labels-idx1", 8)):
        with gzip.open(data / f"train-{kind}-ubyte.gz") as file:
            raw[kind] = np.frombuffer(file.read(), np.uint8, offset=head).copy()
    pictures = torch.from_numpy(raw["images-idx3"]).reshape(-1, 1, 28, 28).float() / 255
    return pictures, torch.from_numpy(raw["labels-idx1"]).long()


class Viewer(nn.Module):
    """Three levels of two convolutions, a feature of width 64, and a linear head on it."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((1, 24), (24, 48), (48, 96)):
            for first in (before, after):
                layers += [nn.Conv2d(first, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        self.body = nn.Sequential(*layers)
        self.feature = nn.Linear(96, FEATURES)
        self.head = nn.Linear(FEATURES, len(CLASSES))

    def features(self, pictures: Tensor) -> Tensor:
        return self.feature(self.body(pictures).mean((2, 3)))

    @torch.inference_mode()
    def see(self, pictures: Tensor, batch: int = 500) -> tuple[Tensor, Tensor]:
        """Return classes and features of pictures (count, 1, 28, 28)."""
        self.eval()
        feature = torch.cat([self.features(part) for part in pictures.split(batch)])
        return self.head(feature).argmax(1), feature


def load_viewer(path: Path = WEIGHTS) -> Viewer:
    """Return the trained classifier."""
    viewer = Viewer()
    viewer.load_state_dict({name: value.float() for name, value in load_file(path).items()}, strict=False)
    return viewer.eval()


def train(pictures: Tensor, classes: Tensor, epochs: int, seed: int, batch: int = 100) -> Viewer:
    """Return a classifier that has learnt from pictures, mirrored and shifted by up to two pixels."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    viewer = Viewer()
    optimizer = torch.optim.AdamW(viewer.parameters(), weight_decay=0.02)
    steps = epochs * (len(pictures) // batch)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps, pct_start=0.2)
    started = time.perf_counter()
    for epoch in range(epochs):
        viewer.train()
        order = torch.randperm(len(pictures), generator=generator)
        for index in order[: len(order) // batch * batch].split(batch):
            shown = pictures[index]
            if torch.rand((), generator=generator) < 0.5:
                shown = shown.flip(3)
            down, right = torch.randint(-2, 3, (2,), generator=generator).tolist()
            shown = shown.roll((down, right), (2, 3))  # the border is black, so nothing comes round
            loss = nn.functional.cross_entropy(
                viewer.head(viewer.features(shown)), classes[index], label_smoothing=0.05
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            rate.step()
        print(f"epoch {epoch + 1}  loss {loss.item():.3f}  {time.perf_counter() - started:.0f} s", flush=True)
    return viewer.eval()


def generate(pipeline: str, count: int, seed: int, steps: int | None) -> tuple[Tensor, Tensor, dict[str, float]]:
    """Return pictures, the classes asked for, in equal numbers, and what they cost. Each has its own seed."""
    from noiseform import image

    loaded = image.load(pipeline, steps=steps)
    pictures, classes, passes = [], [], 0
    started = time.perf_counter()
    for number in range(count):
        name = number % len(CLASSES)
        (made,) = image.generate(loaded, label=CLASSES[name], seed=seed + number)
        pictures.append(made.pixels.mean(0, keepdim=True))
        classes.append(name)
        passes += int(made.record["nfe"])
    seconds = time.perf_counter() - started
    return torch.stack(pictures), torch.tensor(classes), {"nfe": passes / count, "seconds_per_item": seconds / count}


def read_folder(folder: Path) -> tuple[Tensor, Tensor]:
    """Return the pictures CLASS_NUMBER.png of a folder, with their classes."""
    from noiseform import image

    paths = sorted(folder.glob("*_*.png"))
    names = [path.stem.rpartition("_")[0] for path in paths]
    return (
        torch.stack([image.read(path).pixels.mean(0, keepdim=True) for path in paths]),
        torch.tensor([CLASSES.index(name.replace("-boot", " boot")) for name in names]),
    )


def judge(viewer: Viewer, made: Tensor, asked: Tensor, data: tuple[Tensor, Tensor]) -> dict[str, dict[str, float]]:
    """Return the figures of made pictures and, as their measure, of as many real training pictures."""
    pictures, classes = data
    held, held_classes = pictures[-HELD_BACK:], classes[-HELD_BACK:]
    known, known_classes = pictures[:-HELD_BACK], classes[:-HELD_BACK]
    _, held_features = viewer.see(held)
    _, known_features = viewer.see(known)
    each = common_size(asked, held_classes)
    told: dict[str, dict[str, float]] = {}
    for name, (shown, wanted) in {"generated": (made, asked), "real": (held, held_classes)}.items():
        seen, features = viewer.see(shown)
        rows, groups = (features, wanted) if name == "generated" else (known_features, known_classes)
        distance, deviation = drawn_frechet(rows, groups, held_features, held_classes, each=each)
        within, _ = drawn_frechet(rows, groups, held_features, held_classes, each=each, within=True)
        told[name] = {
            "pictures": len(shown),
            "accuracy": (seen == wanted).float().mean().item(),
            "frechet": distance,
            "frechet_deviation": deviation,
            "frechet_within": within,
            "diversity": diversity(features[:2000], wanted[:2000]),
            "nearest_training_picture": nearest(features[:1000], wanted[:1000], known_features, known_classes)
            .median()
            .item(),
        }
    return told


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "judge"])
    parser.add_argument("--data", type=Path, required=True, help="folder of Fashion-MNIST's IDX files")
    parser.add_argument("--pipeline", help="name of a pipeline or path of a model folder")
    parser.add_argument("--folder", type=Path, help="pictures named CLASS_NUMBER.png")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("-o", "--out", type=Path, default=WEIGHTS)
    parser.add_argument("--json", type=Path)
    choice = parser.parse_args()
    pictures, classes = data = read(choice.data)
    if choice.what == "train":
        viewer = train(pictures[:-HELD_BACK], classes[:-HELD_BACK], choice.epochs, choice.seed)
        state = {name: value.half() for name, value in viewer.state_dict().items() if value.is_floating_point()}
        save_file(state, choice.out, {"classes": ", ".join(CLASSES), "seed": str(choice.seed)})
        seen, _ = load_viewer(choice.out).see(pictures[-HELD_BACK:])
        right = (seen == classes[-HELD_BACK:]).float().mean().item()
        print(f"{choice.out}: {right:.2%} of {HELD_BACK} held-back pictures seen right")
        return
    cost: dict[str, float] = {}
    if choice.folder:
        made, asked = read_folder(choice.folder)
    else:
        made, asked, cost = generate(choice.pipeline, choice.count, choice.seed, choice.steps)
    told = judge(load_viewer(choice.out), made, asked, data)
    print(f"{choice.pipeline or choice.folder}\n{'':28s}{'generated':>12s}{'real':>12s}")
    for name, value in told["generated"].items():
        print(f"{name:28s}{value:12.4g}{told['real'][name]:12.4g}")
    for name, value in cost.items():
        print(f"{name:28s}{value:12.4g}")
    if choice.json:
        choice.json.write_text(json.dumps({**told, "cost": cost}, indent=1) + "\n")


if __name__ == "__main__":
    main()
