"""What the pages of the docs need in order to be run: small recordings, models in the place of the embedded ones."""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import noiseform
import pytest
import soundfile
import torch
from noiseform.core.cli.main import main
from noiseform.core.registration import installed
from noiseform.core.registration.registry import use_registry
from noiseform.modalities.image.picture import Image
from noiseform.modalities.video.film import Video

ROOT = Path(noiseform.__file__).resolve().parent
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")

STAND_IN = f"""
modality = "audio"
media = {{ sample_rate = 8000, seconds = 0.1 }}
[[stages]]
process = {{ use = "flow" }}
objective = {{ use = "velocity" }}
network = {{ use = "unet-1d", channels = [8], blocks = 1, head_width = 8, patch = 8 }}
codec = {{ use = "identity" }}
conditioners = [
  {{ use = "labels", names = {list(DIGITS)}, width = 8 }},
  {{ use = "labels", names = {list(SPEAKERS)}, width = 8 }},
]
guidance = {{ use = "cfg", scale = 2.0 }}
steps = 4
[data]
labels = "none"
[training]
steps = 2
batch_size = 2
sample_every = 0
"""


GARMENTS = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")

GARMENTS_STAND_IN = f"""
modality = "image"
media = {{ height = 8, width = 8, channels = 1 }}
[[stages]]
process = {{ use = "flow" }}
objective = {{ use = "velocity" }}
network = {{ use = "unet-2d", channels = [8], blocks = 1, head_width = 8, patch = 4 }}
conditioners = [{{ use = "labels", names = {list(GARMENTS)}, width = 8 }}]
steps = 4
[data]
labels = "none"
[training]
steps = 2
batch_size = 2
sample_every = 0
"""


FILMS_STAND_IN = """
modality = "video"
media = { height = 16, width = 16, frames = 4, fps = 8 }
[[stages]]
process = { use = "flow" }
objective = { use = "velocity" }
network = { use = "dit", rank = 3, width = 16, depth = 1, heads = 2, patch = 4 }
conditioners = [{ use = "labels", names = ["apple", "pear"], width = 8 }]
steps = 4
[training]
steps = 2
batch_size = 2
sample_every = 0
"""


def script(name: str) -> ModuleType:
    """Import a script of the docs by its path."""
    path = ROOT / "docs" / name
    spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with recordings, pictures and films, and three models that saw them twice.

    ``recordings`` are some tones in two folders, ``fashion_mnist`` pictures of nothing in IDX files, ``films`` noise,
    ``noto_emoji`` plain pictures with captions.
    """
    folder = tmp_path_factory.mktemp("materials")
    for number, direction in ((0, "down"), (1, "up"), (2, "down"), (3, "up")):
        time = torch.arange(4000) / 8000
        place = folder / "recordings" / direction
        place.mkdir(parents=True, exist_ok=True)
        sound = 0.5 * torch.sin(2 * math.pi * (300 + 100 * number) * time)
        soundfile.write(place / f"{number}_{SPEAKERS[number]}_{10 + number}.wav", sound.numpy(), 8000)
    idx = folder / "fashion_mnist"
    idx.mkdir()
    count, labels = (40).to_bytes(4), bytes([*range(10)] * 4)
    pixels = bytes(place % 256 for place in range(40 * 28 * 28))
    (idx / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + count + (28).to_bytes(4) * 2 + pixels)
    (idx / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + count + labels)
    for number, fruit in enumerate(("apple", "pear")):
        (folder / "films" / fruit).mkdir(parents=True)
        noise = torch.rand(10, 3, 40, 40, generator=torch.Generator().manual_seed(number))
        Video(noise, 8.0).save(folder / "films" / fruit / "a.mp4")
    (folder / "noto_emoji").mkdir()
    for number in range(4):
        Image(torch.full((3, 8, 8), number / 4)).save(folder / "noto_emoji" / f"emoji_{number}.webp")
    captions = "".join(f"emoji_{number}.webp,grey {number}\n" for number in range(4))
    (folder / "noto_emoji" / "captions.csv").write_text(f"file,caption\n{captions}")
    (folder / "stand-in.toml").write_text(STAND_IN)
    soundfile.write(folder / "telephone.wav", 0.3 * torch.sin(torch.arange(2000) / 3).numpy(), 4000)
    (folder / "four.toml").write_text(
        STAND_IN.replace("sample_rate = 8000, seconds = 0.1", "sample_rate = 4000, seconds = 0.2")
    )
    (folder / "garments.toml").write_text(GARMENTS_STAND_IN)
    (folder / "fruit.toml").write_text(FILMS_STAND_IN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOISEFORM_MALLOC", "0")
        recipe, recordings = str(folder / "stand-in.toml"), str(folder / "recordings")
        assert main(["train", recipe, "--data", recordings, "-o", str(folder / "model"), "--quiet"]) == 0
        recipe, run = str(folder / "four.toml"), str(folder / "runs" / "four")
        assert main(["train", recipe, "--data", recordings, "-o", run, "--quiet"]) == 0
        recipe, run = str(folder / "garments.toml"), str(folder / "runs" / "garments")
        assert main(["train", recipe, "--data", str(idx), "-o", run, "--quiet"]) == 0
        recipe, run = str(folder / "fruit.toml"), str(folder / "runs" / "fruit")
        assert main(["train", recipe, "--data", str(folder / "films"), "-o", run, "--quiet"]) == 0
    return folder


@pytest.fixture
def place(materials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder of a reader: the repository's docs and plugins, and recordings."""
    here = tmp_path / "here"
    here.mkdir()
    for name in ("docs", "plugins"):
        (here / name).symlink_to(ROOT / name)
    for name in ("recordings", "fashion_mnist", "films", "noto_emoji", "model", "runs"):
        shutil.copytree(materials / name, here / name)
    shutil.copy(materials / "telephone.wav", here)
    (here / "takes").mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("NOISEFORM_MALLOC", "0")  # of the command line's own process, which this is not
    return here


@pytest.fixture
def stand_ins(materials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put quick untrained models under the names of the embedded ones."""
    table = STAND_IN.partition("[data]")[0].partition("[[stages]]")
    lines = ['[defaults]\naudio = "spoken-digits"']
    for name in ("spoken-digits", "spoken-digits-cascade"):
        lines += [f'[pipelines.{name}]\nweights = "{materials / "model"}"', table[0]]
        lines += [f"[[pipelines.{name}.stages]]", table[2]]
    file = tmp_path / "stand-ins.toml"
    file.write_text("\n".join(lines))
    monkeypatch.setenv("NOISEFORM_REGISTRY", str(file))
    use_registry(None)


@pytest.fixture
def install_example(site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Return a function that has a project of docs/examples found as if it were installed, and gives its folder."""
    modules: list[str] = []

    def install(name: str) -> Path:
        folder = ROOT / "docs" / "examples" / name
        told = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        if told["name"] not in modules:
            modules.extend((told["name"], told["name"].replace("-", "_")))
            monkeypatch.syspath_prepend(str(folder))
            points = told["entry-points"]["noiseform"]
            site.add(told["name"], {}, version=told["version"], entry_points=points, requires=told["dependencies"])
        return folder

    yield install
    for name in [name for name in sys.modules if name.startswith(tuple(modules) or "-")]:
        del sys.modules[name]
    installed._scan.cache_clear()


@pytest.fixture
def outsider(install_example: Callable[[str], Path]) -> Path:
    """Have the example of every kind found as if it were installed."""
    return install_example("outsider")


def environment(site_folder: Path, above: Path) -> dict[str, str]:
    """Return that of a process which sees what this one has installed, and this checkout under the package's name."""
    if not above.exists():
        above.mkdir()
        (above / "noiseform").symlink_to(ROOT)
    examples = [path for path in sys.path if path.startswith(str(ROOT / "docs" / "examples"))]
    path = os.pathsep.join(map(str, [above, site_folder, *examples]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
