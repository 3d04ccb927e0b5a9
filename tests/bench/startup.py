"""Seconds until everything is imported that ``generate`` needs, in fresh processes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator

from timing import Row, ratio, rounds_of, row

__all__ = ["startup"]

GENERATE = """
from noiseform.core.cli import generate
from noiseform.core.machine.memory import uncollected
with uncollected():
    from noiseform.core.diffusion import noise, verbs
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


def startup(rounds: int) -> Iterator[Row]:
    """Measure ``import torch``, what ``generate`` imports, the same of diffusers, and what needs no torch."""
    programs = {
        "python": "pass",
        "import torch": "import torch",
        "what generate imports": GENERATE,
        "import noiseform": "import noiseform",
        "noiseform --help": "from noiseform.core.cli.main import main; main(['--help'])",
    }
    if importlib.util.find_spec("diffusers"):
        programs["diffusers.DDIMPipeline"] = "from diffusers import DDIMPipeline"

    def run(program: str) -> object:
        return lambda: subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)

    taken = rounds_of({name: run(program) for name, program in programs.items()}, rounds=rounds, warm=1)
    for name, seconds in taken.items():
        more: dict[str, object] = {}
        if name in ("what generate imports", "diffusers.DDIMPipeline"):
            more = {"ratio": ratio(taken, name, "import torch"), "reference": "import torch"}
        if name == "what generate imports":
            more |= {"goal": "<= 1.1", "met": more["ratio"] <= 1.1}
        yield row("start", name, seconds, "s", **more)
