"""The command line's frame: its commands, its errors, and what it says of parts, plugins and the registry."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import click
import pytest
from jsonschema import Draft202012Validator
from noiseform.core.cli.main import COMMANDS, main
from noiseform.core.registration.json_schema import TABLED
from noiseform.core.registration.kinds import KINDS
from noiseform.core.registration.parameters import check_parameters
from noiseform.core.registration.registry import current

COMMAND_LINE = {
    "generate": None,  # by modality: see the tests of generation
    "edit": None,
    "upscale": None,
    "train": None,
    "convert": ["SOURCE", "OUT", "--overwrite", "--allow-pickle", "--quiet"],
    "evaluate": [
        *("PIPELINE", "--data", "--metric", "-n", "--seed", "--batch-size", "--device", "--set", "--json"),
    ],
    "grid": [
        *("PIPELINE", "OUT", "--steps", "--sampler", "--stage"),
        *("--label", "--prompt", "--negative-label", "--negative-prompt"),
        *("--trials", "--seed", "--batch-size", "--device", "--overwrite", "--quiet"),
    ],
    "replay": None,
    "list": ["KIND", "--json"],
    "show": ["KIND/NAME|FOLDER", "--json"],
    "compat": None,
    "plugins list": ["--json"],
    "plugins new": ["NAME", "--kind", "-o"],
    "plugins check": ["DIST|KIND/NAME]...", "-x", "--verbose", "--json"],
    "plugins doctor": ["--verbose", "--json"],
    "registry show": ["--origin"],
    "registry schema": ["--recipe", "-o", "--overwrite"],
}


def run(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "noiseform.core.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **settings)


def failing_command(body: str) -> str:
    """Return a plugin with a command ``try-it`` of that body."""
    return (
        "import click\nfrom noiseform import hookimpl\nfrom noiseform.core import errors\n"
        "@hookimpl\ndef noiseform_commands(): return {'try-it': 'trying:try_it', 'list': 'trying:try_it'}\n"
        f"@click.command()\ndef try_it():\n    '''Try it.'''\n    {body}\n"
    )


def test_commands_are_frozen():
    assert sorted(COMMANDS) == sorted({line.split()[0] for line in COMMAND_LINE})
    for line, expected in COMMAND_LINE.items():
        if expected is None:
            continue
        words = line.split()
        context = click.Context(click.Group("noiseform"))
        from noiseform.core.cli.main import _group

        command = _group().get_command(context, words[0])
        assert command is not None
        for word in words[1:]:
            command = command.commands[word]
        names = [
            parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.make_metavar(context)
            for parameter in command.params
        ]
        assert [name.strip("[]") for name in names] == [*expected, "--registry", "--debug", "--debug-plugins"]


@pytest.mark.parametrize("arguments", [["--help"], ["list", "sampler"], ["list", "--json"], ["plugins", "list"]])
def test_light_commands_import_nothing_heavy(arguments):
    code = (
        "import sys; from noiseform.core.cli.main import main; code = main(sys.argv[1:])\n"
        "print({'torch', 'pydantic', 'numpy', 'rich', 'soundfile'} & set(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert done.stderr == "set()\n"


@pytest.mark.parametrize("arguments", [["--help"], ["list", "sampler"]])
def test_start_is_quick(arguments):
    """Hold the number of modules, which is what a start takes its time for; `make bench BENCH=start` tells seconds."""
    code = (
        "import sys; before = len(sys.modules); from noiseform.core.cli.main import main; main(sys.argv[1:])\n"
        "print(len(sys.modules) - before, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert 0 < int(done.stderr) < 250


def test_fifty_plugins_are_listed_without_their_parts(site):
    """Hold what a listing imports; `make bench BENCH=start` tells its seconds."""
    metadata = "Name: kit-{0}\nVersion: 1.0\nRequires-Dist: noiseform>=0.1,<0.2\nRequires-Dist: torch\n"
    for number in range(50):
        hooks = f"return {{'midpoint-{number}': 'kit_{number}_parts:Midpoint'}}"
        body = f"from noiseform import hookimpl\n@hookimpl\ndef noiseform_samplers():\n    {hooks}\n"
        modules = {f"kit_{number}": body, f"kit_{number}_parts": "import torch"}
        site.add(f"kit-{number}", modules, metadata=metadata.format(number))
    code = (
        "import sys; from noiseform.core.cli.main import main; code = main(sys.argv[1:])\n"
        "print(code, sorted(name for name in sys.modules if name in {'torch', 'pydantic', 'numpy', 'rich'} or "
        "name.startswith(('kit_', 'packaging.requirements'))), len(sys.modules), file=sys.stderr)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site.folder), *filter(None, sys.path)])}
    command = [sys.executable, "-c", code, "list", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    listed = {entry["name"] for entry in json.loads(done.stdout)}
    assert {f"midpoint-{number}" for number in range(50)} <= listed
    code, _, rest = done.stderr.partition(" ")
    imported, _, count = rest.rpartition(" ")
    assert (code, imported) == ("0", str(sorted(f"kit_{number}" for number in range(50))))
    assert int(count) < 450


def test_thread_of_a_plugin_that_the_process_waits_for_is_told(site, capsys):
    threads = "import threading\nlast = threading.Event()\n"
    threads += "threading.Thread(target=last.wait, name='wai\\x1bter').start()\n"
    threads += "threading.Thread(target=last.wait, name='servant', daemon=True).start()\n"
    hooks = "from noiseform import hookimpl\n@hookimpl\ndef noiseform_samplers(): return {}\n"
    site.add("kit", {"waiting_kit": threads + hooks})
    try:
        assert main(["list", "sampler"]) == 0
        said = "warning: all is done; waiting for threads that a plugin started: 'wai\\x1bter' (plugins doctor may"
        assert capsys.readouterr().err.startswith(said)
    finally:
        sys.modules["waiting_kit"].last.set()
    assert main(["list", "sampler"]) == 0
    assert capsys.readouterr().err == ""


def test_list(capsys):
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    for name in ("vp-cosine", "dpmpp-2m", "log-snr", "cfg", "unet-1d", "identity", "labels"):
        assert f"  {name} " in listed
    assert main(["list", "sampler", "--json"]) == 0
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert entries["ddim"]["full_name"] == "noiseform/ddim"
    assert entries[current().defaults["sampler"]]["note"] == "the default"


def test_list_shows_pipelines_of_the_user_and_clashes(capsys, site, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('[pipelines.mine]\nmodality = "audio"\n')
    site.add(
        "shadow",
        {"shadow": "from noiseform import hookimpl\n@hookimpl\ndef noiseform_samplers(): return {'ddim': dict}"},
    )
    assert main(["list", "--registry", str(file)]) == 0
    listed = capsys.readouterr().out
    assert f"{file}:1" in listed
    assert "claimed by several: write shadow/ddim" in listed
    assert main(["list", "pipeline"]) == 0  # the option held for one run
    assert "mine" not in capsys.readouterr().out


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "pipeline"])
def test_every_part_can_be_shown(kind, capsys):
    for part in current().plugins.parts(kind):
        assert main(["show", f"{kind}/{part.name}"]) == 0, part
        told = capsys.readouterr().out
        assert part.name in told
        assert "`" not in told, "no marks of reStructuredText"
        assert main(["show", f"{kind}/{part.full_name}", "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        Draft202012Validator.check_schema(shown)
        assert shown["x-noiseform"]["distribution"] == part.plugin.distribution
        assert shown["description"]
        (example,) = shown["examples"]
        if kind in set(TABLED) - {"metric"}:
            line = shown["x-noiseform"]["example"]
            assert line in told.splitlines(), "on a line of its own, whole"
            (pasted,) = tomllib.loads(line).values()
            assert (pasted[0] if kind == "conditioner" else pasted) == example
            check_parameters(part.load(), {name: one for name, one in example.items() if name != "use"}, what=kind)
        assert Draft202012Validator(shown).is_valid(example)
        assert not Draft202012Validator(shown).is_valid({**example, "no-such-thing": 1})
        assert not Draft202012Validator(shown).is_valid({**example, "use": "no-such-thing"})


def test_show_gives_each_parameter_with_its_meaning(capsys):
    assert main(["show", "sampler/ddim", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    eta = {"type": "number", "minimum": 0, "default": 0.0}
    assert shown["properties"]["eta"].items() >= eta.items()
    assert shown["properties"]["eta"]["description"].startswith("0 follows the probability-flow ODE, 1 is DDPM")
    assert (shown["required"], shown["properties"]["use"]) == (["use"], {"const": "ddim"})
    assert (shown["x-noiseform"]["order"], shown["x-noiseform"]["nfe_per_step"]) == (1, 1)
    assert shown["x-noiseform"]["file"].endswith("ddim.py")
    assert main(["show", "codec/mel", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["x-noiseform"]["given_by_host"] == {"media": {"required": True}}
    assert "media" not in shown["properties"]
    assert main(["show", "sampler/ddpm"]) == 0
    told = capsys.readouterr().out
    for fact in ("stochastic +yes", "NFE per step +1", "distribution +noiseform", "source +Ho et al. 2020"):
        assert re.search(f"^{fact}", told, re.MULTILINE), fact


def test_show_modality_gives_the_table_of_its_media(capsys):
    assert main(["show", "modality/audio"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"^sample_rate +integer from 1000 to 384000 +\(required\) +samples per second", told, re.MULTILINE)
    assert re.search(r"^channels +integer from 1 to 64 +1 +1 is mono", told, re.MULTILINE)
    assert main(["show", "modality/video", "--json"]) == 0
    media = Draft202012Validator(json.loads(capsys.readouterr().out)["x-noiseform"]["media"])
    assert media.is_valid({"height": 8, "width": 8, "fps": 8, "frames": 4})
    assert not media.is_valid({"height": 8, "width": 8, "fps": 8, "frames": 4, "seconds": 1})


def test_show_wraps_on_a_terminal_and_truncates_nowhere(capsys, monkeypatch):
    def told(*, terminal: bool) -> str:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
        assert main(["show", "network/dit"]) == 0
        return re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out)

    monkeypatch.setenv("COLUMNS", "70")
    meaning = "the paper's table: S (384, 12, 6), B (768, 12, 12), L (1024, 24, 16), XL (1152, 28, 16)."
    piped = told(terminal=False)
    assert meaning in piped
    wrapped = told(terminal=True)
    example = next(line for line in wrapped.splitlines() if line.startswith("network = {"))
    assert max(len(line) for line in wrapped.splitlines() if line != example) <= 70
    assert meaning not in wrapped
    assert "(1152," in wrapped
    assert "…" not in piped + wrapped


def test_a_part_of_a_clash_is_shown_by_its_full_name(capsys, site):
    body = "from noiseform import hookimpl\nclass Mine:\n    def __init__(self, a: list[int]): ...\n"
    site.add("shadow", {"shadow": body + "@hookimpl\ndef noiseform_samplers(): return {'ddim': Mine}"})
    assert main(["show", "sampler/shadow/ddim"]) == 0
    assert 'sampler = { use = "shadow/ddim", a = [1] }' in capsys.readouterr().out.splitlines()


def test_show_pipeline(capsys, tmp_path):
    assert main(["show", "pipeline/spoken-digits"]) == 0
    told = capsys.readouterr().out
    assert re.search("^conditions +labels: zero, one,.*; labels: george, jackson", told, re.MULTILINE)
    assert re.search("^media +sample_rate = 8000, seconds = 0.768$", told, re.MULTILINE)
    assert re.search(r"^base +guidance +cfg +scale = 2\.0$", told, re.MULTILINE)
    assert "stages.base.guidance.scale = 2.0" in told.splitlines()
    assert re.search("^plugin +spoken-digits$", told, re.MULTILINE)
    assert main(["show", "pipeline/spoken-digits", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["stages.base.steps"] == 25
    file = tmp_path / "mine.toml"
    file.write_text('[pipelines.mine]\nweights = "noiseform.plugins.garments:weights"\n')
    assert main(["show", "pipeline/mine", "--registry", str(file)]) == 0
    assert re.search(f"^named in +{file}:1$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize("arguments", [[], ["--recipe"]])
def test_registry_schema(arguments, capsys, tmp_path, site):
    (site.folder / "mine_here.py").write_text(
        "from noiseform import hookimpl\nclass Mine:\n    def __init__(self, a: int = 0): ...\n"
        "@hookimpl\ndef noiseform_samplers(): return {'mine': Mine}\n"
    )
    file = tmp_path / "mine.toml"
    file.write_text('[plugins]\nmine = "mine_here"\n[pipelines.mine]\nweights = "runs/a"\n')
    assert main(["registry", "schema", *arguments, "--registry", str(file)]) == 0
    schema = json.loads(capsys.readouterr().out)
    output = tmp_path / "schema.json"
    again = ["registry", "schema", *arguments, "--registry", str(file), "-o", str(output)]
    assert main(again) == 0
    assert json.loads(output.read_text()) == schema
    assert main(again) == 2
    assert "it exists" in capsys.readouterr().err
    Draft202012Validator.check_schema(schema)
    assert schema["$defs"]["sampler.registry.mine"]["properties"]["use"] == {"enum": ["mine", "registry/mine"]}
    if not arguments:
        assert Draft202012Validator(schema).is_valid(tomllib.loads(file.read_text()))
        assert not Draft202012Validator(schema).is_valid({"pipelines": {"mine": {"summary": "no weights"}}})


def test_show_names_bounds(capsys):
    assert main(["show", "sampler/ddim"]) == 0
    shown = capsys.readouterr().out
    assert "number >= 0" in shown
    assert 'sampler = { use = "ddim", eta = 0.0, clip = 0.0, brownian = false }' in shown


def test_doctor(capsys, site):
    site.add("broken", {"broken": "raise OSError('libc10_cuda.so')"})
    assert main(["plugins", "doctor"]) == 5
    printed = capsys.readouterr()
    told = printed.out
    assert f"OSError: libc10_cuda.so ({site.folder / 'broken.py'}:1)" in told
    assert "Traceback" not in printed.err
    assert main(["plugins", "doctor", "--debug"]) == 5
    assert "Traceback" in capsys.readouterr().err
    assert "registry (built-in)" in told
    assert main(["plugins", "list", "--json"]) == 0
    plugins = {plugin["name"]: plugin for plugin in json.loads(capsys.readouterr().out)}
    assert plugins["broken"]["state"] == "set aside"
    assert plugins["broken"]["version"] == "1.0"


def test_registry_show(capsys, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('[defaults]\nsampler = "ddim"\n')
    assert main(["registry", "show", "--origin", "--registry", str(file)]) == 0
    shown = capsys.readouterr().out
    assert f'defaults.sampler = "ddim"  # {file}:2' in shown
    assert "registry.toml:4" in shown


ERRORS = {
    ("lst",): (2, "no such command 'lst'; did you mean 'list'"),
    ("LIST",): (2, "no such command 'LIST'; did you mean 'list'?; see noiseform --help"),
    ("list", "--registry"): (2, "Option '--registry' requires an argument; see noiseform list --help"),
    ("list", "smapler"): (2, "unknown kind of part 'smapler'; did you mean 'sampler'"),
    ("list", "--jsn"): (2, "--jsn"),
    ("list", "a", "b"): (2, "unexpected extra argument"),
    ("show",): (2, "Missing argument"),
    ("show", "sampler"): (2, "expected KIND/NAME"),
    ("show", "sampler/"): (2, "expected KIND/NAME"),
    ("show", "sampler/dimm"): (2, "did you mean 'ddim'"),
    ("show", "pipeline/../../etc"): (2, "unknown pipeline"),
    ("show", "sampler/a\n\x1b[31mb"): (2, r"a\n\x1b[31mb"),
    ("--registry", "no-such-file", "list"): (2, "no-such-file"),
    ("plugins",): (2, "Usage"),
    ("plugins", "install", "x"): (2, "install"),
}


@pytest.mark.parametrize("arguments", ERRORS, ids=" ".join)
def test_wrong_line_gives_one_line(arguments, capsys):
    code, reason = ERRORS[arguments]
    assert main(arguments) == code
    printed = capsys.readouterr()
    assert reason in printed.err
    assert "Traceback" not in printed.err
    assert "\x1b" not in printed.err
    if reason != "Usage":
        assert printed.err.startswith("error: ")
        assert printed.err.count("\n") == 1


def test_help_survives_a_broken_registry(capsys, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[")
    assert main(["list", "--registry", str(file)]) == 2
    assert main(["--help"]) == 0
    environment = {**os.environ, "NOISEFORM_REGISTRY": str(file)}
    done = run("--help", env=environment)
    assert done.returncode == 0
    assert "Commands:" in done.stdout
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("pass", 0, ""),
        ("raise errors.MediaError('x.wav: empty file')", 3, "error: x.wav: empty file\n"),
        ("raise errors.NumericError('not finite')", 7, "error: not finite\n"),
        ("1 / 0", 5, "command of plugin trying (trying 1.0) raised ZeroDivisionError"),
        ("raise MemoryError", 6, "memory ran out"),
        ("raise OSError(28, 'No space left on device', 'x.wav')", 6, "x.wav: No space left on device"),
        ("raise KeyboardInterrupt", 130, "error: interrupted\n"),
        ("raise SystemExit(4)", 4, ""),
        ("raise click.Abort", 130, "interrupted"),
        ("raise click.ClickException('no')", 2, "error: no\n"),
        ("import warnings; warnings.warn('mind\\nthis')", 0, "warning: mind\\nthis\n"),
    ],
)
@pytest.mark.filterwarnings("default")
def test_command_of_a_plugin(site, capsys, body, code, message):
    site.add("trying", {"trying": failing_command(body)})
    assert main(["try-it"]) == code
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == bool(message)
    assert main(["trying/try-it"]) == code
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert "from trying 1.0" in told
    assert "trying/list" in told
    assert main(["list", "command"]) == 0  # noiseform's own command, not the plugin's


def test_debug_shows_the_traceback(site, capsys):
    assert main(["list", "x", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_terminated_cleans_up(site, tmp_path):
    body = """import pathlib, time
    here = pathlib.Path('here')
    try:
        here.touch()
        time.sleep(30)
    finally:
        here.unlink()"""
    site.add("trying", {"trying": failing_command(body)})
    environment = {**os.environ, "PYTHONPATH": str(site.folder)}
    command = [sys.executable, "-m", "noiseform.core.cli.main", "try-it"]
    told = {signal.SIGTERM: (143, "terminated"), signal.SIGINT: (130, "interrupted"), signal.SIGHUP: (129, "hung up")}
    for number, (code, word) in told.items():
        process = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 20
        while not Path(tmp_path / "here").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        _, error = process.communicate(timeout=20)
        assert process.returncode == code
        assert error == f"error: {word}\n"
        assert not (tmp_path / "here").exists()


def test_reader_that_goes_away(site):
    site.add("trying", {"trying": failing_command("[print('x' * 1000) for _ in range(10000)]")})
    environment = {**os.environ, "PYTHONPATH": str(site.folder)}
    command = [sys.executable, "-m", "noiseform.core.cli.main", "try-it"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=20) == 141
