"""What the laws of the mathematics share: parts by name from the registry, a mixture, and its exact trajectories.

A test that asks for ``process``, ``grid``, ``sampler``, ``objective`` or ``guidance`` runs once for each built-in part
of that kind: a new part is tested by existing. A module with ``EXAMPLES = True`` takes the example plugin's
process and sampler too.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import noiseform
import numpy as np
import pytest
import torch
from noiseform import GaussianMixture, build
from noiseform.core.diffusion.level import Level
from noiseform.core.diffusion.noise import Draws, Key
from noiseform.core.diffusion.process import CompleteProcess, complete
from noiseform.core.registration.registry import current
from scipy.integrate import solve_ivp
from torch import Tensor

KINDS = ("process", "objective", "grid", "sampler", "guidance")
EXAMPLES = {"process": ("cosine-power", "CosinePower"), "sampler": ("ab2", "AB2")}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for kind in KINDS:
        if f"{kind}_name" in metafunc.fixturenames:
            parts = current().plugins.parts(kind)
            names = [one.name for one in parts if one.plugin.candidate.builtin]
            examples = [EXAMPLES[kind][0]] if getattr(metafunc.module, "EXAMPLES", False) and kind in EXAMPLES else []
            metafunc.parametrize(f"{kind}_name", [*names, *examples])


def made(kind: str, name: str) -> Any:
    """Return a built-in part, or one of docs/examples/outsider."""
    example, attribute = EXAMPLES[kind]
    if name != example:
        return build(kind, name)
    path = Path(noiseform.__file__).parent / "docs/examples/outsider/noiseform_outsider" / f"{kind}.py"
    spec = importlib.util.spec_from_file_location(f"example_{kind}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, attribute)()


@pytest.fixture
def process(process_name: str) -> CompleteProcess:
    return complete(made("process", process_name))


@pytest.fixture
def objective(objective_name: str):
    return build("objective", objective_name)


@pytest.fixture
def grid(grid_name: str):
    return build("grid", grid_name)


@pytest.fixture
def sampler(sampler_name: str):
    return made("sampler", sampler_name)


@pytest.fixture
def guidance(guidance_name: str):
    return build("guidance", guidance_name)


@pytest.fixture
def times() -> Tensor:
    """Times inside (0, 1), at no entry of a table of a thousand."""
    return torch.linspace(0.0123456, 0.9871543, 41, dtype=torch.float64)


@pytest.fixture
def normal() -> Callable[..., Tensor]:
    """Return a function of a shape and a purpose that draws standard normal float64 numbers."""
    draws = Draws()

    def draw(*shape: int, purpose: str = "test") -> Tensor:
        return draws.normal([Key(0)], shape, purpose=purpose, dtype=torch.float64)[0]

    return draw


@pytest.fixture(scope="session")
def mixture() -> GaussianMixture:
    """Three modes in the plane, of about unit variance in all."""
    return GaussianMixture([[-1.0, 0.3], [0.8, -0.6], [0.2, 1.1]], [0.5, 0.6, 0.4], [0.3, 0.4, 0.3])


@dataclass(frozen=True)
class Trajectories:
    """Exact solutions of the probability-flow ODE, one for each row of noise.

    In the angle ``theta = atan(sigma / alpha)`` the ODE of ``y = x / sqrt(alpha**2 + sigma**2)`` is the same for every
    process, ``dy / dtheta = cos(theta) eps - sin(theta) x0``, and smooth from pure noise (pi / 2) to data (0).
    """

    rows: int
    solution: Callable[[float], np.ndarray]

    def at(self, level: Level[float]) -> Tensor:
        """Return x (rows, 2) of every trajectory at a level of any process."""
        y = torch.from_numpy(self.solution(math.atan2(level.sigma, level.alpha)).reshape(self.rows, -1))
        return y * math.hypot(level.alpha, level.sigma)


def solve(mixture: GaussianMixture, rows: int = 24) -> Trajectories:
    start = Draws().normal([Key(0)], (rows, *mixture.shape), purpose="trajectories", dtype=torch.float64)[0]

    def slope(theta: float, flat: np.ndarray) -> np.ndarray:
        cos, sin = math.cos(theta), math.sin(theta)
        level = Level(theta, cos, sin, -sin, cos, 0.0)
        y = torch.from_numpy(flat.reshape(rows, -1))
        eps = -sin * mixture.score(y, level)  # not (y - alpha x0) / sigma, which has no value at sigma = 0
        return (cos * eps - sin * mixture(y, level)).numpy().ravel()

    flat, span = start.numpy().ravel(), (math.pi / 2, 0)
    solved = solve_ivp(slope, span, flat, method="DOP853", rtol=1e-12, atol=1e-13, dense_output=True)
    return Trajectories(rows, solved.sol)


@pytest.fixture(scope="session")
def trajectories_of() -> Callable[[GaussianMixture], Trajectories]:
    """Return a function that solves the probability-flow ODE of a mixture, by a method of order 8 of scipy's."""
    return solve


@pytest.fixture(scope="session")
def trajectories(mixture: GaussianMixture) -> Trajectories:
    return solve(mixture)
