"""What does the same training time give? garments, lucidrains' and diffusers' recipes on the same pictures, no labels.

Each learns from pictures 0 to 54,999 of Fashion-MNIST's training set on one thread, with its own defaults, until its
process has used so many minutes of processor time; then it draws. What saving and drawing take is not counted, nor is
the first step, in which libraries set themselves up.

    python docs/evaluation/equal_time.py train noiseform --data fashion_mnist --out equal-time
    python docs/evaluation/equal_time.py train lucidrains --data fashion_mnist --out equal-time
    python docs/evaluation/equal_time.py compare --data fashion_mnist --out equal-time --sheet sheet.png

``noiseform`` is plugins/garments/recipe.toml, wider and without conditioner and guidance. peers.py has ``lucidrains``,
``diffusers`` and ``diffusers-small``, whose libraries must be installed. ``compare`` prints the Fréchet distance of
each one's pictures to the 5,000 that were held back.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from distance import frechet
from garments import HELD_BACK, load_viewer, read
from peers import BATCH, PACKAGES, SIDE, Peer, peer_named
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

RECIPE = Path(__file__).resolve().parents[2] / "plugins" / "garments" / "recipe.toml"
PAD = (SIDE - 28) // 2
DRAWN_AT_ONCE = 50
SHOWN = 10  # of each, on the sheet


class Clock:
    """Processor time of this process since its first step ended."""

    def __init__(self, minutes: float) -> None:
        self.limit, self.steps, self.used = 60 * minutes, 0, 0.0

    def over(self, loss: float) -> bool:
        """Count a step; return whether it was the last."""
        self.steps += 1
        if self.steps == 1:
            self.started = time.process_time()
        self.used = time.process_time() - self.started
        over = self.used >= self.limit
        if over or self.steps % 25 == 0:
            print(f"step {self.steps}  loss {loss:.4f}  {self.used:.0f} s", flush=True)
        return over


def train_noiseform(data: Path, clock: Clock, folder: Path) -> int:
    """Train the recipe of garments without labels until an interrupt ends it, saved; return the size of a batch."""
    from noiseform import build
    from noiseform.core.training.observing import TrainingStep
    from noiseform.core.training.recipe import read_recipe
    from noiseform.core.training.trainer import Interrupted, train

    settings = (
        "stages.base.conditioners=[]",
        "stages.base.network.channels=[48, 96, 128]",
        'stages.base.guidance={ use = "none" }',
        'data.labels="none"',
        "training.checkpoint_every=1000000000",
        "training.sample_every=0",
    )
    recipe = read_recipe(RECIPE, settings=settings)
    modality = build("modality", recipe.modality)

    def watch(step: TrainingStep) -> None:
        if clock.over(step.loss):
            signal.raise_signal(signal.SIGINT)

    with contextlib.suppress(Interrupted):
        pictures = modality.dataset(str(data), modality.spec(recipe.media), recipe.data)
        train(recipe, pictures, modality, folder, observers=(watch,))
    return recipe.training.batch_size


def batches(pictures: Tensor) -> Iterator[Tensor]:
    """Yield a peer's batches for ever: shuffled, padded, each picture mirrored or not."""
    while True:
        for index in torch.randperm(len(pictures))[: len(pictures) // BATCH * BATCH].split(BATCH):
            mirrored = torch.rand(BATCH, 1, 1, 1) < 0.5
            yield F.pad(torch.where(mirrored, pictures[index].flip(3), pictures[index]), [PAD] * 4)


def train_peer(peer: Peer, pictures: Tensor, clock: Clock) -> None:
    """Train a peer until the time is over."""
    peer.network.train()
    for batch in batches(pictures):
        if clock.over(peer.step(batch)):
            return


def draw_peer(peer: Peer, count: int) -> Tensor:
    """Return pictures (count, 1, 28, 28) of a peer."""
    parts = [peer.draw(min(DRAWN_AT_ONCE, count - done)) for done in range(0, count, DRAWN_AT_ONCE)]
    return torch.cat(parts)[:, :, PAD:-PAD, PAD:-PAD].clamp(0, 1)


def run(name: str, data: Path, out: Path, *, minutes: float, count: int, steps: int) -> None:
    """Train one of them, draw, and leave its figures and pictures in a folder."""
    from noiseform import image
    from noiseform.core.machine.memory import keep_large_blocks

    keep_large_blocks()  # as `noiseform train` does; for all of them
    torch.set_num_threads(1)
    torch.manual_seed(0)
    clock = Clock(minutes)
    if name == "noiseform":
        batch = train_noiseform(data, clock, out / name)
        loaded = image.load(str(out / name))
        network = loaded.stages[0].model.network
        made = image.generate(loaded, count=count, seed=0)
        drawn, nfe = torch.stack([one.pixels for one in made]), made[0].record["nfe"]
    else:
        pictures = read(data)[0][:-HELD_BACK]
        peer = peer_named(name, steps=steps, pictures=len(pictures))
        train_peer(peer, pictures, clock)
        drawn, nfe, batch, network = draw_peer(peer, count), steps, BATCH, peer.network
    told = {
        "parameters": sum(one.numel() for one in network.parameters()),
        "steps": clock.steps,
        "pictures_seen": clock.steps * batch,
        "seconds": clock.used,
        "nfe": nfe,
    }
    out.mkdir(parents=True, exist_ok=True)
    save_file({"pictures": (drawn * 255).round().byte().contiguous()}, out / f"{name}.safetensors")
    (out / f"{name}.json").write_text(json.dumps(told, indent=1) + "\n")
    print(f"{name}: {told}")


def compare(data: Path, out: Path, sheet_path: Path | None, draws: int = 20) -> None:
    """Print the table of all that are in a folder, each with as many pictures as the one that has fewest."""
    drawn = {path.stem: load_file(path)["pictures"].float() / 255 for path in sorted(out.glob("*.safetensors"))}
    if not drawn:
        raise SystemExit(f"{out}: nothing was drawn yet; train first")
    count = min(map(len, drawn.values()))
    viewer, (pictures, _) = load_viewer(), read(data)
    _, held = viewer.see(pictures[-HELD_BACK:])
    found = {name: frechet(viewer.see(shown[:count])[1], held) for name, shown in drawn.items()}
    order = sorted(found, key=found.__getitem__)
    print(f"{count} pictures each")
    print(f"| | weights | steps | pictures seen | seconds | NFE | Fréchet distance |\n{'|---' * 7}|")
    for name in order:
        told = json.loads((out / f"{name}.json").read_text())
        print(
            f"| {name} | {told['parameters'] / 1e6:.1f} million | {told['steps']:,} | {told['pictures_seen']:,} "
            f"| {told['seconds']:.0f} | {told['nfe']} | {found[name]:.2f} |"
        )
    generator = torch.Generator().manual_seed(0)
    index = torch.randint(0, len(pictures) - HELD_BACK, (draws, count), generator=generator)
    real = torch.tensor([frechet(viewer.see(pictures[some])[1], held) for some in index])
    print(f"| training pictures | | | | | | {real.mean():.2f} ± {real.std():.2f} |")
    if sheet_path:
        from noiseform import image
        from noiseform.modalities.image.sheet import sheet

        rows = {name: drawn[name] for name in order} | {"held back": pictures[-HELD_BACK:]}
        columns = min(SHOWN, count)
        shown = [image.Image(one) for some in rows.values() for one in some[:columns]]
        sheet(shown, [name for name in rows for _ in range(columns)], sheet_path, columns=columns, overwrite=True)
        print(sheet_path)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "compare"])
    parser.add_argument("name", nargs="?", choices=["noiseform", *PACKAGES])
    parser.add_argument("--data", type=Path, required=True, help="folder of Fashion-MNIST's IDX files")
    parser.add_argument("--out", type=Path, required=True, help="folder of what they draw, and their figures")
    parser.add_argument("--minutes", type=float, default=10, help="of processor time")
    parser.add_argument("--count", type=int, default=256, help="pictures to draw")
    parser.add_argument("--steps", type=int, default=50, help="of DDIM, for the peers")
    parser.add_argument("--sheet", type=Path, help="where compare draws ten pictures of each")
    choice = parser.parse_args()
    if choice.what == "compare":
        compare(choice.data, choice.out, choice.sheet)
    elif choice.name is None:
        parser.error("train: name one of them")
    else:
        run(choice.name, choice.data, choice.out, minutes=choice.minutes, count=choice.count, steps=choice.steps)


if __name__ == "__main__":
    main()
