"""Generation in trouble: parts that break, values that are no numbers, full disks and interrupts (FAULTS.md)."""

from __future__ import annotations

import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from noiseform import audio
from noiseform.core.cli.main import main
from noiseform.core.registration.build import build
from noiseform.core.storage.temporary import TEMPORARY_PREFIX
from noiseform.core.verbs.verbs import Verbs
from noiseform.modalities.audio.reading import read

HERE = Path(__file__).parent

HOOKS = """
    from noiseform import hookimpl

    @hookimpl
    def noiseform_networks(): return {"hostile": "hostile_parts:Network"}
    @hookimpl
    def noiseform_guidances(): return {"hostile": "hostile_parts:Guidance"}
    @hookimpl
    def noiseform_samplers(): return {"hostile": "hostile_parts:Sampler"}
    @hookimpl
    def noiseform_grids(): return {"hostile": "hostile_parts:Grid"}
    @hookimpl
    def noiseform_codecs(): return {"hostile": "hostile_parts:Codec"}
    @hookimpl
    def noiseform_conditioners(): return {"hostile": "hostile_parts:Conditioner"}
    @hookimpl
    def noiseform_processes(): return {"hostile": "hostile_parts:Process"}
    @hookimpl
    def noiseform_modalities(): return {"hostile-audio": "hostile_parts:Sound"}
"""
PARTS = """
    import torch
    from noiseform.modalities.audio.modality import AudioModality
    from noiseform.plugins.codecs.identity import Identity
    from noiseform.plugins.conditioners.labels import Labels
    from noiseform.plugins.guidance.cfg import ClassifierFree
    from noiseform.plugins.grids.uniform import Uniform
    from noiseform.plugins.processes.flow import Flow
    from noiseform.plugins.samplers.euler import Euler
    from noiseform.plugins.unet.unet import UNet1d

    def raises():
        raise LookupError("no\\nsuch\\x1b[31mthing")

    HOW = {
        "nan": lambda x: x * float("nan"),
        "inf": lambda x: x + float("inf"),
        "one-nan": lambda x: x.index_fill(-1, torch.tensor([3]), float("nan")),
        "none": lambda x: None,
        "list": lambda x: x.tolist(),
        "shape": lambda x: x[..., :2],
        "rank": lambda x: x[0],
        "whole": lambda x: x.long(),
        "complex": lambda x: x + 0j,
        "meta": lambda x: x.to("meta"),
        "raise": lambda x: raises(),
        "exit": lambda x: exit(0),
        "memory": lambda x: torch.empty(10**15),
    }

    class Network(UNet1d):
        def __init__(self, channels=(8, 8), how: str = "nan", *, channels_in, vector_width):
            super().__init__((8, 8), 1, head_width=8, embedding=16, channels_in=channels_in, vector_width=vector_width)
            self.how = how
        def forward(self, x, time, cond):
            return HOW[self.how](super().forward(x, time, cond))

    class Guidance:
        def __init__(self, how: str = "nan", scale: float = 2.0):
            self.how = how
        def wrap(self, denoise, cond, null):
            if self.how == "no-function":
                return 3
            inner = ClassifierFree().wrap(denoise, cond, null)
            if self.how == "changes":
                return lambda x, level: inner(x.mul_(0.5), level)
            return lambda x, level: HOW[self.how](inner(x, level))

    class Sampler(Euler):
        def __init__(self, how: str = "nan"):
            self.how = how
        def init(self, x):
            return raises() if self.how == "raise-init" else super().init(x)
        def step(self, *given):
            if self.how == "lone":
                return given[0]
            x, state = super().step(*given)
            return (x, state, 3) if self.how == "three" else (HOW[self.how](x), state)

    class Grid(Uniform):
        def __init__(self, how: str = "nan"):
            self.how = how
        def times(self, process, steps):
            return HOW[self.how](super().times(process, steps))

    class Process(Flow):
        def __init__(self, how: str = "nan"):
            self.how = how
        def alpha(self, t):
            return HOW[self.how](super().alpha(t))

    class Codec:
        def __init__(self, how: str = "nan", scale: float = 4.0, *, media):
            self.how, self.inner = how, Identity(4.0, media=media)
        def shape(self, media_shape):
            shapes = {"none": None, "text": "abc", "flat": (64,), "empty": (), "zero": (1, 0)}
            asked, _, which = self.how.partition("-")
            if asked != "shape" or not which:
                return media_shape
            return raises() if which == "raise" else shapes[which]
        def encode(self, media):
            return self.inner.encode(media)
        def decode(self, latent, media_shape):
            return HOW[self.how](self.inner.decode(latent, media_shape))

    class Conditioner(Labels):
        def __init__(self, names=("low", "middle", "high"), width: int = 8, how: str = "nan"):
            super().__init__(("low", "middle", "high"), 8)
            self.how = how
            if how == "outputs":
                self.outputs = None
        def encode(self, conditions):
            given = super().encode(conditions)
            return HOW[self.how[7:]](given["counts"]) if self.how.startswith("encode-") else given
        def forward(self, raw):
            return {"vector": HOW.get(self.how, lambda x: x)(super().forward(raw)["vector"])}

    class Sound(AudioModality):
        name = "hostile-audio"
        how = "nan"
        def wrap(self, tensor, spec, record):
            return super().wrap(tensor * float("nan") if self.how == "nan" else tensor, spec, record)
        def write(self, item, path, **options):
            return raises() if self.how == "write" else super().write(item, path, **options)
"""
TELLING = {"none": "gave None, expected", "list": "gave a list, expected", "shape": "expected", "rank": "expected"}
BREAKS = [
    *(
        (kind, how, 7, message)
        for how in ("nan", "inf", "one-nan")
        for kind, message in {
            "network": "sampling: step 1 of 4",
            "guidance": "sampling: step 1 of 4",
            "sampler": "step 1 of 4 (t = 1) of sampler Sampler of plugin hostile-kit (hostile-kit 1.0) gave values",
            "codec": "codec 'hostile' gave values that are not finite",
            "conditioner": "sampling: step 1 of 4",
        }.items()
    ),
    *(
        (kind, how, 5, f"{name}{' gave' if how in ('whole', 'complex', 'meta') else ''}")
        for how in ("none", "list", "shape", "rank", "whole", "complex", "meta")
        for kind, name in {
            "network": "network Network",
            "guidance": "guidance 'hostile'",
            "codec": "codec 'hostile': decode",
            "conditioner": "conditioner Conditioner",
            "grid": "grid Grid: 4 steps",
            "process": "process 'hostile': alpha(t)",
        }.items()
    ),
    *(
        ("sampler", how, 5, "sampler Sampler of plugin hostile-kit (hostile-kit 1.0): step 1 gave")
        for how in ("none", "list", "shape", "rank", "lone", "three", "meta")
    ),
    *(
        (kind, how, 5, f"plugin hostile-kit (hostile-kit 1.0): {function} raised {error}")
        for how, function, error in (("raise", "raises", "LookupError: no such"), ("exit", "<lambda>", "SystemExit: 0"))
        for kind in ("network", "guidance", "sampler", "codec", "conditioner", "grid", "process")
    ),
    ("network", "memory", 6, "do not fit into memory; lower --batch-size"),
    ("guidance", "no-function", 5, "guidance 'hostile': wrap gave a int, expected denoise(x, level) -> x0"),
    ("guidance", "changes", 5, "guidance 'hostile', or the network under it, changed the items it was given"),
    ("sampler", "raise-init", 5, "raises raised LookupError"),
    ("grid", "nan", 2, "do not fall strictly"),
    ("process", "nan", 5, "process 'hostile': alpha(t) is not finite"),
    *(("codec", f"shape-{how}", 5, "expected (channels, *space)") for how in ("none", "text", "empty", "zero")),
    ("codec", "shape-flat", 2, "takes items of 1 axes of space, but codec 'hostile' gives 0 (shape (64,))"),
    ("codec", "shape-raise", 5, "raises raised LookupError"),
    *(("conditioner", f"encode-{how}", 5, "conditioner Conditioner: encode gave") for how in ("none", "list", "rank")),
    ("conditioner", "outputs", 5, "outputs is None, expected a mapping"),
]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def left(folder: Path) -> list[str]:
    """Return the files of the test's folder, plugins apart."""
    return [path.name for path in folder.iterdir() if path.name != "site"]


@pytest.mark.parametrize(("kind", "how", "code", "message"), BREAKS, ids=[f"{kind}-{how}" for kind, how, *_ in BREAKS])
def test_part_that_breaks_is_named_and_nothing_is_written(
    tiny_model, trained_as, site, capsys, tmp_path, kind, how, code, message
):
    site.add("hostile-kit", {"hostile": HOOKS, "hostile_parts": PARTS})
    place = "conditioners.0" if kind == "conditioner" else kind
    model = trained_as(tiny_model, f"stages.base.{place}={{use='hostile', how='{how}'}}")
    assert main(["generate", "audio", str(model), "--label", "low", "-o", "x.wav"]) == code
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
    assert "\x1b" not in said
    assert left(tmp_path) == []


def test_after_memory_ran_out_the_process_works_on(tiny_model, trained_as, site, tmp_path):
    site.add("hostile-kit", {"hostile": HOOKS, "hostile_parts": PARTS})
    greedy = trained_as(tiny_model, "stages.base.network={use='hostile', how='memory'}")
    assert main(["generate", "audio", str(greedy), "-o", "x.wav"]) == 6
    assert main(["generate", "audio", str(tiny_model), "-o", "x.wav"]) == 0
    assert left(tmp_path) == ["x.wav"]


def test_medium_that_is_not_finite_is_not_written(tiny_model, site, capsys, tmp_path):
    site.add("hostile-kit", {"hostile": HOOKS, "hostile_parts": PARTS})
    assert main(["generate", "hostile-audio", str(tiny_model), "--set", "modality='hostile-audio'", "-o", "x.wav"]) == 7
    assert "64 of 64 samples are not finite" in capsys.readouterr().err
    assert left(tmp_path) == []


def test_modality_that_breaks_is_named(tiny_model, site, capsys, tmp_path, monkeypatch):
    site.add("hostile-kit", {"hostile": HOOKS, "hostile_parts": PARTS})
    build("modality", "hostile-audio")
    monkeypatch.setattr(sys.modules["hostile_parts"].Sound, "how", "write")
    assert main(["generate", "hostile-audio", str(tiny_model), "--set", "modality='hostile-audio'", "-o", "x.wav"]) == 5
    assert "generate: plugin hostile-kit (hostile-kit 1.0): raises raised LookupError" in capsys.readouterr().err
    assert left(tmp_path) == []


OBSERVERS = {
    "hook raises": ("raise OSError('no')", "", "hook noiseform_sampling_observers raised OSError: no"),
    "hook exits": ("raise SystemExit", "", "hook noiseform_sampling_observers raised SystemExit"),
    "raises": ("return observe", "raise OSError('no')", "observe raised OSError: no"),
    "exits": ("return observe", "exit(0)", "observe raised SystemExit: 0"),
    "raises at the end": ("return observe", "1 / (3 - step.index)", "observe raised ZeroDivisionError"),
    "no function": ("return 3", "", "gave 3, expected a function"),
    "never": ("observe.every = 0; return observe", "", "expected a function whose `every`"),
    "text": ("observe.every = 'x'; return [observe]", "", "expected a function whose `every`"),
}


@pytest.mark.parametrize("name", OBSERVERS)
def test_observer_that_breaks_is_named(tiny_model, site, capsys, tmp_path, name):
    hook, body, message = OBSERVERS[name]
    site.add(
        "watcher",
        {
            "watcher": f"""
    from noiseform import hookimpl

    def observe(step):
        {body or "pass"}

    @hookimpl
    def noiseform_sampling_observers(run):
        {hook}
    """
        },
    )
    assert main(["generate", "audio", str(tiny_model), "-o", "x.wav"]) == 5
    said = capsys.readouterr().err
    assert "plugin watcher (watcher 1.0)" in said
    assert message in said
    assert left(tmp_path) == []


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_full_disk_leaves_nothing_and_the_old_file(tiny_model, tmp_path, capsys, ending):
    command = ["generate", "audio", str(tiny_model), "--label", "low", "--quiet"]
    assert main([*command, "-o", f"old.{ending}"]) == 0
    old = Path(f"old.{ending}").read_bytes()
    for part in range(20):
        with full_disk(len(old) * part // 20):
            codes = main([*command, "-o", f"new.{ending}"]), main([*command, "-o", f"old.{ending}", "--overwrite"])
        assert codes == (6, 6), part
        said = capsys.readouterr().err
        assert said.count("error: cannot write: ") == 2
        assert left(tmp_path) == [f"old.{ending}"]
        assert Path(f"old.{ending}").read_bytes() == old
    print(f"full disks in writing {ending}: 40 tried, 0 files torn or lost")


@pytest.mark.parametrize(
    ("verb", "shape"),
    [(["edit", "--pipeline", "MODEL", "--mask", "0.02:0.05", "--label", "low"], 64), (["upscale"], 4000)],
)
def test_full_disk_leaves_what_was_to_be_changed(tiny_model, tmp_path, capsys, verb, shape):
    audio.Audio(0.3 * torch.randn(1, shape), 1000 if shape == 64 else 4000).save("source.wav")
    given = Path("source.wav").read_bytes()
    name, *options = [str(tiny_model) if one == "MODEL" else one for one in verb]
    command = [name, "audio", "source.wav", *options, "--quiet", "--steps", "2"]
    for part in range(5):
        with full_disk(len(given) * part // 5):
            codes = main([*command, "-o", "new.wav"]), main([*command, "-o", "source.wav", "--overwrite"])
        assert codes == (6, 6), part
        assert capsys.readouterr().err.count("error: cannot write: ") == 2
        assert left(tmp_path) == ["source.wav"]
        assert Path("source.wav").read_bytes() == given


def test_full_disk_leaves_pictures_as_they_were(tiny_model, tmp_path, capsys):
    command = ["generate", "audio", str(tiny_model), "--overwrite", "--quiet", "-o", "x.wav"]
    assert main([*command, "--sheet", "x.png", "--previews", "steps"]) == 0

    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    before = files()
    sound, picture = len(before[tmp_path / "x.wav"]), min(len(b) for path, b in before.items() if path.suffix == ".png")
    for part in range(20):
        with full_disk(sound + (picture - sound) * part // 20):
            codes = main([*command, "--sheet", "x.png"]), main([*command, "--previews", "steps"])
        assert codes == (6, 6), part
        assert files() == before
    print("full disks in writing pictures: tried 40 / failed 0")


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_bytes_of_an_item_depend_on_nothing_else(tiny_model, tmp_path, ending):
    check_bytes("audio", tiny_model, "low", ending)


def test_bytes_of_a_picture_depend_on_nothing_else(tiny_image_model, tmp_path):
    check_bytes("image", tiny_image_model, "rows", "png")


def check_bytes(kind: str, model: Path, label: str, ending: str) -> None:
    """Make the same items in many ways (G9)."""
    torch_threads = torch.get_num_threads()
    expected: dict[int, bytes] = {}
    tried = failed = 0
    verbs = Verbs(kind)
    pipeline = verbs.load(str(model))
    for number in (4, 7, 0, 2, 6, 1, 5, 3):  # one by one, in any order
        verbs.generate(pipeline, label=label, seed=5, first=number)[0].save(f"one.{ending}", overwrite=True)
        expected[number] = Path(f"one.{ending}").read_bytes()
    try:
        for count, threads, previews in itertools.product((1, 2, 3, 5, 8), (1, 2), ((), ("--previews", "steps"))):
            torch.set_num_threads(threads)
            command = ["generate", kind, str(model), "--label", label, "--seed", "5", "-n", str(count)]
            assert main([*command, *previews, "--quiet", "--overwrite", "-o", f"x.{ending}"]) == 0
            names = [f"x.{ending}"] if count == 1 else [f"x-{number:04d}.{ending}" for number in range(count)]
            tried += 1
            failed += [Path(name).read_bytes() for name in names] != [expected[number] for number in range(count)]
    finally:
        torch.set_num_threads(torch_threads)
    print(f"bytes of {ending} by count, threads and previews: tried {tried} / failed {failed}")
    assert failed == 0


def check_signals(kind: str, model: Path | str, work: Path, *counts: int) -> None:
    """Interrupt generations at chance moments (G13)."""
    script = [sys.executable, str(HERE / "generation_signals.py"), kind, str(model), str(work), *map(str, counts)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(script, capture_output=True, text=True, timeout=600, env=env, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    print(f"interrupts of {kind}: {figures['tried']} tried, {len(figures['failed'])} failed", figures)
    assert figures["failed"] == []
    assert figures["tried"] == sum(counts[:4])


def test_interrupt_ends_at_once_and_leaves_nothing(tiny_model, tmp_path):
    check_signals("generate audio", tiny_model, tmp_path, 20, 10, 5, 5)


def test_interrupt_of_pictures_leaves_nothing(tiny_image_model, tmp_path):
    check_signals("generate image", tiny_image_model, tmp_path, 5, 3, 3, 3)


def test_interrupt_of_an_edit_leaves_nothing(tiny_model, tiny_image_model, tmp_path):
    for kind, model in (("audio", tiny_model), ("image", tiny_image_model)):
        (tmp_path / kind).mkdir()
        check_signals(f"edit {kind}", model, tmp_path / kind, 5, 3, 3, 3)


@pytest.mark.parametrize(("kind", "model"), [("audio", "speech-x2"), ("image", "photographs-x2")])
def test_interrupt_of_an_upscaling_leaves_nothing(kind, model, tmp_path):
    check_signals(f"upscale {kind}", model, tmp_path, 5, 3, 3, 3)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 6))
def test_interrupt_at_many_times_leaves_nothing(tiny_model, tmp_path, seed):
    check_signals("generate audio", tiny_model, tmp_path, 50, 50, 25, 25, seed)


@pytest.mark.soak
def test_interrupt_of_pictures_at_many_times_leaves_nothing(tiny_image_model, tmp_path):
    check_signals("generate image", tiny_image_model, tmp_path, 50, 50, 25, 25)


def test_interrupt_while_everything_is_imported(tiny_model, tmp_path):
    command = [sys.executable, "-m", "noiseform.core.cli.main", "generate", "audio", str(tiny_model), "-o", "x.wav"]
    for seconds in (0.4, 0.8, 1.2):
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as child:
            try:
                child.wait(seconds)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGINT)
            said = child.communicate(timeout=20)[1]
        assert child.returncode in (130, 0, -2)
        if child.returncode == 130:
            assert said.splitlines()[-1:] in (["error: interrupted"], [])


SIGNALLED = """
import importlib.abc, signal, sys

class Signaller(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            signal.raise_signal(int(sys.argv[2]))

sys.meta_path.insert(0, Signaller())
from noiseform.core.cli.main import main
sys.exit(main(sys.argv[3:]))
"""


@pytest.mark.parametrize(("number", "code", "said"), [(2, 130, "interrupted"), (15, 143, "terminated")])
@pytest.mark.parametrize("module", ["numpy", "numpy.exceptions", "torch._C", "torch._prims", "torch.fx.passes"])
def test_signal_at_a_module_of_torch_is_not_lost(module, number, code, said, tiny_model, tmp_path):
    generate = ["generate", "audio", str(tiny_model), "-o", str(tmp_path / "x.wav")]
    command = [sys.executable, "-c", SIGNALLED, module, str(number), *generate]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (code, f"error: {said}\n")
    assert not list(tmp_path.iterdir())


def damaged(folder: Path, how: str) -> None:
    """Do to a model folder what should never happen to one."""
    weights = next(folder.glob("*.safetensors"))
    manifest = json.loads((folder / "manifest.json").read_text())
    data = bytearray(weights.read_bytes())
    match how:
        case "flipped bit":
            data[-5] ^= 1
        case "flipped header":
            data[9] ^= 1
        case "cut":
            del data[len(data) // 2 :]
        case "longer":
            data += b"\0"
        case "empty":
            data.clear()
        case "huge header":
            data[:8] = (2**63).to_bytes(8, "little")
        case "no weights":
            weights.unlink()
            return
        case "no pipeline":
            (folder / "pipeline.toml").unlink()
            return
        case "other pipeline":
            (folder / "pipeline.toml").write_text("modality = 'audio'\n")
            return
        case "no json":
            (folder / "manifest.json").write_text("{")
            return
        case "no format":
            del manifest["format"]
        case "newer format":
            manifest["format"] = 99
        case "no stages":
            manifest["stages"] = {}
        case "outside":
            manifest["stages"]["base"] = "../x.safetensors"
        case "parts of a wrong type":
            manifest["parts"] = 3
        case "absolute":
            name = manifest["stages"]["base"]
            manifest["files"]["/etc/passwd"] = manifest["files"].pop(name)
            manifest["stages"]["base"] = "/etc/passwd"
        case "link":
            shutil.copy(weights, folder.parent / "elsewhere.safetensors")
            weights.unlink()
            weights.symlink_to(folder.parent / "elsewhere.safetensors")
            return
    weights.write_bytes(data)
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "how",
    [
        *("flipped bit", "flipped header", "cut", "longer", "empty", "huge header", "no weights", "no pipeline"),
        *("other pipeline", "no json", "no format", "newer format", "no stages", "outside", "absolute"),
        *("parts of a wrong type", "link"),
    ],
)
def test_damaged_model_is_refused(tiny_model, tmp_path, capsys, how):
    shutil.copytree(tiny_model, tmp_path / "model")
    damaged(tmp_path / "model", how)
    assert main(["generate", "audio", "./model", "--label", "low", "-o", "x.wav"]) == 4
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "model" in said
    assert ";" in said
    assert not (tmp_path / "x.wav").exists()


def test_missing_plugin_is_named(tiny_model, tmp_path, capsys):
    shutil.copytree(tiny_model, tmp_path / "model")
    path = tmp_path / "model" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["parts"].append({"kind": "sampler", "name": "quick", "distribution": "quick-kit", "version": "2.1"})
    path.write_text(json.dumps(manifest))
    assert main(["generate", "audio", "./model", "-o", "x.wav"]) == 5
    assert "install quick-kit==2.1 if you trust it" in capsys.readouterr().err


def test_stale_temporary_files_go_at_the_next_start(tiny_model, tmp_path):
    for name in ("x.wav", "y.flac"):
        code = f"""
from pathlib import Path
from noiseform.core.storage.temporary import temporary_for
print(temporary_for(Path({name!r})))
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        Path(done.stdout.strip()).write_text("half")  # of a process that is dead now
    assert len(list(tmp_path.glob(f"{TEMPORARY_PREFIX}*"))) == 2
    assert main(["generate", "audio", str(tiny_model), "-o", "z.wav"]) == 0
    assert left(tmp_path) == ["z.wav"]
    assert read("z.wav").record is not None
