"""Training in trouble: killed, signalled, on a full disk, with broken data, checkpoints and plugins (FAULTS.md)."""

from __future__ import annotations

import json
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from noiseform.core.cli.main import main
from noiseform.core.storage import temporary
from noiseform.core.storage.checkpoint import latest_checkpoint
from noiseform.core.storage.model_folder import load_model_folder
from noiseform.core.storage.run_lock import RunLock
from noiseform.core.storage.temporary import TEMPORARY_PREFIX

HERE = Path(__file__).parent


class Trainer:
    """The command ``noiseform train`` on the tones."""

    def __init__(self, recipe: Path, data: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.recipe, self.data, self.folder, self.capsys = recipe, data, folder, capsys

    def __call__(self, *options: str, steps: int = 8) -> int:
        self.capsys.readouterr()
        settings = ("--set", f"training.steps={steps}", "--set", "training.checkpoint_every=4")
        return main(["train", str(self.recipe), "--data", str(self.data), "-o", str(self.folder), *settings, *options])

    @property
    def said(self) -> str:
        """What the last run said on stderr."""
        return self.capsys.readouterr().err

    @property
    def log(self) -> list[dict[str, float]]:
        """The entries of the run's log."""
        return [json.loads(line) for line in (self.folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def trainer(tiny_recipe: Path, tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Trainer:
    """Give a trainer with data of its own."""
    data = tmp_path / "data"
    shutil.copytree(tones, data)
    return Trainer(tiny_recipe, data, tmp_path / "run", capsys)


def check_kills(tiny_recipe: Path, tones: Path, work: Path, *counts: int) -> None:
    """Interrupt a training of 200 steps again and again, and look for any difference (G6)."""
    text = tiny_recipe.read_text().replace("steps = 40", "steps = 200").replace("every = 20", "every = 25")
    tiny_recipe.write_text(text.replace("[8, 8]", "[8], dropout = 0.1"))
    script = [sys.executable, str(HERE / "training_kills.py"), str(tiny_recipe), str(tones), str(work)]
    done = subprocess.run(
        [*script, *map(str, counts)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    print(f"interruptions of a training: {figures['interrupted']} tried, {figures['losses differ']} losses differ")
    assert figures["losses differ"] == 0
    assert figures["logs equal"]
    assert figures["weights equal"]
    assert (figures["steps"], figures["last"], figures["unexpected"]) == (200, 0, [])
    assert "Traceback" not in done.stderr


def test_interrupted_at_any_time_the_losses_are_the_same_to_the_last_bit(tiny_recipe, tones, tmp_path):
    check_kills(tiny_recipe, tones, tmp_path, 5, 3, 2)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 6))
def test_interrupted_many_times_the_losses_are_the_same(tiny_recipe, tones, tmp_path, seed):
    check_kills(tiny_recipe, tones, tmp_path, 25, 15, 10, seed)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_signal_finishes_the_step_and_saves(trainer, monkeypatch, site, number, code):
    watch(site, f"if step.step == 3:\n                import os, signal; os.kill(os.getpid(), {int(number)})")
    assert trainer() == code
    assert f"stopped by signal {int(number)}: saved at step 3 of 8; continue with --resume" in trainer.said
    assert latest_checkpoint(trainer.folder).step == 3
    assert len(trainer.log) == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    shutil.rmtree(site.folder)
    site.forget()
    assert trainer("--resume") == 0
    assert len(trainer.log) == 8


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_hang_up_after_another_signal_loses_nothing(trainer, site, first):
    """As what closes a session sends them."""
    both = f"[os.kill(os.getpid(), each) for each in ({int(first)}, {int(signal.SIGHUP)})]"
    watch(site, f"if step.step == 3:\n                import os; {both}")
    assert trainer() in {128 + first, 129}
    assert "saved at step 3 of 8" in trainer.said
    assert latest_checkpoint(trainer.folder).step == 3


def test_a_hang_up_is_left_to_a_program_that_has_another_use_for_it(trainer, site):
    came = []
    before = signal.signal(signal.SIGHUP, lambda number, frame: came.append(number))
    try:
        watch(site, "if step.step == 3:\n                import os, signal; os.kill(os.getpid(), signal.SIGHUP)")
        assert trainer() == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert came == [signal.SIGHUP]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_second_signal_ends_at_once(trainer, site, number, code):
    watch(
        site,
        f"if step.step == 6:\n                import os, signal; [os.kill(os.getpid(), {int(number)}) for _ in 'ab']",
    )
    assert trainer() == code
    assert "saved" not in trainer.said
    assert latest_checkpoint(trainer.folder).step == 4
    shutil.rmtree(site.folder)
    site.forget()
    assert trainer("--resume") == 0
    assert [entry["step"] for entry in trainer.log] == list(range(1, 9))


def test_a_hang_up_that_is_ignored_ends_nothing(trainer, site):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        watch(site, "import os, signal; os.kill(os.getpid(), signal.SIGHUP)")
        assert trainer() == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("disposition", [signal.SIG_DFL, signal.SIG_IGN])
def test_a_terminal_that_is_closed_loses_no_step(tiny_recipe, tones, tmp_path, disposition):
    words = ["train", tiny_recipe, "--data", tones, "-o", tmp_path / "run", "--set", "training.sample_every=0"]
    steps = 10_000 if disposition == signal.SIG_DFL else 400
    words += ["--set", f"training.steps={steps}", "--set", "training.checkpoint_every=10000"]
    child, terminal = pty.fork()
    if not child:
        signal.signal(signal.SIGHUP, disposition)
        os.execv(sys.executable, [sys.executable, "-m", "noiseform.core.cli.main", *map(str, words)])
    said = b""
    while b"loss" not in said:  # the bar of the first step
        said += os.read(terminal, 4096)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    checkpoint = latest_checkpoint(tmp_path / "run")
    assert checkpoint is not None
    if disposition == signal.SIG_DFL:
        assert os.waitstatus_to_exitcode(status) == 129
        assert 0 < checkpoint.step < steps
    else:
        assert checkpoint.step == steps
    load_model_folder(tmp_path / "run")


def watch(site, body: str) -> None:
    """Add a plugin whose training observer does that."""
    site.add(
        "watcher",
        {
            "watcher": f"""
    from noiseform import hookimpl

    @hookimpl
    def noiseform_training_observers(run):
        def observe(step):
            {body}
        return observe
    """
        },
    )


def test_second_trainer_is_refused(trainer):
    trainer.folder.mkdir()
    with RunLock(trainer.folder):
        assert trainer() == 2
    said = trainer.said
    assert f"another training holds it by process {os.getpid()}" in said
    assert "choose another folder" in said
    assert trainer() == 0


def test_used_folder_is_refused_and_stays(trainer):
    assert trainer() == 0
    log = trainer.log
    assert trainer(steps=4) == 2
    assert "holds a training already; continue it with --resume, or choose another folder with -o" in trainer.said
    assert trainer.log == log


def test_model_without_checkpoints_is_not_replaced(trainer, tiny_model):
    shutil.copytree(tiny_model, trainer.folder)
    shutil.rmtree(trainer.folder / "checkpoints")
    before = (trainer.folder / "manifest.json").read_bytes()
    for options in ((), ("--resume",)):
        assert trainer(*options) == 2
        assert "holds a model without checkpoints, which would be replaced" in trainer.said
    assert (trainer.folder / "manifest.json").read_bytes() == before


def test_changed_recipe_is_told_and_refused(trainer):
    assert trainer() == 0
    changed = ("--resume", "--set", "training.learning_rate=0.5", "--set", "stages.0.guidance.scale=3.0")
    assert trainer(*changed) == 2
    said = trainer.said
    assert "pipeline.stages.0.guidance.scale: was 2.0, is 3.0" in said
    assert "training.learning_rate: was 0.001, is 0.5" in said
    assert "--override" in said
    assert trainer(*changed, "--override", steps=9) == 0
    assert trainer.log[-1] == {**trainer.log[-1], "step": 9}
    free = ("--set", "training.weights='fp32'", "--set", "training.keep=1", "--set", "training.sample_every=9")
    assert trainer("--resume", *changed[1:], *free, steps=9) == 0


def test_changed_data_is_told_and_refused(trainer):
    assert trainer() == 0
    shutil.copy(trainer.data / "low" / "0.wav", trainer.data / "low" / "9.wav")
    assert trainer("--resume") == 2
    assert "files: was" in trainer.said
    (trainer.data / "low" / "9.wav").unlink()
    assert trainer("--resume") == 0


def test_changed_shape_is_told_even_with_override(trainer):
    assert trainer() == 0
    assert trainer("--resume", "--override", "--set", "stages.0.network.channels=[16, 8]") == 4
    assert "checkpoint" in trainer.said


BROKEN = """
    import torch
    from noiseform import hookimpl
    from noiseform.plugins.codecs.identity import Identity
    from noiseform.plugins.objectives.predictions import velocity
    from noiseform.plugins.unet.unet import UNet1d

    class Codec:
        "Breaks after some calls."
        def __init__(self, how: str = "nan", after: int = 5, *, media):
            self.how, self.after, self.inner = how, after, Identity(media=media)
        def shape(self, media_shape):
            return media_shape
        def encode(self, media):
            self.after -= 1
            if self.after >= 0:
                return media
            return {"nan": lambda: media * float("nan"), "none": lambda: None, "shape": lambda: media[:, :, :5],
                    "memory": lambda: torch.empty(10**15),
                    "raise": lambda: 1 / 0, "exit": lambda: exit(3), "whole": lambda: media.long()}[self.how]()
        def decode(self, latent, media_shape):
            return latent

    class Gradient(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x): return x.clone()
        @staticmethod
        def backward(ctx, grad): return grad * float("inf")

    def objective():
        made = velocity()
        class Infinite:
            prediction = made.prediction
            times = staticmethod(made.times)
            def loss(self, *given): return Gradient.apply(made.loss(*given))
        return Infinite()

    def odd(how: str = "none"):
        made = velocity()
        class Odd:
            prediction = made.prediction
            def times(self, u, process): return made.times(u[:1] if how == "times" else u, process)
            def loss(self, *given): return made.loss(*given).mean() if how == "mean" else None
        return Odd()

    class Narrow(UNet1d):
        def __init__(self, *, channels_in, vector_width):
            super().__init__((8,), 1, head_width=8, embedding=16, channels_in=channels_in, vector_width=vector_width)
        def forward(self, x, time, cond): return super().forward(x, time, cond)[..., :1]

    @hookimpl
    def noiseform_codecs(): return {"broken": Codec}

    @hookimpl
    def noiseform_objectives(): return {"infinite": objective, "odd": odd}

    @hookimpl
    def noiseform_networks(): return {"narrow": Narrow}
"""


def test_loss_that_is_not_finite_names_step_and_files(trainer, site):
    site.add("broken", {"broken": BROKEN})
    assert trainer("--set", "stages.0.codec={use='broken', after=5}") == 7
    said = trainer.said
    assert "training: step 6: the loss is not finite, on " in said
    assert said.count(".wav") == 4
    assert "the checkpoint of step 4 stands: resume it with --override and a lower training.learning_rate, or" in said
    assert latest_checkpoint(trainer.folder).step == 4
    load_model_folder(trainer.folder)
    assert len(trainer.log) == 5


def test_gradient_that_is_not_finite_is_told(trainer, site):
    site.add("broken", {"broken": BROKEN})
    assert trainer("--set", "stages.0.objective={use='infinite'}") == 7
    assert "training: step 1: the gradient is not finite" in (said := trainer.said)
    assert "there is no checkpoint yet: start again with a lower training.learning_rate" in said


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("none", "codec 'broken': encode gave None, expected floating-point numbers of shape (4, 1, 64)"),
        (
            "shape",
            "gave a tensor of shape (4, 1, 5) and torch.float32, expected floating-point numbers of shape (4, 1, 64)",
        ),
        ("whole", "torch.int64"),
        ("raise", "plugin broken (broken 1.0): Codec.encode.<locals>.<lambda> raised ZeroDivisionError"),
        ("exit", "plugin broken (broken 1.0): Codec.encode.<locals>.<lambda> raised SystemExit"),
    ],
)
def test_codec_that_breaks_is_named(trainer, site, how, message):
    site.add("broken", {"broken": BROKEN})
    assert trainer("--set", f"stages.0.codec={{use='broken', how='{how}'}}") == 5
    assert message in trainer.said
    assert latest_checkpoint(trainer.folder).step == 4


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("network={use='narrow'}", "network Narrow gave a tensor of shape (4, 1, 1) and torch."),
        ("objective={use='odd', how='none'}", "objective 'odd': loss gave None, expected"),
        ("objective={use='odd', how='mean'}", "objective 'odd': loss gave a tensor of shape ()"),
        ("objective={use='odd', how='times'}", "objective 'odd': times gave a tensor of shape (1,)"),
    ],
)
def test_part_that_gives_another_shape_is_named(trainer, site, part, message):
    site.add("broken", {"broken": BROKEN})
    assert trainer("--set", f"stages.0.{part}") == 5
    assert message in trainer.said


def test_memory_that_runs_out_is_told(trainer, site):
    site.add("broken", {"broken": BROKEN})
    assert trainer("--set", "stages.0.codec={use='broken', how='memory'}") == 6
    assert "training: 4 items a step do not fit into memory; lower training.batch_size" in trainer.said
    assert latest_checkpoint(trainer.folder).step == 4


def test_network_too_large_to_train_is_refused_first(trainer, monkeypatch):
    monkeypatch.setattr("noiseform.core.machine.memory.available_bytes", lambda device: 20_000)
    assert trainer() == 6
    assert "gradients, moments and average of" in (said := trainer.said)
    assert "GiB are free; make the network smaller" in said
    assert latest_checkpoint(trainer.folder) is None


def test_observer_that_raises_is_named(trainer, site):
    watch(site, "raise OSError('no such display')")
    assert trainer() == 5
    assert "plugin watcher (watcher 1.0)" in (said := trainer.said)
    assert "raised OSError: no such display" in said


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


def test_training_goes_on_beside_a_full_disk_where_the_recipe_says_so(trainer, monkeypatch):
    """Steps 2 to 6 of 8 find no room for a checkpoint; then there is some, and everything is there."""
    import noiseform.core.training.trainer as module

    monkeypatch.setattr(module, "_LOGGED", 1)
    step = module._Trainer._step
    room = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def narrowing(self, number):
        resource.setrlimit(resource.RLIMIT_FSIZE, (150, room[1]) if 1 <= number < 6 else room)
        return step(self, number)

    monkeypatch.setattr(module._Trainer, "_step", narrowing)
    try:
        assert trainer("--set", "training.full_disk='go on'", "--set", "training.checkpoint_every=2") == 0
        assert "; training goes on" in trainer.said
        assert len(trainer.log) == 8
        assert latest_checkpoint(trainer.folder).step == 8
        load_model_folder(trainer.folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, room)
        signal.signal(signal.SIGXFSZ, before)


def test_full_disk_leaves_the_earlier_checkpoint(trainer):
    assert trainer("--until", "4") == 0
    kept = latest_checkpoint(trainer.folder)
    largest = max(path.stat().st_size for path in trainer.folder.rglob("*") if path.is_file())
    sizes = [largest * part // 20 for part in range(20)]
    for size in sizes:
        with full_disk(size):
            code = trainer("--resume")
        assert code == 6, size
        assert "intact" in (said := trainer.said) or "make room" in said or "choose another place" in said
        assert len(said.splitlines()) <= 4
        again = latest_checkpoint(trainer.folder)
        assert again.step in (4, 8)
        load_model_folder(trainer.folder)
        if again.step == 4:
            assert again.path == kept.path
    print(f"full disks in a training: {len(sizes)} tried, 0 lost")
    assert trainer("--resume") == 0
    assert len(trainer.log) == 8


def test_bad_files_are_skipped_counted_and_listed(trainer):
    (trainer.data / "low" / "bad\n.wav").write_bytes(b"")
    assert trainer("--set", "data.max_bad=0.2") == 0
    assert "data: 12 items; 1 skipped, see " in trainer.said
    (entry,) = map(json.loads, (trainer.folder / "skipped.jsonl").read_text().splitlines())
    assert entry["name"] == "low/bad\n.wav"
    assert "empty" in entry["reason"]


def test_what_is_no_regular_file_is_passed_over_and_told(trainer):
    (trainer.data / "low" / "a\x1b.wav").symlink_to(trainer.data / "low" / "0.wav")
    os.mkfifo(trainer.data / "pipe.wav")
    assert trainer() == 0
    assert "data: 12 items; 2 passed over that are no regular files, such as " in (said := trainer.said)
    assert "\x1b" not in said


def test_too_many_bad_files_end_the_run(trainer):
    (trainer.data / "low" / "bad.wav").write_bytes(b"")
    assert trainer() == 3
    assert "1 of 13 files cannot be used: low/bad.wav (empty file; make it again); repair" in (said := trainer.said)
    assert "raise max_bad = 0.05" in said
    assert not trainer.folder.exists()


def test_damaged_checkpoint_is_passed_over_and_told(trainer):
    assert trainer() == 0
    whole = trainer.log
    model = next(trainer.folder.glob("checkpoints/step-00000008/model.safetensors"))
    data = bytearray(model.read_bytes())
    data[-9] ^= 1
    model.write_bytes(data)
    assert trainer("--resume") == 0
    said = trainer.said
    assert "warning: checkpoint step-00000008 is damaged and set aside as damaged-step-00000008" in said
    assert trainer.log == whole
    assert trainer("--resume") == 0
    assert "damaged" not in trainer.said


DAMAGES = {
    "a flipped bit": ("optimizer.safetensors", lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]),
    "no state": ("state.json", None),
    "a garbled state": ("state.json", lambda data: data[::-1]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_whole_checkpoint_is_an_error_that_says_how_to_go_on(trainer, damage, tmp_path):
    assert trainer() == 0
    file, change = DAMAGES[damage]
    for path in trainer.folder.glob(f"checkpoints/*/{file}"):
        path.write_bytes(change(path.read_bytes())) if change else path.unlink()
    first, again = [trainer("--resume")], []
    first.append(trainer.said.splitlines()[-1])
    again = [trainer("--resume"), trainer.said.splitlines()[-1]]
    assert first == again
    assert first[0] == 4
    said = first[1]
    assert "none of 2 is whole (step-00000008: " in said
    assert "; step-00000004: " in said
    start = f'start = "{trainer.folder}"'
    assert said.endswith(
        f"start anew in another folder with -o, from its model, which is whole, with {start} under [training]"
    )
    model = trainer.folder
    trainer.folder = tmp_path / "anew"
    assert trainer("--set", f"training.{start}") == 0
    trainer.folder = model
    next(model.glob("base-*.safetensors")).unlink()
    assert trainer("--resume") == 4
    assert trainer.said.splitlines()[-1].endswith("); start anew in another folder with -o")


@pytest.mark.parametrize("damage", [b'{"step": 3, "lo', b"\0" * 100, b"5\n", b'{"loss": 1}\n', b"\xff\xfe\n"])
def test_damaged_end_of_the_log_is_written_anew(trainer, damage):
    assert trainer("--until", "4") == 0
    with (trainer.folder / "log.jsonl").open("ab") as file:
        file.write(damage)
    assert trainer("--resume") == 0
    assert [entry["step"] for entry in trainer.log] == list(range(1, 9))


def test_quiet_says_nothing(trainer):
    assert trainer("--quiet") == 0
    assert trainer.capsys.readouterr() == ("", "")


def test_pictures_of_samples(trainer):
    assert trainer("--set", "training.sample_every=4", "--set", "training.checkpoint_every=100") == 0
    pictures = sorted(path.name for path in (trainer.folder / "samples").iterdir())
    assert pictures == ["step-00000004.png", "step-00000008.png"]
    assert "loss" in trainer.said


@pytest.mark.parametrize("steps", [4, 8])
def test_a_kill_before_the_picture_leaves_no_hole_and_no_litter(trainer, tmp_path, steps):
    drawn = ("--set", "training.sample_every=4")
    assert trainer(*drawn) == 0
    shutil.copytree(trainer.folder, tmp_path / "whole")
    shutil.rmtree(trainer.folder)
    assert trainer(*drawn, "--until", "4") == 0
    samples = trainer.folder / "samples"
    (samples / "step-00000004.png").unlink()
    for folder in (samples, trainer.folder):
        (folder / f"{TEMPORARY_PREFIX}{temporary._place()}-{2**22 + 1}-00000000.png").touch()
    assert trainer(*drawn, "--resume", "--until", str(steps)) == 0
    pictures = {path.name: path.read_bytes() for path in samples.iterdir()}
    assert pictures == {
        name: (tmp_path / "whole" / "samples" / name).read_bytes()
        for name in ("step-00000004.png", "step-00000008.png")[: steps // 4]
    }
    assert not [path for path in trainer.folder.iterdir() if path.name.startswith(TEMPORARY_PREFIX)]


def test_picture_that_cannot_be_drawn_does_not_end_the_training(trainer, site):
    source = BROKEN.replace("return latent\n", "return latent * float('nan')\n")
    site.add("broken", {"broken": source})
    options = ("--set", "stages.0.codec={use='broken', after=99}", "--set", "training.sample_every=4")
    assert trainer(*options) == 0
    assert "warning: no picture of samples: generate: training: codec 'broken' gave values" in trainer.said


@pytest.mark.parametrize("place", ["missing", "recipe.toml"])
def test_wrong_place_of_the_data(trainer, tmp_path, place):
    trainer.data = tmp_path / place
    assert trainer() == 3
    assert place in trainer.said


def test_folder_that_cannot_be_made(trainer, tmp_path):
    trainer.folder = tmp_path / "recipe.toml" / "run"
    assert trainer() == 2
    assert "choose another with -o" in trainer.said
