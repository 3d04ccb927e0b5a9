"""Plugins outside the repository, installed with pip: one that works, one that is broken, two that claim one name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PROJECT = """
    [build-system]
    requires = ["setuptools"]
    build-backend = "setuptools.build_meta"
    [project]
    name = "{name}"
    version = "{version}"
    [project.entry-points.noiseform]
    {entry} = "{module}"
    [tool.setuptools]
    py-modules = [{modules}]
"""

TRIO = """
    from noiseform import hookimpl

    @hookimpl
    def noiseform_samplers():
        return {"midpoint": "trio_parts:Midpoint"}

    @hookimpl
    def noiseform_processes():
        return {"straight": "trio_parts:Straight"}

    @hookimpl
    def noiseform_networks():
        return {"line": "trio_parts:Line"}
"""

TRIO_PARTS = """
    import torch
    from torch import nn

    class Straight:
        '''x_t = (1 - t) x0 + t eps.'''

        def alpha(self, t): return 1 - t
        def sigma(self, t): return t

    class Midpoint:
        '''Euler's step, for the sake of the example.'''

        order, stochastic, nfe_per_step = 1, False, 1

        def init(self, x): return None

        def step(self, x, here, next, denoise, noise, state):
            x0 = denoise(x, here)
            eps = (x - here.alpha * x0) / here.sigma
            return next.alpha * x0 + next.sigma * eps, state

    class Line(nn.Module):
        '''One convolution.'''

        item_ndim = 1

        def __init__(self, width: int = 3, *, channels_in: int, channels_out: int) -> None:
            super().__init__()
            self.layer = nn.Conv1d(channels_in, channels_out, width, padding="same")

        def forward(self, x, time, cond): return self.layer(x)
"""

CLAIM = """
    from noiseform import hookimpl

    @hookimpl
    def noiseform_samplers():
        return {"twice": "trio_parts:Midpoint"}
"""

USE = """
    import torch
    from noiseform import build, sample
    from noiseform.core.registration.build import build_part

    process, sampler = build("process", "straight"), build("sampler", "scratch-trio/midpoint")
    x0 = sample(lambda x, level: torch.zeros_like(x), process=process, sampler=sampler, grid=build("grid", "uniform"),
                steps=4, shape=(2,), seeds=[0, 1], dtype=torch.float64)
    assert x0.shape == (2, 2) and x0.abs().max() < 1e-12
    network = build_part({"use": "line", "width": 5}, "network", channels_in=1, channels_out=1, vector_width=0)
    assert network.layer.kernel_size == (5,)
"""


def write_project(folder: Path, name: str, version: str, modules: dict[str, str]) -> str:
    """Write a project with those modules, the first one its entry point; return its folder."""
    folder /= name
    folder.mkdir()
    first, *_ = modules
    listed = ", ".join(f'"{module}"' for module in modules)
    project = PROJECT.format(name=name, version=version, entry=name, module=first, modules=listed)
    (folder / "pyproject.toml").write_text(textwrap.dedent(project))
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(textwrap.dedent(source))
    return str(folder)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give an environment in which scratch plugins are installed."""
    sources, target = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("installed")
    projects = [
        write_project(sources, "scratch-trio", "1.2", {"trio": TRIO, "trio_parts": TRIO_PARTS}),
        write_project(sources, "scratch-broken", "0.3", {"broken": "raise OSError('libc10_cuda.so: cannot open')"}),
        write_project(sources, "scratch-left", "1.0", {"left": CLAIM}),
        write_project(sources, "scratch-right", "2.0", {"right": CLAIM}),
    ]
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", str(target), *projects]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return {**os.environ, "PYTHONPATH": str(target)}


def noiseform(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "noiseform.core.cli.main", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_parts_are_listed_with_their_distribution(environment):
    parts = {part["name"]: part for part in json.loads(noiseform(environment, "list", "--json").stdout)}
    for name in ("midpoint", "straight", "line"):
        assert (parts[name]["distribution"], parts[name]["version"]) == ("scratch-trio", "1.2")
    shown = noiseform(environment, "show", "network/line").stdout
    assert "integer" in shown
    assert "scratch-trio" in shown


def test_parts_are_used_by_name(environment):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(USE)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_broken_one_is_set_aside(environment):
    plugins = {
        plugin["name"]: plugin for plugin in json.loads(noiseform(environment, "plugins", "list", "--json").stdout)
    }
    assert plugins["scratch-broken"]["state"] == "set aside"
    assert "libc10_cuda.so" in plugins["scratch-broken"]["reason"]
    assert plugins["scratch-trio"]["state"] == "loaded"
    done = noiseform(environment, "show", "sampler/scratch-broken/x")
    assert done.returncode == 5
    assert done.stderr.count("\n") == 1


def test_claimed_twice(environment):
    done = noiseform(environment, "show", "sampler/twice")
    assert done.returncode == 5
    assert "scratch-left 1.0" in done.stderr
    assert "scratch-right 2.0" in done.stderr
    assert noiseform(environment, "show", "sampler/scratch-right/twice").returncode == 0
    alone = {**environment, "NOISEFORM_PLUGINS": "scratch-trio,scratch-left"}
    assert noiseform(alone, "show", "sampler/twice").returncode == 0
