"""Seconds until everything is imported that ``generate`` needs, and until ``list`` has listed, in fresh processes."""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from timing import Row, ratio, rounds_of, row

__all__ = ["startup"]

PLUGINS = 50
HOOKS = """
from noiseform import hookimpl


@hookimpl
def noiseform_samplers():
    return {{"sampler-{0}": "bench_plugin_{0}_parts:Sampler"}}


@hookimpl
def noiseform_grids():
    return {{"grid-{0}": "bench_plugin_{0}_parts:Grid"}}
"""

GENERATE = """
from noiseform.core.cli import generate
from noiseform.core.machine.memory import uncollected
with uncollected():
    from noiseform.core.diffusion import noise
    from noiseform.core.verbs import requests, verbs
from noiseform.core.pipeline import pipeline
from noiseform.core.cli import progress
from noiseform.core.registration.registry import current
registry = current()
plugins = registry.plugins
plugins.find("modality", "audio").load()
if "audio" in registry.defaults:
    config = registry.pipeline(registry.defaults["audio"])
    for stage in config.stages:
        for kind in ("process", "objective", "network", "codec", "guidance", "sampler", "grid"):
            plugins.find(kind, getattr(stage, kind).use).load()
        for one in stage.conditioners:
            plugins.find("conditioner", one.use).load()
"""


def add_plugins(folder: Path, count: int) -> None:
    """Install so many plugins into a folder, as pip would: metadata, entry point and module of each."""
    for number in range(count):
        (folder / f"bench_plugin_{number}.py").write_text(HOOKS.format(number))
        (folder / f"bench_plugin_{number}_parts.py").write_text("raise ImportError('imported by a listing')")
        info = folder / f"bench_plugin_{number}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: bench-plugin-{number}\nVersion: 1.0\nRequires-Dist: noiseform>=0.1,<0.2\n"
        )
        (info / "entry_points.txt").write_text(f"[noiseform]\nbench-{number} = bench_plugin_{number}\n")


def startup(rounds: int) -> Iterator[Row]:
    """Measure ``import torch``, what ``generate`` imports, the same of diffusers, and what needs no torch."""
    listing = "from noiseform.core.cli.main import main; main(['list'])"
    programs = {
        "python": "pass",
        "import torch": "import torch",
        "what generate imports": GENERATE,
        "import noiseform": "import noiseform",
        "noiseform --help": "from noiseform.core.cli.main import main; main(['--help'])",
        "noiseform list": listing,
        f"noiseform list, {PLUGINS} plugins": listing,
    }
    if importlib.util.find_spec("diffusers"):
        programs["diffusers.DDIMPipeline"] = "from diffusers import DDIMPipeline"

    with tempfile.TemporaryDirectory() as folder:
        add_plugins(Path(folder), PLUGINS)
        crowded = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))

        def run(name: str, program: str) -> object:
            environment = {**os.environ, "PYTHONPATH": crowded} if "plugins" in name else None
            command = [sys.executable, "-c", program]
            return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)

        taken = rounds_of({name: run(name, program) for name, program in programs.items()}, rounds=rounds, warm=1)
    for name, seconds in taken.items():
        more: dict[str, object] = {}
        if name in ("what generate imports", "diffusers.DDIMPipeline"):
            more = {"ratio": ratio(taken, name, "import torch"), "reference": "import torch"}
        if name == "what generate imports":
            more |= {"goal": "<= 1.1", "met": more["ratio"] <= 1.1}
        if "plugins" in name:
            more = {"goal": "< 0.2 s", "met": statistics.median(seconds) < 0.2}
        yield row("start", name, seconds, "s", **more)
