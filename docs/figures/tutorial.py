"""Draw the figures of the tutorial from what its own code blocks computed: ``python docs/figures/tutorial.py``.

The same figures come out at every run on one machine; on another the network's weights may differ in the last digits.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

DOCS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DOCS))
from blocks import run  # noqa: E402

INK, FAINT = "#26243a", "#8a8799"
COLOURS = ("#3b4cc0", "#d1495b", "#2a9d8f", "#e09f3e", "#7b2d8b")
STYLE = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 110,
    "font.size": 9.5,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}
X = torch.linspace(-3.2, 3.2, 401, dtype=torch.float64).reshape(-1, 1)


def main(folder: Path = DOCS / "images") -> None:
    """Run the tutorial and draw its figures into a folder."""
    plt.switch_backend("Agg")
    torch.set_num_threads(1)  # so that sums are added up in one order
    page = run(DOCS / "tutorial.md")
    folder.mkdir(exist_ok=True)
    drawings = {
        "forward": forward,
        "denoiser": denoiser,
        "training": training,
        "samples": samples,
        "error": error,
    }
    with plt.rc_context(STYLE):
        for name, draw in drawings.items():
            path = folder / f"tutorial-{name}.png"
            figure = draw(page)
            figure.savefig(path, bbox_inches="tight", metadata={"Software": None})
            plt.close(figure)
            print(path.relative_to(DOCS.parent) if path.is_relative_to(DOCS.parent) else path)


def levels(page: Mapping[str, Any], times: torch.Tensor) -> tuple[Any, ...]:
    """Return the levels of the tutorial's process at some times."""
    return page["levels_at"](page["whole"], times)


def forward(page: Mapping[str, Any]) -> Figure:
    """Draw the density over time with paths of the forward SDE, and cuts through it."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), width_ratios=(1.7, 1))
    times = torch.linspace(0, 1, 301, dtype=torch.float64)
    data = page["data"]
    density = torch.stack([data.log_prob(X, level).exp() for level in levels(page, times)], 1)
    # The square root lifts the low densities, which would drown in the peaks of the data.
    left.imshow(density.sqrt().numpy(), origin="lower", aspect="auto", extent=(0, 1, -3.2, 3.2), cmap="magma", vmax=1.1)
    for path in paths(page, times, 5):
        left.plot(times, path, color="white", linewidth=0.8, alpha=0.85)
    left.set(xlabel="time t", ylabel="x", title="density of x$_t$ and five items on their way")
    for t, colour in zip((0.0, 0.1, 0.25, 0.5, 1.0), COLOURS, strict=True):
        (level,) = levels(page, torch.tensor([t]))
        right.plot(X, data.log_prob(X, level).exp(), color=colour, label=f"t = {t:g}")
    right.set(xlabel="x", title="the same at five times", xlim=(-3.2, 3.2), ylim=(0, None))
    right.legend(loc="upper left", bbox_to_anchor=(0.0, 1.0), fontsize=8)
    return figure


def paths(page: Mapping[str, Any], times: torch.Tensor, count: int) -> list[np.ndarray]:
    """Return paths of the forward SDE at some times: exact, since from one time to the next they are Gaussian."""
    draw = torch.Generator().manual_seed(3)
    x = page["x0"][:count]
    found = [x]
    for here, there in pairwise(levels(page, times)):
        kept = there.alpha / here.alpha
        added = there.sigma**2 - (kept * here.sigma) ** 2
        x = kept * x + added**0.5 * torch.randn(x.shape, generator=draw, dtype=torch.float64)
        found.append(x)
    return list(torch.cat(found, 1).numpy())


def denoiser(page: Mapping[str, Any]) -> Figure:
    """Draw the ideal denoiser and the score at several times."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
    x = X[X.abs() < 2.2].reshape(-1, 1)
    for t, colour in zip((0.05, 0.15, 0.4, 0.9), COLOURS, strict=False):
        (level,) = levels(page, torch.tensor([t]))
        left.plot(x, page["data"](x, level), color=colour, label=f"t = {t:g}")
        right.plot(x, page["data"].score(x, level), color=colour, label=f"t = {t:g}")
    left.axline((0, 0), slope=1, color=FAINT, linewidth=0.8, linestyle=":")
    left.set(xlabel="x$_t$", ylabel="E[x$_0$ | x$_t$]", title="the ideal denoiser", ylim=(-1.8, 1.8))
    right.axhline(0, color=FAINT, linewidth=0.8, linestyle=":")
    right.set(xlabel="x$_t$", title="the score, the gradient of log p$_t$", ylim=(-12, 12))
    left.legend()
    return figure


def training(page: Mapping[str, Any]) -> Figure:
    """Draw the loss, and the learnt denoiser over the ideal one."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
    losses = np.array(page["losses"])
    left.plot(losses, color=COLOURS[0], alpha=0.25, linewidth=0.6)
    smooth = np.convolve(losses, np.ones(50) / 50, "valid")
    left.plot(np.arange(len(smooth)) + 49, smooth, color=COLOURS[0])
    left.axhline(ideal_loss(page), color=INK, linewidth=0.9, linestyle="--", label="the ideal denoiser's")
    left.set(xlabel="step", ylabel="loss", title="loss, and its mean over 50 steps", ylim=(0, 1.4))
    left.legend(loc="lower left")
    for t, colour in zip((0.1, 0.4, 0.9), COLOURS, strict=False):
        (level,) = levels(page, torch.tensor([t]))
        with torch.no_grad():
            learnt = page["denoiser"](X.float(), level)
        seen = page["data"].log_prob(X, level).exp().numpy() > 0.005  # elsewhere there was nothing to learn from
        shown = np.where(seen, learnt[:, 0].numpy(), np.nan)
        right.plot(X, page["data"](X, level), color=colour, linewidth=0.9, linestyle="--")
        right.plot(X, shown, color=colour, label=f"t = {t:g}")
    right.set(xlabel="x$_t$", ylabel="E[x$_0$ | x$_t$]", title="learnt (solid) and ideal (dashed)")
    right.set(xlim=(-2.6, 2.6), ylim=(-1.8, 1.8))
    right.legend()
    return figure


def ideal_loss(page: Mapping[str, Any]) -> float:
    """Return the loss of a network that predicts v exactly."""

    def ideal(x: torch.Tensor, time: torch.Tensor, cond: Mapping[str, torch.Tensor]) -> torch.Tensor:
        level = page["level_at"](page["whole"], time)
        x0 = page["data"](x, level)
        alpha, sigma = level.alpha[:, None].to(x), level.sigma[:, None].to(x)
        return alpha * (x - alpha * x0) / sigma - sigma * x0

    draw, count = torch.Generator().manual_seed(1), 20_000
    x0 = page["data"].sample(count, seed=1).float()
    times = page["objective"].times((torch.arange(count) + 0.5) / count, page["whole"])
    eps = torch.randn(x0.shape, generator=draw)
    return float(page["objective"].loss(ideal, page["whole"], x0, times, eps, {}).mean())


def samples(page: Mapping[str, Any]) -> Figure:
    """Draw histograms of what the samplers made, over the true density."""
    made = page["made"]
    figure, axes = plt.subplots(1, len(made), figsize=(9, 2.6), sharey=True)
    truth = page["data"].log_prob(X).exp()
    for axis, ((name, steps), x), colour in zip(axes, made.items(), COLOURS, strict=False):
        axis.hist(x[:, 0].numpy(), bins=np.linspace(-2, 2, 61), density=True, color=colour, alpha=0.55)
        axis.plot(X, truth, color=INK, linewidth=1)
        axis.set(xlabel="x", title=f"{name}, {steps} steps", xlim=(-2, 2))
    axes[0].set_ylabel("density")
    return figure


def error(page: Mapping[str, Any]) -> Figure:
    """Draw the error of the samplers against NFE, on both grids."""
    errors: Mapping[tuple[str, str, int], float] = page["errors"]
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
    for axis, grid in zip(axes, ("log-snr", "uniform"), strict=True):
        for (name, colour), mark in zip(zip(("euler", "heun", "dpmpp-2m"), COLOURS, strict=False), "osv", strict=True):
            points = sorted(
                (nfe, value) for (sampler, on, nfe), value in errors.items() if (sampler, on) == (name, grid)
            )
            axis.loglog(*zip(*points, strict=True), color=colour, marker=mark, markersize=4, label=name)
        slopes(axis)
        axis.set(xlabel="NFE", title=f"grid {grid}")
        axis.set_xticks([4, 8, 16, 32, 64, 128, 256], labels=["4", "8", "16", "32", "64", "128", "256"])
        axis.minorticks_off()
    axes[0].set_ylabel("median error")
    axes[0].legend(loc="lower left")
    return figure


def slopes(axis: Axes) -> None:
    """Draw what order 1 and 2 look like."""
    ends = np.array([24.0, 256.0])
    for order, top in ((1, 0.12), (2, 0.0006)):
        axis.loglog(ends, top * (ends / ends[0]) ** -order, color=FAINT, linewidth=0.8, linestyle=":")
        axis.annotate(f"order {order}", (ends[0], top), color=FAINT, fontsize=8, ha="left", va="bottom")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
