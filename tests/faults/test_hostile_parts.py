"""Parts of plugins that misbehave when they are used (FAULTS.md rows 50 to 53): what each does, and what happens.

What a part gives is tried in test_generation.py; here it is what parts do to what they are given and to torch, and what
parts that stand beside the loop give: modalities, metrics, pipelines, commands.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from noiseform.core.cli.main import main
from noiseform.core.registration.build import build
from noiseform.core.registration.watching import METHODS, debugging_plugins

HOOKS = """
    from noiseform import hookimpl

    @hookimpl
    def noiseform_processes(): return {"hostile": "hostile_parts:Process"}
    @hookimpl
    def noiseform_objectives(): return {"hostile": "hostile_parts:Objective"}
    @hookimpl
    def noiseform_grids(): return {"hostile": "hostile_parts:Grid"}
    @hookimpl
    def noiseform_samplers(): return {"hostile": "hostile_parts:Sampler"}
    @hookimpl
    def noiseform_guidances(): return {"hostile": "hostile_parts:Guidance"}
    @hookimpl
    def noiseform_networks(): return {"hostile": "hostile_parts:Network", "plain": "hostile_parts:Plain"}
    @hookimpl
    def noiseform_codecs(): return {"hostile": "hostile_parts:Codec"}
    @hookimpl
    def noiseform_conditioners(): return {"hostile": "hostile_parts:Conditioner"}
    @hookimpl
    def noiseform_modalities(): return {"sound": "hostile_parts:Sound"}
    @hookimpl
    def noiseform_metrics(): return {"hostile": "hostile_parts:Metric"}
    @hookimpl
    def noiseform_pipelines(): return {"hostile": "hostile_parts:pipeline"}
    @hookimpl
    def noiseform_commands(): return {"hostile": "hostile_parts:command"}
"""
PARTS = """
    import os
    import signal
    import torch
    from noiseform.modalities.audio.modality import AudioModality
    from noiseform.plugins.codecs.identity import Identity
    from noiseform.plugins.conditioners.labels import Labels
    from noiseform.plugins.grids.uniform import Uniform
    from noiseform.plugins.guidance.cfg import ClassifierFree
    from noiseform.plugins.objectives.predictions import velocity
    from noiseform.plugins.processes.flow import Flow
    from noiseform.plugins.samplers.euler import Euler
    from noiseform.plugins.unet.unet import UNet1d

    def raises(*given, **named):
        raise LookupError("no\\nsuch\\x1b[31mthing")

    def leaves(*given, **named):
        raise SystemExit(0)

    DO = {
        "": lambda x: None,
        "write": lambda x: x.mul_(0.5),
        "write-past-torch": lambda x: x.detach().numpy().fill(0),
        "set-dtype": lambda x: torch.set_default_dtype(torch.float64),
        "seed": lambda x: torch.manual_seed(7),
        "draw": lambda x: torch.rand(3),
        "set-grad": lambda x: torch.set_grad_enabled(True),
        "threads": lambda x: torch.set_num_threads(torch.get_num_threads() + 1),
        "print": lambda x: print("hello"),
        "chdir": lambda x: os.chdir("/"),
        "ignore-signals": lambda x: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    }
    GIVE = {
        "none": lambda *given, **named: None,
        "text": lambda *given, **named: "text",
        "number": lambda *given, **named: 3,
        "list": lambda *given, **named: [object()],
        "nan": lambda *given, **named: {"distance": float("nan")},
        "bool": lambda *given, **named: {"distance": True},
        "tensor": lambda *given, **named: {"distance": torch.ones(2)},
        "empty": lambda *given, **named: {},
        "raise": raises,
        "exit": leaves,
    }

    class Does:
        def __init__(self, do: str = ""):
            self.do = do

    class Process(Does, Flow):
        def alpha(self, t):
            t = t.clone() if self.do == "copy" else t
            DO[self.do](t)
            return super().alpha(t)

    class Grid(Does, Uniform):
        def times(self, process, steps):
            DO[self.do](torch.ones(3))
            return super().times(process, steps)

    class Sampler(Does, Euler):
        def step(self, x, here, next, denoise, noise, state):
            DO[self.do](x)
            return super().step(x, here, next, denoise, noise, state)

    class Guidance(Does):
        def __init__(self, do: str = "", scale: float = 2.0):
            self.do = do
        def wrap(self, denoise, cond, null):
            if self.do == "write-condition":
                cond["vector"].zero_()
            inner = ClassifierFree().wrap(denoise, cond, null)
            def guided(x, level):
                DO[self.do if self.do != "write-condition" else ""](x)
                return inner(x, level)
            return guided

    class Network(UNet1d):
        def __init__(self, channels=(8, 8), do: str = "", *, channels_in, vector_width):
            super().__init__((8, 8), 1, head_width=8, embedding=16, channels_in=channels_in, vector_width=vector_width)
            self.do = do
        def forward(self, x, time, cond):
            DO[self.do](x)
            return super().forward(x, time, cond)

    class Plain:
        item_ndim = 1
        def __init__(self, do: str = "", *, channels_in, vector_width):
            pass
        def forward(self, x, time, cond):
            return x

    class Codec(Identity):
        def __init__(self, do: str = "", scale: float = 4.0, *, media):
            super().__init__(4.0, media=media)
            object.__setattr__(self, "do", do)
        def decode(self, latent, media_shape):
            DO[self.do](latent)
            return super().decode(latent, media_shape)

    class Conditioner(Labels):
        def __init__(self, names=("low", "middle", "high"), width: int = 8, do: str = ""):
            super().__init__(("low", "middle", "high"), 8)
            self.do = do
            if do == "names":
                self.names = 3
        def forward(self, raw):
            DO.get(self.do, DO[""])(raw["counts"])
            return super().forward(raw)
        def null(self, raw):
            return GIVE[self.do[5:]](raw) if self.do.startswith("null-") else super().null(raw)

    class Objective:
        def __init__(self, do: str = ""):
            inner = velocity()
            self.prediction = 3 if do == "prediction" else inner.prediction
            self.times, self.loss = inner.times, inner.loss
            if do == "lacks-loss":
                del self.loss

    class Sound(AudioModality):
        name = "sound"
        method, give = "", ""
        def __getattribute__(self, name):
            mine = object.__getattribute__(self, "method")
            if name == mine:
                return GIVE[object.__getattribute__(self, "give")]
            return super().__getattribute__(name)

    class Metric:
        modality = None
        def __init__(self, do: str = "", needs: str = "made"):
            self.do, self.needs = do, needs
        def compare(self, made, real):
            return GIVE[self.do](made, real) if self.do in GIVE else (DO[self.do](torch.ones(3)), {"distance": 1.0})[1]

    HOW = {"pipeline": "none"}
    def pipeline():
        return GIVE[HOW["pipeline"]]()
    command = 3
"""
NAMED = "of plugin hostile-kit (hostile-kit 1.0)"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def kit(site) -> None:
    site.add(
        "hostile-kit",
        {"hostile_plugin": HOOKS, "hostile_parts": PARTS},
        metadata="Name: hostile-kit\nVersion: 1.0\nRequires-Dist: noiseform>=0.1\n",
    )
    site.add(
        "good-kit",
        {
            "good_plugin": "from noiseform import hookimpl\n@hookimpl\n"
            "def noiseform_samplers(): return {'good': 'noiseform.plugins.samplers.euler:Euler'}\n"
        },
    )


def state() -> tuple[object, ...]:
    """Return what torch has for all."""
    return torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads(), torch.initial_seed()


@pytest.fixture
def generate(kit, tiny_model, trained_as, capsys, tmp_path) -> Callable[..., str]:
    """Return a function that generates with a hostile part, and gives what is said of it."""

    def run(kind: str, do: str, code: int, *options: str, use: str = "hostile") -> str:
        place = "conditioners.0" if kind == "conditioner" else kind
        model = trained_as(tiny_model, f"stages.base.{place}={{use='{use}', do='{do}'}}")
        command = ["generate", "audio", str(model), "--label", "low", "-o", "x.wav", "--quiet"]
        before, drawn = state(), torch.get_rng_state()
        assert main([*command, *options]) == code
        said = capsys.readouterr().err
        assert (state(), torch.equal(drawn, torch.get_rng_state())) == (before, True)
        assert [path.name for path in tmp_path.iterdir() if path.name != "site"] == ["x.wav"] * (code == 0)
        assert "\x1b" not in said
        assert len(said.splitlines()) <= 1
        if code:  # and others go on
            command = ["generate", "audio", str(tiny_model), "--label", "low", "--sampler", "good", "-o", "y.wav"]
            assert main([*command, "--quiet", "--set", "stages.base.steps=1"]) == 0
            assert capsys.readouterr().err == ""
        return said

    return run


WRITES = {
    "process": "alpha wrote into what it was given (argument 1, shape (",
    "sampler": "step wrote into what it was given (argument 1, shape (1, 1, 64))",
    "guidance": "what wrap gave wrote into what it was given (argument 1, shape (1, 1, 64))",
    "network": "forward wrote into what it was given (argument 1, shape (",
    "codec": "decode wrote into what it was given (argument 1, shape (1, 1, 64))",
    "conditioner": "forward wrote into what it was given (argument 1, shape (1, 4))",
}


@pytest.mark.parametrize("how", ["write", "write-past-torch"])
@pytest.mark.parametrize("kind", WRITES)
def test_part_that_writes_into_what_it_is_given_is_named_when_plugins_are_debugged(generate, kind, how):
    said = generate(kind, how, 5, "--debug-plugins")
    assert f"{kind} 'hostile' {NAMED}: {WRITES[kind]}" in said
    assert "fix it to work on copies" in said


def test_guidance_that_writes_into_conditions_is_named(generate):
    said = generate("guidance", "write-condition", 5, "--debug-plugins")
    assert "wrap wrote into what it was given (argument 2, shape (1, 8))" in said


@pytest.mark.parametrize("kind", [*WRITES, "grid", "objective"])
def test_part_that_does_nothing_wrong_gives_the_same_bytes_when_plugins_are_debugged(generate, kind):
    assert generate(kind, "", 0) == ""
    bytes_ = Path("x.wav").read_bytes()
    Path("x.wav").unlink()
    assert generate(kind, "", 0, "--debug-plugins") == ""
    assert Path("x.wav").read_bytes() == bytes_


CHANGES = {
    "set-dtype": "default dtype",
    "seed": "seed",
    "draw": "generator",
    "set-grad": "gradient mode",
    "threads": "number of threads",
}


@pytest.mark.parametrize(
    ("kind", "how"),
    [*(("sampler", how) for how in CHANGES), ("guidance", "seed"), ("network", "draw"), ("codec", "set-dtype")],
)
@pytest.mark.filterwarnings("default")
def test_part_that_changes_torch_is_undone(generate, kind, how):
    if how == "set-grad":  # which ends with the run by itself
        assert generate(kind, how, 0) == ""
    else:
        said = generate(kind, how, 0)
        assert "what ran of hostile-kit (hostile-kit 1.0) changed torch's" in said
        assert CHANGES[how] in said
        Path("x.wav").unlink()
    Path("x.wav").unlink(missing_ok=True)
    said = generate(kind, how, 5, "--debug-plugins")
    assert f"{kind} 'hostile' {NAMED}: " in said
    assert f"changed torch's {CHANGES[how]}; fix it" in said


@pytest.mark.parametrize(("how", "told"), [("chdir", "working directory"), ("ignore-signals", "handler of SIGTERM")])
@pytest.mark.filterwarnings("default")
def test_part_that_changes_the_process_is_undone(generate, how, told):
    before = os.getcwd(), signal.getsignal(signal.SIGTERM)
    assert f"what ran of hostile-kit (hostile-kit 1.0) changed the process's {told}: undone" in generate(
        "sampler", how, 0
    )
    Path("x.wav").unlink()
    said = generate("sampler", how, 5, "--debug-plugins")
    assert f"sampler 'hostile' {NAMED}: step changed the process's {told}; fix it" in said
    assert (os.getcwd(), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize("kind", ["sampler", "codec"])
def test_what_a_part_prints_is_no_output(generate, tiny_model, trained_as, capsys, kind):
    model = trained_as(tiny_model, f"stages.base.{kind}={{use='hostile', do='print'}}")
    assert main(["generate", "audio", str(model), "--label", "low", "-n", "2", "-o", "x.wav", "--json"]) == 0
    printed = capsys.readouterr()
    assert [json.loads(line)["path"] for line in printed.out.splitlines()] == ["x-0000.wav", "x-0001.wav"]
    assert "hello" in printed.err


GIVES = [
    ("network", "", "plain", "made a Plain, expected a torch module"),
    ("objective", "lacks-loss", "hostile", f"objective 'hostile' {NAMED} made a Objective without loss"),
    ("objective", "prediction", "hostile", "objective 'hostile': prediction is 3, expected a Prediction such as V"),
    ("conditioner", "names", "hostile", "conditioner Conditioner: names is 3, expected several texts"),
    *(
        ("conditioner", f"null-{how}", "hostile", "Conditioner: null gave ")
        for how in ("none", "text", "list", "empty")
    ),
    *(("conditioner", f"null-{how}", "hostile", "(hostile-kit 1.0): ") for how in ("raise", "exit")),
]


@pytest.mark.parametrize(("kind", "do", "use", "message"), GIVES, ids=[f"{kind}-{do}" for kind, do, *_ in GIVES])
def test_part_that_gives_what_it_should_not(generate, kind, do, use, message):
    assert message in generate(kind, do, 5, use=use)


METRICS = {
    **dict.fromkeys(("none", "text", "number", "list", "nan", "bool", "tensor", "empty"), "gave "),
    "raise": "raises raised LookupError: no such",
    "exit": "leaves raised SystemExit: 0",
}


@pytest.mark.parametrize("how", METRICS)
def test_metric_that_gives_what_it_should_not(kit, tiny_model, tones, capsys, how):
    command = ["evaluate", str(tiny_model), "--data", str(tones), "--metric", "hostile", "-n", "2"]
    assert main([*command, "--set", f"metrics.hostile.do='{how}'"]) == 5
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: ")
    assert "hostile" in said
    assert METRICS[how] in said
    assert main([*command, "--set", "metrics.hostile.do=''"]) == 0


MODALITY = [
    *(("spec", how) for how in ("none", "text", "raise", "exit")),
    *(("wrap", how) for how in ("none", "text", "raise", "exit")),
    *(("warnings", how) for how in ("none", "text", "number", "list", "raise", "exit")),
    *(("check_output", how) for how in ("raise", "exit")),
    *(("write", how) for how in ("raise", "exit")),
    *(("endings", how) for how in ("none",)),
]


@pytest.mark.parametrize(("method", "how"), MODALITY, ids=["-".join(one) for one in MODALITY])
def test_modality_that_gives_what_it_should_not(kit, tiny_model, capsys, monkeypatch, tmp_path, method, how):
    kind = type(build("modality", "sound"))
    monkeypatch.setattr(kind, "method", method)
    monkeypatch.setattr(kind, "give", how)
    command = ["generate", "sound", str(tiny_model), "--set", "modality='sound'", "--label", "low", "-o", "x.wav"]
    assert main([*command, "--quiet"]) == 5
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert len(said.splitlines()) == 1
    assert "sound" in said or "hostile-kit" in said
    assert [path.name for path in tmp_path.iterdir() if path.name != "site"] == []


@pytest.mark.parametrize("how", ["none", "text", "number", "list", "raise", "exit"])
def test_pipeline_that_is_no_table(kit, capsys, how):
    __import__("hostile_parts").HOW["pipeline"] = how
    assert main(["generate", "audio", "hostile", "-o", "x.wav"]) == 5
    assert f"pipeline 'hostile' {NAMED}" in capsys.readouterr().err
    assert main(["list"]) == 0
    assert main(["hostile"]) == 5
    assert "expected a click command, got int" in capsys.readouterr().err


def test_every_contract_that_takes_tensors_is_watched(kit):
    with debugging_plugins():
        for kind in ("process", "grid", "sampler", "guidance", "metric"):
            part = build(kind, "hostile")
            assert type(part).__name__ == type(build(kind, "hostile")).__name__
            assert any(vars(type(part)).get(name) is not None for name in METHODS[kind]), kind
        assert type(build("sampler", "euler")) is type(build("sampler", "euler"))
