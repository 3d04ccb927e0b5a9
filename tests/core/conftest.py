"""What the laws of the mathematics share: parts by name from the registry, a mixture, and its exact trajectories.

A test that asks for ``process``, ``grid``, ``sampler``, ``objective`` or ``guidance`` runs for each built-in part of
that kind: a new part is tested by existing. One that asks for three kinds runs on so many of their combinations that
every two parts meet; ``make soak`` has the others. What a module or a test may say of its parts:

- ``EXAMPLES = True`` takes the example plugin's process and sampler too;
- ``VARIANTS = {"ddim-1": ("sampler", "ddim", {"eta": 1.0})}`` takes a part with other settings as one more part;
- ``@pytest.mark.only(sampler=stochastic)`` leaves out the parts of a kind of which ``stochastic(part)`` does not hold.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import ModuleType
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


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "only(kind=function): the parts of a kind of which the function holds")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    kinds = [kind for kind in KINDS if f"{kind}_name" in metafunc.fixturenames]
    if not kinds:
        return
    parts = {kind: names_of(kind, metafunc) for kind in kinds}
    rows = [pytest.param(*row) for row in covering(parts)]
    if "soak" in metafunc.config.option.markexpr:
        others = set(product(*parts.values())) - set(covering(parts))
        rows += [pytest.param(*row, marks=pytest.mark.soak) for row in sorted(others)]
    metafunc.parametrize([f"{kind}_name" for kind in kinds], rows)


def names_of(kind: str, metafunc: pytest.Metafunc) -> list[str]:
    """Return the names of the parts of a kind that a test runs for."""
    module = metafunc.module
    names = [one.name for one in current().plugins.parts(kind) if one.plugin.candidate.builtin]
    names += [EXAMPLES[kind][0]] if getattr(module, "EXAMPLES", False) and kind in EXAMPLES else []
    names += [name for name, (of, *_) in getattr(module, "VARIANTS", {}).items() if of == kind]
    wanted = [mark.kwargs[kind] for mark in metafunc.definition.iter_markers("only") if kind in mark.kwargs]
    return [name for name in names if all(holds(made(kind, name, module)) for holds in wanted)]


def covering(parts: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Return rows, a name of each kind in them, in which every two names of different kinds meet.

    Of up to two kinds that is their product. Of three it is no longer: the one of the fewest names goes round, as in a
    Latin square.
    """
    if len(parts) < 3:
        return list(product(*parts.values()))
    (first, ones), (second, others), (third, few) = sorted(parts.items(), key=lambda item: -len(item[1]))
    rows = [
        {first: one, second: other, third: few[(i + j) % len(few)]}
        for (i, one), (j, other) in product(enumerate(ones), enumerate(others))
    ]
    return [tuple(row[kind] for kind in parts) for row in rows]


@pytest.fixture(scope="session")
def covering_of() -> Callable[[Mapping[str, Sequence[str]]], list[tuple[str, ...]]]:
    """Return the function that chooses the combinations of parts that the tests run on."""
    return covering


def made(kind: str, name: str, module: ModuleType) -> Any:
    """Return a built-in part, one of docs/examples/outsider, or a variant of the test's module."""
    if (variant := getattr(module, "VARIANTS", {}).get(name)) is not None:
        return build(kind, variant[1], **variant[2])
    if name != EXAMPLES.get(kind, (None,))[0]:
        return build(kind, name)
    attribute = EXAMPLES[kind][1]
    path = Path(noiseform.__file__).parent / "docs/examples/outsider/noiseform_outsider" / f"{kind}.py"
    spec = importlib.util.spec_from_file_location(f"example_{kind}", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return getattr(loaded, attribute)()


@pytest.fixture
def process(process_name: str, request: pytest.FixtureRequest) -> CompleteProcess:
    return complete(made("process", process_name, request.module))


@pytest.fixture
def objective(objective_name: str, request: pytest.FixtureRequest):
    return made("objective", objective_name, request.module)


@pytest.fixture
def grid(grid_name: str, request: pytest.FixtureRequest):
    return made("grid", grid_name, request.module)


@pytest.fixture
def sampler(sampler_name: str, request: pytest.FixtureRequest):
    return made("sampler", sampler_name, request.module)


@pytest.fixture
def guidance(guidance_name: str, request: pytest.FixtureRequest):
    return made("guidance", guidance_name, request.module)


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
