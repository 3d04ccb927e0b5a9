"""Shapes given by formulas, of random proportions, with points spread evenly over them. The third axis points up."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

__all__ = ["SHAPES", "shape"]

ROUGHNESS = 0.01
"""Standard deviation of the noise that is added to each coordinate, as a scanner would."""

REACH = 0.98
"""No point lies farther out along an axis."""


def shape(name: str, count: int, seed: int) -> Tensor:
    """Return a cloud (3, count) on a shape of random proportions, turned about the vertical axis, a little rough.

    Args:
        name: one of ``SHAPES``.
        count: number of points, drawn evenly by area (by length on a helix).
        seed: of its proportions, its turn and its points.
    """
    random = torch.Generator().manual_seed(seed)
    points = SHAPES[name](count, random)
    turn = _between(0, 2 * math.pi, random)
    x, y, z = points
    turned = torch.stack([x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn), z])
    return (turned + ROUGHNESS * torch.randn(turned.shape, generator=random)).clamp(-REACH, REACH)


def _between(low: float, high: float, random: Generator) -> float:
    return low + (high - low) * torch.rand((), generator=random).item()


def _sphere(count: int, random: Generator) -> Tensor:
    points = torch.randn(3, count, generator=random)
    return _between(0.5, 0.85, random) * points / points.norm(dim=0)


def _torus(count: int, random: Generator) -> Tensor:
    ring, tube = _between(0.45, 0.62, random), _between(0.12, 0.25, random)
    # The outer half of the tube has more area than the inner: draw more than needed, and keep by the local radius.
    across, along, chance = (torch.rand(4 * count, generator=random) for _ in range(3))
    across, along = 2 * math.pi * across, 2 * math.pi * along
    radius = ring + tube * torch.cos(across)
    kept = (chance * (ring + tube) < radius).nonzero().flatten()[:count]  # at least half are: 4 times is plenty
    radius, across, along = radius[kept], across[kept], along[kept]
    return torch.stack([radius * torch.cos(along), radius * torch.sin(along), tube * torch.sin(across)])


def _box(count: int, random: Generator) -> Tensor:
    halves = [_between(0.35, 0.65, random) for _ in range(3)]
    return _boxes([(halves, (0.0, 0.0, 0.0))], count, random)


def _table(count: int, random: Generator) -> Tensor:
    wide, deep, high = _between(0.5, 0.65, random), _between(0.35, 0.6, random), _between(0.35, 0.6, random)
    leg, plate = 0.05, 0.04
    boxes = [([wide, deep, plate], (0.0, 0.0, high))]
    for right in (-1, 1):
        for back in (-1, 1):
            boxes.append(([leg, leg, high], (right * (wide - leg), back * (deep - leg), 0.0)))
    return _boxes(boxes, count, random)


def _boxes(
    boxes: Sequence[tuple[Sequence[float], tuple[float, float, float]]], count: int, random: Generator
) -> Tensor:
    """Return points on the faces of boxes, each given by half its sides and its middle."""
    halves = torch.tensor([list(half) for half, _ in boxes])
    middles = torch.tensor([list(middle) for _, middle in boxes])
    areas = torch.stack([halves[:, (axis + 1) % 3] * halves[:, (axis + 2) % 3] for axis in range(3)], 1)
    drawn = torch.multinomial(areas.flatten(), count, replacement=True, generator=random)
    box, axis = drawn // 3, drawn % 3
    places = 2 * torch.rand(count, 3, generator=random) - 1
    sides = torch.randint(0, 2, (count,), generator=random) * 2.0 - 1
    places[torch.arange(count), axis] = sides
    return (places * halves[box] + middles[box]).T


def _round(outline: Sequence[tuple[float, float]], count: int, random: Generator) -> Tensor:
    """Return points on what an outline of (radius, height) makes when it turns about the vertical axis."""
    radius, height = (torch.tensor(values) for values in zip(*outline, strict=True))
    slant = torch.hypot(radius.diff(), height.diff())
    areas = slant * (radius[1:] + radius[:-1])
    piece = torch.multinomial(areas, count, replacement=True, generator=random)
    first, last = radius[piece], radius[piece + 1]
    # The radius along a piece grows by a line, so the share of the area below it by a square.
    chance = torch.rand(count, generator=random)
    here = torch.sqrt(first**2 + chance * (last**2 - first**2))
    flat = (last - first).abs() < 1e-6
    share = torch.where(flat, chance, (here - first) / torch.where(flat, torch.ones(()), last - first))
    up = height[piece] + share * (height[piece + 1] - height[piece])
    turn = 2 * math.pi * torch.rand(count, generator=random)
    return torch.stack([here * torch.cos(turn), here * torch.sin(turn), up])


def _cone(count: int, random: Generator) -> Tensor:
    radius, half = _between(0.4, 0.7, random), _between(0.4, 0.8, random)
    return _round([(0.0, -half), (radius, -half), (0.0, half)], count, random)


def _cylinder(count: int, random: Generator) -> Tensor:
    radius, half = _between(0.25, 0.5, random), _between(0.45, 0.8, random)
    return _round([(0.0, -half), (radius, -half), (radius, half), (0.0, half)], count, random)


def _helix(count: int, random: Generator) -> Tensor:
    radius, half, turns = _between(0.4, 0.65, random), _between(0.5, 0.8, random), _between(2, 3.5, random)
    place = 2 * torch.rand(count, generator=random) - 1
    turn = math.pi * turns * place
    return torch.stack([radius * torch.cos(turn), radius * torch.sin(turn), half * place])


SHAPES: dict[str, Callable[[int, Generator], Tensor]] = {
    "box": _box,
    "cone": _cone,
    "cylinder": _cylinder,
    "helix": _helix,
    "sphere": _sphere,
    "table": _table,
    "torus": _torus,
}
"""What is drawn, by its name."""
