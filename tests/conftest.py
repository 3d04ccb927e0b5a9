"""What every test stands on: no configuration of the machine's user, and plugins that exist for one test only."""

from __future__ import annotations

import signal
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from noiseform.core.cli.main import main
from noiseform.core.registration import installed, plugin_warnings
from noiseform.core.registration.build import build
from noiseform.core.registration.registry import use_registry
from noiseform.core.registration.settings import apply_settings
from noiseform.core.storage.model_folder import load_model_folder, write_model_folder
from noiseform.core.training.recipe import read_recipe
from noiseform.core.training.trainer import train
from noiseform.modalities.audio.clip import Audio
from noiseform.modalities.image.picture import Image
from noiseform.modalities.video.film import Video

# A shell starts what runs in the background with interrupts ignored, and what the tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak: long tests, run by `make soak`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests out, unless they are asked for: ``pytest -m soak``."""
    if "soak" in config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("soak")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.fixture(autouse=True)
def _own_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's registry and environment out of the test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "no-configuration"))
    monkeypatch.delenv("NOISEFORM_PLUGINS", raising=False)
    monkeypatch.delenv("NOISEFORM_REGISTRY", raising=False)
    use_registry(None)
    yield
    use_registry(None)


class Site:
    """A folder on the import path that holds distributions made by hand; nothing is installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(
        self,
        distribution: str,
        modules: Mapping[str, str],
        *,
        version: str = "1.0",
        entry_points: Mapping[str, str] | None = None,
        metadata: str | None = None,
        requires: Sequence[str] = (),
    ) -> None:
        """Add a distribution whose entry point is its first module, unless said otherwise."""
        for name, source in modules.items():
            (self.folder / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
        text = (
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n{needs}"
            if metadata is None
            else metadata
        )
        (info / "METADATA").write_text(text, encoding="utf-8")
        points = entry_points if entry_points is not None else {distribution: next(iter(modules))}
        lines = "".join(f"{name} = {target}\n" for name, target in points.items())
        (info / "entry_points.txt").write_text(f"[noiseform]\n{lines}", encoding="utf-8")
        self.forget()

    def forget(self) -> None:
        """Have the next use of noiseform look again."""
        installed._scan.cache_clear()
        plugin_warnings._told.clear()
        use_registry(None)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Give a folder on the import path for plugins of this test; what they import is forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield Site(folder)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
    installed._scan.cache_clear()


@pytest.fixture
def trained_as(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that copies a model folder as if these settings had been its recipe's."""

    def copied(folder: Path, *settings: str) -> Path:
        model, weights = load_model_folder(folder)
        copy = tmp_path_factory.mktemp("trained-as") / folder.name
        write_model_folder(copy, apply_settings(model.pipeline, settings), weights, model.parts, model.facts)
        return copy

    return copied


TINY = """\
modality = "audio"
summary = "three tones"
[media]
sample_rate = 1000
seconds = 0.064
[[stages]]
process = { use = "flow" }
objective = { use = "velocity" }
network = { use = "unet-1d", channels = [8, 8], blocks = 1, head_width = 8, embedding = 16 }
codec = { use = "identity", scale = 4.0 }
conditioners = [{ use = "labels", names = ["low", "middle", "high"], width = 8 }]
guidance = { use = "cfg", scale = 2.0 }
steps = 4
[training]
steps = 40
batch_size = 4
warmup = 5
ema = 0.9
checkpoint_every = 20
sample_every = 0
samples = 3
"""
"""A recipe whose training takes a second: three tones of 64 samples."""

TONES = {"low": 40.0, "middle": 100.0, "high": 200.0}


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of twelve short tones, in a folder for each label."""
    folder = tmp_path_factory.mktemp("tones")
    time = torch.arange(64) / 1000
    for label, hertz in TONES.items():
        (folder / label).mkdir()
        for take in range(4):
            wave = 0.7 * torch.sin(2 * torch.pi * hertz * time + take)
            Audio(wave[None], 1000).save(folder / label / f"{take}.wav")
    return folder


@pytest.fixture
def tiny_recipe(tmp_path: Path) -> Path:
    """Give the file of the tiny recipe, for the test to change."""
    path = tmp_path / "recipe.toml"
    path.write_text(TINY, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tones: Path) -> Path:
    """Give a model folder, made by the command line; tests only read it."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "recipe.toml").write_text(TINY, encoding="utf-8")
    run = folder / "three-tones"
    assert main(["train", str(folder / "recipe.toml"), "--data", str(tones), "-o", str(run), "--quiet"]) == 0
    return run


@pytest.fixture(scope="session")
def losses_of() -> Callable[..., list[float]]:
    """Return a function that trains a recipe as the command line does, and gives the loss of each step."""

    def trained(recipe: Path, data: Path, folder: Path, *settings: str, **wishes: object) -> list[float]:
        wanted = read_recipe(recipe, settings=settings)
        modality = build("modality", wanted.modality)
        items = modality.dataset(data, modality.spec(wanted.media), wanted.data)
        losses: list[float] = []
        train(wanted, items, modality, folder, observers=(lambda step: losses.append(step.loss),), **wishes)
        return losses

    return trained


OF_TONES = """\
modality = "audio"
[media]
sample_rate = 1000
seconds = 0.064
"""


@pytest.fixture(scope="session")
def tiny_codec() -> str:
    """Give a recipe of a codec of the tones, to which a test adds how it is trained."""
    return (
        OF_TONES
        + """\
[codec]
use = "kl-vae"
channels = [16, 24]
latent_channels = 4
[loss]
adversarial = 0.1
discriminator = 8
"""
    )


@pytest.fixture(scope="session")
def tiny_classifier() -> str:
    """Give a recipe of a classifier of the tones, to which a test adds how it is trained."""
    return (
        OF_TONES
        + """\
[classifier]
process = { use = "flow" }
network = { use = "unet-1d", channels = [8, 8], blocks = 1, head_width = 8, embedding = 16 }
codec = { use = "identity", scale = 4.0 }
names = ["low", "middle", "high"]
"""
    )


TINY_PICTURES = """\
modality = "image"
summary = "three patterns"
[media]
height = 8
width = 8
[[stages]]
process = { use = "flow" }
objective = { use = "velocity" }
network = { use = "unet-2d", channels = [8, 8], blocks = 1, head_width = 8, embedding = 16 }
conditioners = [{ use = "labels", names = ["rows", "columns", "board"], width = 8 }]
guidance = { use = "cfg", scale = 2.0 }
steps = 4
[data]
flip = true
[training]
steps = 40
batch_size = 4
warmup = 5
ema = 0.9
checkpoint_every = 20
sample_every = 20
samples = 3
"""
"""A recipe whose training takes a second or two: three patterns of 8 by 8 pixels in colour."""


@pytest.fixture(scope="session")
def patterns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of twelve tiny pictures, in a folder for each label."""
    folder = tmp_path_factory.mktemp("patterns")
    row, column = torch.meshgrid(torch.arange(8), torch.arange(12), indexing="ij")
    for label, on in (("rows", row % 2), ("columns", column % 2), ("board", (row + column) % 2)):
        (folder / label).mkdir()
        for take in range(4):
            colour = torch.tensor([1.0, take / 4, 0.5])[:, None, None]
            Image(on * colour).save(folder / label / f"{take}.{('png', 'webp')[take % 2]}")
    return folder


@pytest.fixture(scope="session")
def tiny_image_model(tmp_path_factory: pytest.TempPathFactory, patterns: Path) -> Path:
    """Give a model folder for pictures, made by the command line; tests only read it."""
    folder = tmp_path_factory.mktemp("tiny-image")
    (folder / "recipe.toml").write_text(TINY_PICTURES, encoding="utf-8")
    run = folder / "three-patterns"
    assert main(["train", str(folder / "recipe.toml"), "--data", str(patterns), "-o", str(run), "--quiet"]) == 0
    return run


TINY_FILMS = """\
modality = "video"
summary = "two ways to move"
[media]
height = 16
width = 16
frames = 4
fps = 8
[[stages]]
process = { use = "flow" }
objective = { use = "velocity" }
network = { use = "dit", rank = 3, width = 16, depth = 1, heads = 2, patch = 4 }
conditioners = [{ use = "labels", names = ["down", "right"], width = 16 }]
guidance = { use = "cfg", scale = 2.0 }
steps = 4
[data]
flip = false
[training]
steps = 20
batch_size = 2
warmup = 5
ema = 0.9
checkpoint_every = 20
sample_every = 20
samples = 2
"""
"""A recipe whose training takes a second or two: clips of four frames of 16 by 16 pixels."""


@pytest.fixture(scope="session")
def motions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of six short films, in a folder for each label and in several formats."""
    folder = tmp_path_factory.mktemp("motions")
    for label, axis in (("down", 2), ("right", 3)):
        (folder / label).mkdir()
        for take, ending in enumerate(("mp4", "gif", "frames")):
            first = torch.zeros(3, 16, 16)
            first[take, 2:8, 2:8] = 1
            frames = torch.stack([first.roll(2 * number, axis - 1) for number in range(6)])
            Video(frames, 8.0).save(folder / label / f"{take}.{ending}")
    return folder


@pytest.fixture(scope="session")
def tiny_video_model(tmp_path_factory: pytest.TempPathFactory, motions: Path) -> Path:
    """Give a model folder for films, made by the command line; tests only read it."""
    folder = tmp_path_factory.mktemp("tiny-video")
    (folder / "recipe.toml").write_text(TINY_FILMS, encoding="utf-8")
    run = folder / "two-motions"
    assert main(["train", str(folder / "recipe.toml"), "--data", str(motions), "-o", str(run), "--quiet"]) == 0
    return run
