"""Registries that were damaged at random: each is either read or refused in one line, and no code of theirs runs."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import noiseform
from noiseform.core.errors import ConfigError
from noiseform.core.registration.config import PipelineConfig, checked
from noiseform.core.registration.registry_layer import Layer, check_layer, merged, section
from noiseform.core.registration.toml_file import read_toml

MUTANTS = 2000
PIPELINE = """
[pipelines.p]
modality = "audio"
summary = "a 'sound' # of\\nsorts"
weights = "noiseform.plugins.p:weights"
media = { sample_rate = 8000, seconds = 0.75 }
[[pipelines.p.stages]]
name = "base"
process = { use = "vp-cosine" }
objective = { use = "v", weighting = "min-snr" }
network = { use = "unet-1d", channels = [64, 128,
    256] }
conditioners = [{ use = "labels", names = ["zero", "one"] }]
steps = 20
[pipelines.p.stages.guidance]
use = "cfg"
scale = 2.0
"""
PIECES = [
    b'"',
    b"'",
    b"[",
    b"]",
    b"{",
    b"}",
    b"=",
    b".",
    b"\n",
    b"\r",
    b"#",
    b"\0",
    b"\xff",
    b"nan",
    b"1e999",
    b"[[",
    b'"""',
]


def mutant(text: bytes, draw: random.Random) -> bytes:
    """Return the text with a few bytes flipped, deleted, repeated or replaced."""
    data = bytearray(text)
    for _ in range(draw.randint(1, 4)):
        at, size = draw.randrange(len(data)), draw.randint(0, 12)
        match draw.randrange(4):
            case 0:
                data[at] ^= 1 << draw.randrange(8)
            case 1:
                del data[at : at + size]
            case 2:
                data[at:at] = data[at : at + size] * draw.randint(1, 50)
            case _:
                data[at : at + size] = draw.choice(PIECES)
    return bytes(data)


def judge(path: Path) -> None:
    """Do with a registry file everything that can be done without running code that it names."""
    file = read_toml(path)
    file.line(("no", "such", "key"))
    layer = Layer("file", file.table, file)
    check_layer(layer)
    for name, table in section(merged([file.table]), "pipelines").items():
        root = ("pipelines", name)
        checked(PipelineConfig, table, what=name, where=lambda key, root=root: str(layer.origin((*root, *key))))


def test_damaged_registries(tmp_path: Path) -> None:
    good = Path(str(noiseform.__file__)).parent.joinpath("registry.toml").read_bytes() + PIPELINE.encode()
    draw, path, refused = random.Random(0), tmp_path / "registry.toml", 0
    loaded = set(sys.modules)
    for _ in range(MUTANTS):
        path.write_bytes(mutant(good, draw))
        try:
            judge(path)
        except ConfigError:
            refused += 1
    assert set(sys.modules) == loaded
    print(f"damaged registries: {MUTANTS} tried, {refused} refused, 0 failed")
    assert refused > MUTANTS // 4
