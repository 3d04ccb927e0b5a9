"""Compiled networks: the same as the network, or the network itself with one line that says why."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from noiseform import audio, image, video
from noiseform.core.cli.main import main
from noiseform.core.errors import ConfigError, PluginError
from noiseform.core.pipeline.compiled import BOUNDS, MAX_FORMS, Compiler
from noiseform.core.pipeline.record import read
from noiseform.modalities.audio.reading import read_record
from torch import Tensor, nn

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, filter(None, (os.environ.get("CXX"), "g++", "clang++")))),
    reason="torch.compile takes a C++ compiler, and there is none",
)


class Small(nn.Module):
    """Two convolutions with the time between them."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.enter, self.leave = nn.Conv1d(1, 8, 3, padding=1), nn.Conv1d(8, 1, 3, padding=1)
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor, time: Tensor, cond: dict[str, Tensor]) -> Tensor:
        hidden = self.enter(x) + time[:, None, None].to(x.dtype)
        if "vector" in cond:
            hidden = hidden + cond["vector"].unsqueeze(2)
        return self.leave(nn.functional.silu(hidden))


class Breaking(Small):
    """A network that decides by the values of its input, which no compiler can follow."""

    def forward(self, x: Tensor, time: Tensor, cond: dict[str, Tensor]) -> Tensor:
        return super().forward(x if x.sum().item() > 0 else -x, time, cond)


def items(rows: int, width: int = 16) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows)
    return torch.randn(rows, 1, width, generator=generator), torch.rand(rows, generator=generator)


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a folder for what inductor keeps, the same for the whole file."""
    return str(tmp_path_factory.mktemp("inductor"))


@pytest.fixture(autouse=True)
def _own_cache(cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", cache)
    monkeypatch.delenv("TORCH_LOGS", raising=False)


@pytest.fixture
def compile_as(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Tensor], object]], list[object]]:
    """Return a function that has torch.compile give the network's own output, changed; what was compiled is listed."""

    def use(change: Callable[[Tensor], object]) -> list[object]:
        compiled: list[object] = []

        def fake(function: Callable[..., Tensor], **options: object) -> Callable[..., object]:
            compiled.append(function)
            return lambda *given: change(function(*given))

        monkeypatch.setattr(torch, "compile", fake)
        return compiled

    return use


@needs_compiler
def test_gives_the_same_as_the_network():
    told: list[str] = []
    compiler = Compiler(told.append)
    networks = [Small(), Small(seed=1)]  # alike but for the weights, which are frozen into the code
    for network, compiled in [(network, compiler.of(network)) for network in networks]:
        for x, time in (items(1), items(2), items(1)):
            own, output = network(x, time, {}), compiled(x, time, {})
            assert (output - own).abs().max() <= 1e-5 * own.abs().max()
            assert torch.equal(compiled(x, time, {}), output)
    assert compiler.calls == 12
    assert [line.partition(";")[0] for line in told] == 2 * [
        "compiling network Small for inputs of 1 x 1 x 16",
        "compiling network Small for inputs of 2 x 1 x 16",
    ]


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize(
    "change",
    [
        lambda output: output * 1.06,
        lambda output: output + 0.06 * output.abs().max() * (output == output.max()),
        lambda output: output * float("nan"),
        lambda output: output[:, :, 1:],
        lambda output: output.double(),
        lambda output: None,
    ],
    ids=["scaled", "one value", "nan", "shape", "dtype", "nothing"],
)
def test_wrong_form_is_found_and_not_used(compile_as, change, dtype):
    compiled_for = compile_as(change)
    network, compiler = Small().to(dtype), Compiler()
    compiled = compiler.of(network)
    x, time = items(2)
    x = x.to(dtype)
    with pytest.warns(UserWarning, match=r"compile: network Small: compiled, its output is off by .*; ") as warned:
        assert torch.equal(compiled(x, time, {}), network(x, time, {}))
    assert len(warned) == 1
    assert "\n" not in str(warned[0].message)
    for rows in (2, 3):  # silently, from then on
        x, time = items(rows)
        assert torch.equal(compiled(x.to(dtype), time, {}), network(x.to(dtype), time, {}))
    assert (compiler.calls, len(compiled_for)) == (0, 1)


def test_one_percent_off_is_found_and_a_millionth_is_not(compile_as):
    compile_as(lambda output: output * 1.01)
    with pytest.warns(UserWarning, match=r"off by 0\.01 of the largest value, where 0\.001 is allowed"):
        Compiler().of(Small())(*items(1), {})
    compile_as(lambda output: output * (1 + 1e-6))
    network, compiler = Small(), Compiler()
    x, time = items(1)
    assert not torch.equal(compiler.of(network)(x, time, {}), network(x, time, {}))
    assert compiler.calls == 1


def test_what_compiles_anew_is_compared_anew(compile_as):
    compiled_for = compile_as(lambda output: output)
    compiled = Compiler().of(Small())
    compiled(*items(1), {})
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        compiled(*items(1), {})
    finally:
        torch.set_num_threads(threads)
    with torch.autocast("cpu", torch.bfloat16):
        compiled(*items(1), {})
    compiled(*items(1), {})
    assert len(compiled_for) == 3


def test_nothing_in_the_place_of_zeros_is_found(compile_as):
    compile_as(lambda output: output + 1e-9)
    network = Small()
    for parameter in network.parameters():
        parameter.zero_()
    with pytest.warns(UserWarning, match="off by inf"):
        assert not Compiler().of(network)(*items(1), {}).any()


def test_every_shape_is_compared(compile_as):
    compile_as(lambda output: output if len(output) == 1 else output * 1.01)
    network, compiler = Small(), Compiler()
    compiled = compiler.of(network)
    compiled(*items(1), {})
    with pytest.warns(UserWarning, match="off by"):
        compiled(*items(2), {})
    compiled(*items(1), {})
    assert compiler.calls == 1  # what was wrong once is not trusted with another shape either


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("first line\n\n  File x.py\n"), r"RuntimeError: first line\); .*; leave out compile"),
        (ValueError(), r"\(ValueError\)"),
        (RuntimeError("CppCompileError: C++ compile error"), "install a C\\+\\+ compiler"),
    ],
    ids=str,
)
def test_failing_compiler_costs_one_line(monkeypatch, capfd, error, reason):
    def fail(*given: object, **options: object) -> object:
        import logging

        logging.getLogger("torch._inductor").error("many\nlines")
        warnings.warn("of torch's own", stacklevel=1)
        raise error

    monkeypatch.setattr(torch, "compile", fail)
    network = Small()
    compiled = Compiler().of(network)
    x, time = items(1)
    with pytest.warns(UserWarning, match=rf"compile: network Small: not compiled \(.*{reason}|{reason}") as warned:
        assert torch.equal(compiled(x, time, {}), network(x, time, {}))
    assert torch.equal(compiled(x, time, {}), network(x, time, {}))
    assert len(warned) == 1
    assert "\n" not in str(warned[0].message)
    assert capfd.readouterr() == ("", "")


def test_network_that_cannot_be_followed_runs_as_it_is(capfd):
    network = Breaking()
    compiled = Compiler().of(network)
    x, time = items(1)
    with pytest.warns(UserWarning, match=r"network Breaking: not compiled \(.+\); it runs uncompiled") as warned:
        assert torch.equal(compiled(x, time, {}), network(x, time, {}))
    assert len(warned) == 1
    assert capfd.readouterr() == ("", "")


def test_interrupt_passes(monkeypatch):
    def interrupted(*given: object, **options: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "compile", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Compiler().of(Small())(*items(1), {})


def test_forms_are_few(compile_as):
    compiled_for = compile_as(lambda output: output)
    compiled = Compiler().of(Small())
    for rows in range(1, MAX_FORMS + 1):
        compiled(*items(rows), {})
    with pytest.warns(UserWarning, match=f"compiled for {MAX_FORMS} shapes already"):
        compiled(*items(MAX_FORMS + 1), {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rows in range(1, MAX_FORMS + 4):
            compiled(*items(rows), {})
    assert len(compiled_for) == MAX_FORMS


def test_what_torch_tells_apart_is_another_shape(compile_as):
    compiled_for = compile_as(lambda output: output)
    compiled = Compiler().of(Small())
    x, time = items(2)
    compiled(x, time, {})
    compiled(x, time, {"vector": torch.ones(2, 8)})
    compiled(x, time, {"vector": torch.ones(1, 8).expand(2, 8)})
    with torch.inference_mode():
        compiled(*items(2), {})
    assert len(compiled_for) == 4
    compiled(x.clone(), time.clone(), {})
    assert len(compiled_for) == 4


def test_training_is_never_compiled(compile_as):
    compiled_for = compile_as(lambda output: output)
    with torch.enable_grad():
        x, time = items(1)
        x.requires_grad_()
        (gradient,) = torch.autograd.grad(Compiler().of(Small())(x, time, {}).sum(), x)
    assert gradient.any()
    assert compiled_for == []


def test_values_that_are_not_finite_settle_nothing(compile_as):
    compiled_for = compile_as(lambda output: output)
    compiler = Compiler()
    compiled = compiler.of(Small())
    x, time = items(1)
    assert compiled(x * float("inf"), time, {}).isnan().any()  # for the loop to tell
    assert compiled_for == []
    compiled(x, time, {})
    assert compiler.calls == 1


def test_network_that_breaks_its_contract_is_told_as_ever():
    class Halving(Small):
        def forward(self, x: Tensor, time: Tensor, cond: dict[str, Tensor]) -> Tensor:
            return super().forward(x, time, cond)[..., ::2]

    with pytest.raises(PluginError, match="network Halving"):
        Compiler().of(Halving())(*items(1), {})


@needs_compiler
def test_files_are_the_same_again_and_close_to_the_network_s_own(tiny_model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["generate", "audio", str(tiny_model), "--label", "low", "--seed", "3"]
    assert main([*command, "--compile", "-n", "2", "-o", "two.wav", "--previews", "steps"]) == 0
    said = capsys.readouterr()
    assert said.err == "compiling network UNet1d for inputs of 2 x 1 x 64; the first time takes minutes\n"
    assert "(item 1, 8 NFE, " in said.out
    assert len(list(Path("steps").iterdir())) == 8
    assert main([*command, "--compile", "-o", "one.wav", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert Path("one.wav").read_bytes() == Path("two-0000.wav").read_bytes()
    table = read_record("one.wav")
    assert table["compile"] is True
    assert main(["replay", "two-0001.wav", "--pipeline", str(tiny_model)]) == 0
    said = capsys.readouterr()
    assert "the same, byte by byte (8 NFE" in said.out
    assert said.err.startswith("compiling ")

    (own,) = audio.generate(str(tiny_model), label="low", seed=3)
    assert {**table, "compile": None} == {**own.record, "compile": None}
    assert "compile" not in own.record
    assert [read(one, where="x").compile for one in (table, own.record)] == [True, False]
    pipeline = audio.load(str(tiny_model), compile=True)
    (compiled,) = audio.generate(pipeline, label="low", seed=3)
    assert 0 < (own.samples - compiled.samples).abs().max() <= 1e-3
    with pytest.raises(ConfigError, match="say it to load"):
        audio.generate(pipeline, compile=True)
    with pytest.raises(ConfigError, match="compile: expected True or False, got 'yes'"):
        audio.load(str(tiny_model), compile="yes")


def test_both_models_of_a_guidance_and_batches_are_compiled(compile_as, tiny_model):
    compiled_for = compile_as(lambda output: output)
    weaker = [f"stages.base.guidance={{use='autoguidance', weights='{tiny_model}', scale=2.0}}"]
    pipeline = audio.load(str(tiny_model), settings=weaker, compile=True)
    made = audio.generate(pipeline, label="low", count=4, batch_size=4)
    own = audio.generate(str(tiny_model), label="low", count=4, batch_size=4, settings=weaker)
    assert len(compiled_for) == 2
    for compiled, plain in zip(made, own, strict=True):
        assert torch.equal(compiled.samples, plain.samples)
        assert compiled.record == {**plain.record, "compile": True}


def test_without_a_compiler_the_file_is_the_network_s_own(tiny_model, tmp_path):
    """In a process of its own, since torch looks for its compiler once."""
    program = "import sys; from noiseform.core.cli.main import main; code = main(); "
    program += "print('torch._dynamo' in sys.modules); sys.exit(code)"
    command = [sys.executable, "-c", program, "generate", "audio", str(tiny_model), "--label", "low", "--quiet"]
    environment = {**os.environ, "CXX": str(tmp_path / "none"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    said = {}
    for name, options in (("plain", []), ("compiled", ["--compile"])):
        run = subprocess.run(
            [*command, *options, "-o", str(tmp_path / f"{name}.wav")],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        said[name] = (run.stdout.strip(), run.stderr)
    assert said["plain"] == ("False", "")  # which takes two seconds to import
    imported, line = said["compiled"]
    assert imported == "True"
    assert line.startswith("warning: compile: network UNet1d: not compiled (")
    assert line.endswith("; it runs uncompiled; install a C++ compiler such as g++\n")
    assert line.count("\n") == 1
    assert (tmp_path / "plain.wav").read_bytes() == (tmp_path / "compiled.wav").read_bytes()


EMBEDDED = [(audio, "spoken-digits"), (audio, "spoken-digits-wave"), (image, "garments"), (image, "pictograms")]
EMBEDDED += [(video, "turning-fruit")]


@pytest.mark.parametrize(("verbs", "name"), EMBEDDED, ids=[name for _, name in EMBEDDED])
def test_a_compiler_can_follow_an_embedded_network_of_each_kind(verbs, name, monkeypatch):
    """By what torch's compiler does before it makes code, which takes it minutes."""
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda call, *, options, **more: compile_(call, backend="eager", **more))
    pipeline = verbs.load(name, steps=2, compile=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        verbs.generate(pipeline)
    assert pipeline.compiler.calls > 0
