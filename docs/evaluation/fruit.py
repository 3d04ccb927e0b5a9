"""Are generated films of fruit what was asked for, and do they move as real ones do? The verdict of a judge of frames.

The judge is a small convolutional network trained on single frames by this script, independently of the models that it
judges. Six films (HELD_BACK) are kept from every training, that of the judge and those of the models, and of the others
the judge does not learn from the last fifth.

    python docs/evaluation/fruit.py train --data fruits360_rotation
    python docs/evaluation/fruit.py judge --data fruits360_rotation --pipeline turning-fruit --count 64
    python docs/evaluation/fruit.py joints --data fruits360_rotation --pipeline turning-fruit --seconds 20
    python docs/evaluation/fruit.py between --data fruits360_rotation --pipeline turning-fruit --factor 2
    python docs/evaluation/fruit.py codec --data fruits360_rotation --pipeline turning-fruit
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import torch
from distance import frechet
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("fruit.safetensors")
HELD_BACK = ("apple_red_1_axis2", "avocado_axis2", "cherry_axis2", "golden_2_axis2", "orange_axis2", "papaya_axis2")
FPS, FRAMES, SIZE, FEATURES = 8, 16, 64, 32


def read(data: Path) -> dict[str, tuple[str, Tensor]]:
    """Return the films by name: what each shows, and its frames (time, 3, 64, 64) in [0, 1] at 8 frames a second."""
    from noiseform import build
    from noiseform.core.data.dataset import DataConfig

    modality = build("modality", "video")
    spec = modality.spec({"height": SIZE, "width": SIZE, "fps": FPS, "frames": FRAMES})
    rename = {"carambula": "carambola"}
    table = DataConfig(labels="csv", csv="captions.csv", fields=("caption",), rename=rename)
    films = modality.dataset(data, spec, table)
    found = {}
    for number in range(len(films)):
        (label,) = films.conditions(number)["labels"]
        found[Path(films.name(number)).stem] = (label, films.kept(number).float() / 255)
    return found


def names_of(films: dict[str, tuple[str, Tensor]]) -> list[str]:
    """Return the fruits."""
    return sorted({label for label, _ in films.values()})


class Viewer(nn.Module):
    """Four levels of convolutions, a feature of width 32, and a linear head on it."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((3, 16), (16, 32), (32, 48), (48, 64)):
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
        self.body = nn.Sequential(*layers)
        self.feature = nn.Linear(64 * 4, FEATURES)
        self.head = nn.Linear(FEATURES, classes)

    def features(self, frames: Tensor) -> Tensor:
        pooled = nn.functional.adaptive_avg_pool2d(self.body(frames), 2)
        return self.feature(pooled.flatten(1))

    @torch.inference_mode()
    def see(self, frames: Tensor, batch: int = 500) -> tuple[Tensor, Tensor]:
        """Return classes and features of frames (count, 3, 64, 64)."""
        feature = torch.cat([self.features(part) for part in frames.split(batch)])
        return self.head(feature).argmax(1), feature


def load_viewer(path: Path, classes: int) -> Viewer:
    """Return the trained judge."""
    viewer = Viewer(classes)
    viewer.load_state_dict({name: value.float() for name, value in load_file(path).items()}, strict=False)
    return viewer.eval()


def split(films: dict[str, tuple[str, Tensor]]) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return frames with their classes: those that the judge learns from, and the last fifth of the same films."""
    names = names_of(films)
    parts: list[list[tuple[Tensor, int]]] = [[], []]
    for film, (label, frames) in films.items():
        if film not in HELD_BACK:
            border = len(frames) * 4 // 5
            parts[0].append((frames[:border], names.index(label)))
            parts[1].append((frames[border:], names.index(label)))
    first, second = (
        (torch.cat([one for one, _ in part]), torch.cat([torch.full((len(one),), name) for one, name in part]))
        for part in parts
    )
    return first, second


def train(frames: Tensor, classes: Tensor, count: int, epochs: int, seed: int, batch: int = 64) -> Viewer:
    """Return a judge that has learnt from frames, mirrored, shifted, lighter or darker, and with noise."""
    torch.manual_seed(seed)
    viewer = Viewer(count)
    optimizer = torch.optim.AdamW(viewer.parameters(), weight_decay=0.05)
    steps = epochs * (len(frames) // batch)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps, pct_start=0.2)
    started = time.perf_counter()
    for epoch in range(epochs):
        viewer.train()
        order = torch.randperm(len(frames))
        for index in order[: len(order) // batch * batch].split(batch):
            shown = frames[index]
            if torch.rand(()) < 0.5:
                shown = shown.flip(3)
            down, right = torch.randint(-3, 4, (2,)).tolist()
            shown = shown.roll((down, right), (2, 3))  # the border is white, so nothing comes round
            light = 1 + 0.1 * torch.randn(len(shown), 1, 1, 1)
            shown = (shown * light + 0.05 * torch.rand(()) * torch.randn_like(shown)).clamp(0, 1)
            loss = nn.functional.cross_entropy(
                viewer.head(viewer.features(shown)), classes[index], label_smoothing=0.05
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            rate.step()
        print(f"epoch {epoch + 1}  loss {loss.item():.3f}  {time.perf_counter() - started:.0f} s", flush=True)
    return viewer.eval()


def generate(pipeline: str, names: list[str], count: int, seed: int) -> tuple[Tensor, Tensor, dict[str, float]]:
    """Return clips (count, time, 3, 64, 64), what was asked for, in turn, and what they cost. Clip N has seed N."""
    from noiseform import video

    loaded = video.load(pipeline)
    clips, asked, passes = [], [], 0
    started = time.perf_counter()
    for number in range(count):
        (made,) = video.generate(loaded, label=names[number % len(names)], seed=seed + number)
        clips.append(made.frames)
        asked.append(number % len(names))
        passes += int(made.record["nfe"])
    seconds = time.perf_counter() - started
    return torch.stack(clips), torch.tensor(asked), {"nfe": passes / count, "seconds_per_clip": seconds / count}


def windows(films: dict[str, tuple[str, Tensor]], each: int, phase: float = 0.5) -> tuple[Tensor, Tensor]:
    """Return real clips (count, time, 3, 64, 64) of the films that models learn from, so many of each fruit, evenly.

    Args:
        films: see :func:`read`.
        each: how many of a fruit.
        phase: from 0 to 1, where in its part of a film each begins.
    """
    names = names_of(films)
    of_fruit: dict[str, list[Tensor]] = defaultdict(list)
    for film, (label, frames) in sorted(films.items()):
        if film not in HELD_BACK:
            of_fruit[label].append(frames)
    clips, classes = [], []
    for name in names:
        sources = of_fruit[name]
        for number in range(each):
            frames = sources[number % len(sources)]
            place = (number // len(sources) + phase) / -(-each // len(sources))
            start = int(place * (len(frames) - FRAMES))
            clips.append(frames[start : start + FRAMES])
            classes.append(names.index(name))
    return torch.stack(clips), torch.tensor(classes)


def motion(clips: Tensor) -> Tensor:
    """Return the mean absolute difference from frame to frame (clips,), in values of [0, 1]."""
    return clips.diff(dim=1).abs().mean((1, 2, 3, 4))


def clip_features(viewer: Viewer, clips: Tensor) -> Tensor:
    """Return the mean feature of a clip's frames, and the mean change of each feature from frame to frame."""
    _, features = viewer.see(clips.flatten(0, 1))
    features = features.unflatten(0, clips.shape[:2])
    return torch.cat([features.mean(1), features.diff(dim=1).abs().mean(1)], 1)


def judge(viewer: Viewer, made: Tensor, asked: Tensor, real: Tensor, classes: Tensor) -> dict[str, float]:
    """Return the figures of made clips beside real ones, of which there are as many of each fruit or more."""
    seen, features = viewer.see(made.flatten(0, 1))
    _, of_real = viewer.see(real.flatten(0, 1))
    right = (seen.unflatten(0, made.shape[:2]) == asked[:, None]).float()
    moved = torch.stack([motion(real[classes == name]).mean() for name in asked.unique()])
    moved_made = torch.stack([motion(made[asked == name]).mean() for name in asked.unique()])
    return {
        "clips": len(made),
        "frames seen as asked": right.mean().item(),
        "of the fruit seen worst": min(right[asked == name].mean().item() for name in asked.unique()),
        "motion, of real": (moved_made.mean() / moved.mean()).item(),
        "motion, least of a fruit": (moved_made / moved).min().item(),
        "motion, most of a fruit": (moved_made / moved).max().item(),
        "frechet of frames": frechet(features, of_real),
        "frechet of clips": frechet(clip_features(viewer, made), clip_features(viewer, real)),
    }


def joints(pipeline: str, films: dict[str, tuple[str, Tensor]], seconds: float, count: int) -> dict[str, float]:
    """Return how large the steps at the joints of films are that go on for so long, against those of real films."""
    from noiseform import video

    names = names_of(films)
    loaded = video.load(pipeline, extend=seconds - FRAMES / FPS)
    context = FRAMES // 2 if loaded.config.extend.context is None else round(loaded.config.extend.context * FPS)
    learnt = [frames for film, (_, frames) in films.items() if film not in HELD_BACK]
    of_real = torch.cat([frames.diff(dim=0).abs().mean((1, 2, 3)) for frames in learnt])
    limit = of_real.quantile(0.99).item()
    at_joints, elsewhere = [], []
    for number in range(count):
        name = names[number * len(names) // count]
        (made,) = video.generate(loaded, label=name, seed=number)
        steps = made.frames.diff(dim=0).abs().mean((1, 2, 3))
        places = range(FRAMES - 1, len(steps), FRAMES - context)
        at_joints.append(steps[list(places)])
        elsewhere.append(torch.stack([step for place, step in enumerate(steps) if place not in places]))
    joint, other = torch.cat(at_joints), torch.cat(elsewhere)
    return {
        "films": count,
        "frames": len(steps) + 1,
        "joints": len(joint),
        "steps of real films, 99th percentile": limit,
        "joints, median": joint.median().item(),
        "joints, largest": joint.max().item(),
        "elsewhere, median": other.median().item(),
        "elsewhere, largest": other.max().item(),
        "joints above the percentile": (joint > limit).float().mean().item(),
    }


def codec(pipeline: str, films: dict[str, tuple[str, Tensor]]) -> dict[str, dict[str, float]]:
    """Return how well the codec gives back the held-back films, with its layers of time and frame by frame."""
    from noiseform import video

    (stage,) = video.load(pipeline).stages
    told: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for name in HELD_BACK:
        film = films[name][1].transpose(0, 1)[None]
        latent = stage.codec.encode(film)
        shape = tuple(film.shape[1:])
        still = (shape[0], 1, *shape[2:])
        frames = [stage.codec.decode(one, still) for one in latent.split(1, 2)]
        told["with time"].append((stage.codec.decode(latent, shape), film))
        told["frame by frame"].append((torch.cat(frames, 2), film))
    figures = {}
    for kind, pairs in told.items():
        squares = torch.stack([(made - film).square().mean() for made, film in pairs])
        flicker = torch.stack([(made.diff(dim=2) - film.diff(dim=2)).abs().mean() for made, film in pairs])
        figures[kind] = {"psnr_db": (-10 * squares.log10()).mean().item(), "flicker": flicker.mean().item()}
    return figures


def between(
    pipeline: str, films: dict[str, tuple[str, Tensor]], factor: int, guidance: float | None
) -> dict[str, dict[str, float]]:
    """Return how near frames that were put between key frames are to the real ones, and how they move.

    Six films that were learnt from and the held-back ones, 33 frames from the middle of each; beside the model, the
    straight blend of the two key frames, and real frames through the codec, which is the most that can be reached.
    """
    from noiseform import video

    loaded = video.load(pipeline, guidance=guidance)
    codec = loaded.stages[0].codec
    learnt = [name for name in sorted(films) if name not in HELD_BACK][:: len(films) // 6][:6]
    told: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for group, names in (("learnt from", learnt), ("held back", HELD_BACK)):
        for number, name in enumerate(names):
            label, frames = films[name]
            start = (len(frames) - 33) // 2
            real = frames[start : start + 33]
            keys = video.Video(real[::factor].contiguous(), FPS / factor)
            made = video.interpolate(keys, loaded, factor=factor, label=label, seed=number).frames
            share = (torch.arange(33) % factor / factor).reshape(-1, 1, 1, 1)
            before, after = torch.arange(33) // factor, (torch.arange(33) // factor + 1).clamp(max=len(keys.frames) - 1)
            blend = torch.lerp(keys.frames[before], keys.frames[after], share)
            coded = codec.decode(codec.encode(real.transpose(0, 1)[None]), (3, *real[:, 0].shape))[0].transpose(0, 1)
            new = torch.arange(33) % factor != 0
            for kind, shown in (("model", made), ("blend", blend), ("codec", coded)):
                error = (shown[new] - real[new]).square().mean()
                moved = motion(shown[None]).item() / motion(real[None]).item()
                told[f"{group}, {kind}"].append((-10 * error.log10().item(), moved))
    return {
        name: dict(zip(("psnr_db", "motion, of real"), torch.tensor(rows).mean(0).tolist(), strict=True))
        for name, rows in told.items()
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "judge", "joints", "codec", "between"])
    parser.add_argument("--data", type=Path, required=True, help="folder of the films and captions.csv")
    parser.add_argument("--pipeline", default="turning-fruit", help="name of a pipeline or path of a model folder")
    parser.add_argument("--count", type=int, default=64, help="clips that are made")
    parser.add_argument("--real", type=int, default=16, help="real clips of each fruit that they are compared with")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the films with joints")
    parser.add_argument("--factor", type=int, default=2, help="distance between key frames")
    parser.add_argument("--guidance", type=float, help="in the place of the pipeline's, between key frames")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("-o", "--out", type=Path, default=WEIGHTS)
    choice = parser.parse_args()
    films = read(choice.data)
    names = names_of(films)
    if choice.what == "train":
        (frames, classes), (others, other_classes) = split(films)
        viewer = train(frames, classes, len(names), choice.epochs, choice.seed)
        state = {name: value.half() for name, value in viewer.state_dict().items() if value.is_floating_point()}
        save_file(state, choice.out, {"classes": ", ".join(names), "seed": str(choice.seed)})
        viewer = load_viewer(choice.out, len(names))
        seen, _ = viewer.see(others)
        print(f"{choice.out}: {(seen == other_classes).float().mean():.2%} of {len(seen)} other frames seen right")
        for name in HELD_BACK:
            label, shown = films[name]
            print(f"{name}: {(viewer.see(shown)[0] == names.index(label)).float().mean():.1%}")
        return
    if choice.what == "codec":
        print(json.dumps(codec(choice.pipeline, films), indent=1))
        return
    if choice.what == "between":
        print(json.dumps(between(choice.pipeline, films, choice.factor, choice.guidance), indent=1))
        return
    if choice.what == "joints":
        print(json.dumps(joints(choice.pipeline, films, choice.seconds, choice.count), indent=1))
        return
    viewer = load_viewer(choice.out, len(names))
    real, classes = windows(films, choice.real)
    others = windows(films, -(-choice.count // len(names)), 0.1)
    made, asked, cost = generate(choice.pipeline, names, choice.count, choice.seed)
    told = {"generated": judge(viewer, made, asked, real, classes), "real": judge(viewer, *others, real, classes)}
    print(json.dumps({**told, "cost": cost}, indent=1))


if __name__ == "__main__":
    main()
