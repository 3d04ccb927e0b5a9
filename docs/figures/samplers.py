"""Draw the errors of samplers against NFE, and print them: ``python docs/figures/samplers.py [--items N]``.

- ``samplers-mixtures.png``: on mixtures of Gaussians whose ideal denoiser is known, root mean square error against a
  fine solution of the ODE, beside diffusers' best where it is installed (``tests/bench/samplers.py`` tells more);
- ``samplers-models.png``: on embedded models, the distance of the latents from the model's own fine result.

Seeds are fixed: the same figures come out at every run on one machine. It takes some minutes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator
from noiseform import audio, build, image
from noiseform.core.diffusion.sampling import Grid, Sampler, SamplingStep
from torch import Tensor
from tutorial import COLOURS, FAINT, INK, STYLE

DOCS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DOCS.parent / "tests" / "bench"))
from diffusers_samplers import diffusers_errors, diffusers_names  # noqa: E402
from mixtures import Problem, ours  # noqa: E402


class Parts(NamedTuple):
    """A sampler, its settings and its grid."""

    sampler: str
    grid: str
    settings: tuple[tuple[str, object], ...] = ()

    def __str__(self) -> str:
        settings = "".join(f", {name} = {value}" for name, value in self.settings)
        return f"{self.sampler}{settings} on {self.grid}"

    def built(self) -> tuple[Sampler, Grid]:
        """Return the parts."""
        return build("sampler", self.sampler, **dict(self.settings)), build("grid", self.grid)

    def named(self) -> dict[str, object]:
        """Return the parts as a pipeline takes them."""
        return {"sampler": {"use": self.sampler, **dict(self.settings)}, "grid": self.grid}


PARTS = (
    Parts("spline", "angle"),
    Parts("spline", "angle", (("integrations", 1),)),
    Parts("dpmpp-2m", "log-snr"),
    Parts("dpmpp-3m", "log-snr"),
    Parts("unipc", "log-snr"),
    Parts("heun", "log-snr"),
    Parts("ddim", "log-snr"),
)
BEST = "diffusers, the best"
LOOKS = {  # colour, mark, width
    str(parts): (colour, mark, 1.8 if parts == PARTS[0] else 1.0)
    for parts, colour, mark in zip(PARTS, (*COLOURS, FAINT, FAINT), "opsDv^x", strict=True)
} | {BEST: (INK, "", 1.2)}
MIXTURE_SEEDS, MIXTURE_NFE = (1, 2, 3), (5, 7, 10, 14, 20, 28, 40, 56)
CALLS = (4, 8, 16, 32)
FINE = Parts("heun", "log-snr"), 200  # 400 calls of the denoiser or 398, by a sampler that is none of the quickest
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
WORDS = ("red heart", "cat face", "pear", "blue car", "house", "moon", "dog face", "star")

Curve = Mapping[int, float]


class Last:
    """Keeps the latents that a run ends with."""

    every, needs_x0 = 1, False
    x: Tensor | None = None

    def __call__(self, step: SamplingStep) -> None:
        if step.index + 1 == step.steps:
            self.x = step.x.flatten(1).clone()


def spoken(parts: Parts, steps: int, items: int) -> Iterator[tuple[Tensor, int]]:
    """Return the latents of ``spoken-digits`` and their NFE, item by item: digit and speaker as they come."""
    pipeline = audio.load("spoken-digits", steps=steps, **parts.named())
    for item in range(items):
        last, label = Last(), [DIGITS[item % 10], SPEAKERS[item % 6]]
        (made,) = audio.generate(pipeline, label=label, seed=300 + item, observers=[last])
        yield last.x, made.record["nfe"]


def drawn(name: str, wish: Callable[[int], Mapping[str, object]]) -> Callable[..., Iterator[tuple[Tensor, int]]]:
    """Return the same for a model of pictures."""

    def runs(parts: Parts, steps: int, items: int) -> Iterator[tuple[Tensor, int]]:
        pipeline = image.load(name, steps=steps, **parts.named())
        for item in range(items):
            last = Last()
            (made,) = image.generate(pipeline, seed=300 + item, observers=[last], **wish(item))
            yield last.x, made.record["nfe"]

    return runs


MODELS: Mapping[str, Callable[..., Iterator[tuple[Tensor, int]]]] = {
    "spoken-digits": spoken,
    "garments": drawn("garments", lambda item: {}),
    "pictograms": drawn("pictograms", lambda item: {"prompt": WORDS[item % len(WORDS)]}),
}


def on_mixtures(dimension: int) -> dict[str, Curve]:
    """Return the geometric mean over some mixtures of the RMS error of each sampler, at each NFE."""
    problems = [Problem(dimension, seed) for seed in MIXTURE_SEEDS]
    curves: dict[str, Curve] = {}

    def add(name: str, error: Callable[[Problem, int], float]) -> None:
        curves[name] = {nfe: statistics.geometric_mean(error(one, nfe) for one in problems) for nfe in MIXTURE_NFE}
        told(f"{dimension}-D", name, curves[name])

    for parts in PARTS:
        sampler, grid = parts.built()
        add(str(parts), lambda problem, nfe, sampler=sampler, grid=grid: ours(problem, sampler, grid, nfe).rms)
    theirs = diffusers_names()
    if theirs:
        add(BEST, lambda problem, nfe: min(diffusers_errors(problem, one, nfe).rms for one in theirs))
    return curves


def on_model(name: str, items: int) -> dict[str, Curve]:
    """Return the median over items of the distance from the model's fine result, by the NFE that the record tells."""
    runs = MODELS[name]
    fine = torch.cat([latent for latent, _ in runs(*FINE, items)])
    curves: dict[str, Curve] = {}
    for parts in PARTS:
        each = parts.built()[0].nfe_per_step
        curve = {}
        for calls in CALLS:
            steps = calls // each + each - 1  # Heun's first and last step take one call
            latents, nfes = zip(*runs(parts, steps, items), strict=True)
            curve[nfes[0]] = (torch.cat(latents) - fine).square().mean(1).sqrt().median().item()
        curves[str(parts)] = curve
        told(name, str(parts), curve)
    return curves


def told(where: str, name: str, curve: Curve) -> None:
    """Print a curve."""
    print(f"{where:14} {name:36}", *(f"{nfe}: {error:.2g}" for nfe, error in curve.items()), sep="  ", flush=True)


def drawing(axis: Axes, curves: Mapping[str, Curve], title: str) -> None:
    """Draw the curves of one problem."""
    for name, curve in curves.items():
        colour, mark, width = LOOKS[name]
        dashed = "--" if name == BEST else ":" if name == str(PARTS[-1]) else "-"
        axis.loglog(
            *zip(*curve.items(), strict=True),
            color=colour,
            marker=mark,
            markersize=4,
            linestyle=dashed,
            linewidth=width,
            label=name,
        )
    axis.set(xlabel="NFE", title=title)
    ticks = [5, 10, 20, 50] if title.endswith("-D") else [8, 16, 32, 64]
    axis.set_xticks(ticks, labels=map(str, ticks))
    axis.xaxis.set_minor_locator(NullLocator())


def save(path: Path, ylabel: str, panels: Sequence[tuple[str, Mapping[str, Curve]]]) -> None:
    """Draw a figure with a panel for each problem."""
    figure, axes = plt.subplots(1, len(panels), figsize=(9, 4.2), squeeze=False, sharey=True)
    for axis, (title, curves) in zip(axes[0], panels, strict=True):
        drawing(axis, curves, title)
    axes[0][0].set_ylabel(ylabel)
    axes[0][0].set_ylim(top=1.5)  # what lies above is of no use to anyone
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8.5)
    figure.savefig(path, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    print(path.relative_to(DOCS.parent) if path.is_relative_to(DOCS.parent) else path)


def main(arguments: Sequence[str]) -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--items", type=int, default=8, help="of each model")
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--no-mixtures", action="store_true", help="the embedded models only")
    parser.add_argument("--folder", type=Path, default=DOCS / "images", help="where the figures go")
    given = parser.parse_args(arguments)
    plt.switch_backend("Agg")
    torch.set_num_threads(1)  # so that sums are added up in one order
    begun = time.perf_counter()
    given.folder.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(STYLE):
        if not given.no_mixtures:
            panels = []
            for dimension in (2, 64):
                panels.append((f"mixtures of Gaussians, {dimension}-D", on_mixtures(dimension)))
            save(given.folder / "samplers-mixtures.png", "RMS error", panels)
        if given.models:
            panels = [(name, on_model(name, given.items)) for name in given.models]
            save(given.folder / "samplers-models.png", "median distance from the fine result", panels)
    print(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
