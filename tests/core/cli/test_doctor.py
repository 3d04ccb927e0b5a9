"""``noiseform plugins doctor``: what each import costs, by whom it comes, what is wrong, and what cures it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from noiseform.core.cli import doctor
from noiseform.core.cli.main import main
from noiseform.core.registration.import_cost import import_costs
from noiseform.core.registration.installed import Candidate, came_by
from noiseform.core.registration.registry import current

SAMPLER = "from noiseform import hookimpl\n@hookimpl\ndef noiseform_samplers(): return {'NAME': 'kit_parts:Kit'}\n"
PARTS = "class Kit:\n    order, stochastic, nfe_per_step, init, step = 1, False, 1, None, None\n"
METADATA = "Name: {0}\nVersion: 1.0\nRequires-Dist: noiseform>=0.1\n"

BAD = {
    "hangs": "import time\ntime.sleep(600)",
    "exits-at-once": "import os\nos._exit(0)",
    "exits": "import os\nos._exit(3)",
    "crashes": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "interrupts": "raise KeyboardInterrupt",
    "raises": "raise OSError('no such thing')",
    "leaves": "raise SystemExit(4)",
}
REASONS = {
    "hangs": "its import did not end within 4 s",
    "exits-at-once": "its import ended the interpreter (exit code 0)",
    "exits": "its import ended the interpreter (exit code 3)",
    "crashes": "its import ended the interpreter (signal 9)",
    "interrupts": "its import raised KeyboardInterrupt",
    "raises": "OSError: no such thing",
    "leaves": "SystemExit: 4",
}


def add(site, name: str, top: str = "", **settings: object) -> None:
    """Add a plugin with a sampler of its name, whose module begins with something."""
    modules = {name.replace("-", "_"): f"{top}\n{SAMPLER.replace('NAME', name)}", "kit_parts": PARTS}
    site.add(name, modules, **{"metadata": METADATA.format(name), **settings})


def examined(capsys, code: int) -> tuple[dict[str, dict], list[dict]]:
    """Return what the doctor says of plugins from outside, by name, and the problems."""
    assert main(["plugins", "doctor", "--json"]) == code
    said = json.loads(capsys.readouterr().out)
    assert said["libraries"]["torch"] != "not installed"
    return {one["name"]: one for one in said["plugins"] if one["came_by"] != "noiseform itself"}, said["problems"]


def test_imports_that_do_not_end_harm_nothing(site, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "IMPORT_LIMIT", 4.0)
    for name, source in BAD.items():
        site.add(name, {name.replace("-", "_"): source}, metadata=METADATA.format(name))
    add(site, "good")
    plugins, problems = examined(capsys, 5)
    assert plugins["good"]["state"] == "loaded"
    for name, reason in REASONS.items():
        assert plugins[name]["state"] == "set aside", name
        assert reason in plugins[name]["reason"]
        (problem,) = (one for one in problems if one["what"] == f"plugin {name} ({name} 1.0)")
        assert reason in problem["why"]
        assert f'[plugins] disable = ["{name}"]' in problem["cure"]
        assert problem["unusable"]
    assert len(problems) == len(BAD)


def test_heavy_library_is_named_with_its_seconds_though_another_imported_it_before(site, capsys):
    (site.folder / "matplotlib.py").write_text("import time\ntime.sleep(0.3)\nimport scipy\n")
    (site.folder / "scipy.py").write_text("import time\ntime.sleep(0.1)\n")
    add(site, "first", "import matplotlib")
    add(site, "second", "import scipy, matplotlib")
    add(site, "light", "import json\ndef later():\n    import matplotlib")
    add(site, "slow", "import time\ntime.sleep(0.2)")
    __import__("scipy")
    current().plugins  # noqa: B018  # both are in this process by now
    site.forget()
    plugins, problems = examined(capsys, 0)
    assert list(plugins["first"]["libraries"]) == ["matplotlib"]  # scipy came by way of it
    assert plugins["first"]["libraries"]["matplotlib"] >= 0.4
    assert list(plugins["second"]["libraries"]) == ["matplotlib", "scipy"]
    assert plugins["second"]["libraries"]["scipy"] >= 0.1
    assert plugins["light"]["libraries"] == {}
    assert plugins["light"]["seconds"] < 0.3 <= plugins["first"]["seconds"]
    told = {(one["what"].split()[1], one["why"].split(":")[0]): one for one in problems}
    assert {who for who, _ in told} == {"first", "second", "slow"}
    why = "imports matplotlib at its top, itself or by what it imports there"
    assert "s at every start" in told["first", why]["why"]
    assert told["first", why]["cure"].startswith("import it inside of the part's module")
    assert not any(one["unusable"] for one in problems)
    assert any(one["why"].endswith("s at every start") for one in problems if "slow" in one["what"])


def test_printing_and_threads_are_told_and_harm_no_json(site, capsys):
    add(site, "loud", "print('hello')")
    add(site, "loud-on-stderr", "import sys\nprint('hello', file=sys.stderr)")
    add(site, "flooding", "for _ in range(300): print('x' * 1000)")
    add(site, "threads", "import threading, time\nthreading.Thread(target=time.sleep, args=(2,), daemon=True).start()")
    _, problems = examined(capsys, 0)
    assert {(one["what"].split()[1], one["why"]) for one in problems} == {
        *((name, "prints when it is imported") for name in ("loud", "loud-on-stderr", "flooding")),
        ("threads", "starts 1 thread when it is imported"),
    }


@pytest.mark.filterwarnings("default")
def test_what_an_import_changes_for_all_is_told(site, capsys, tmp_path):
    changes = "import atexit, os, signal, sys, warnings\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    changes += f"os.chdir({str(tmp_path)!r})\nos.umask(0o177)\nsys.stderr = None\nsys.setrecursionlimit(4000)\n"
    changes += "warnings.simplefilter('ignore')\natexit.register(int)\natexit.register(int)"
    add(site, "changing", changes)
    add(site, "plain", "import weakref\nweakref.finalize(sys.__class__ if (sys := __import__('sys')) else None, int)")
    assert main(["plugins", "doctor", "--json"]) == 0
    printed = capsys.readouterr()
    problems = json.loads(printed.out)["problems"]
    assert printed.err.startswith(
        "warning: plugin changing (changing 1.0) changed the process's recursion limit, working directory, umask, "
    )
    assert {one["why"].removesuffix(" when it is imported") for one in problems} == {
        "has 2 functions run at exit",
        "changes the process's recursion limit, working directory, umask, handler of SIGTERM, sys.stderr, "
        "warning filters",
    }
    assert {one["what"].split()[1] for one in problems} == {"changing"}


def test_interrupt_ends_the_interpreters(site, tmp_path):
    program = f"import time, pathlib\ntime.sleep(2)\npathlib.Path({str(tmp_path / 'late')!r}).touch()"
    site.add("sleeps", {"sleeps": program, "naps": program.replace("late", "later")})

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        with pytest.raises(KeyboardInterrupt):
            import_costs(["sleeps", "naps"], limit=20)
    finally:
        signal.signal(signal.SIGALRM, before)
    time.sleep(2)
    assert not list(tmp_path.glob("late*"))


def test_measuring_ends_what_the_import_started(site, tmp_path):
    program = f"import time, pathlib; time.sleep(1); pathlib.Path({str(tmp_path / 'late')!r}).touch()"
    site.add("forks", {"forks": f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {program!r}])"})
    assert import_costs(["forks"], limit=20)["forks"].seconds is not None
    time.sleep(1.3)
    assert not (tmp_path / "late").exists()


def test_outsiders_come_first_and_noiseforms_own_are_counted(site, capsys):
    add(site, "kit")
    assert main(["plugins", "doctor"]) == 0
    facts, told, _ = capsys.readouterr().out.split("\n\n")
    names = [line.split("  ")[0] for line in facts.splitlines()]
    assert len(set(names)) == len(names)
    (origins,) = (line for line in facts.splitlines() if line.startswith("registry (plugins)"))
    assert origins.count("plugin pictograms (") == 1
    lines = told.splitlines()
    assert [line.split()[0] for line in lines] == ["PLUGIN", "kit", "and"]
    own = [one for one in current().plugins.plugins if one.candidate.builtin]
    assert lines[2].startswith(f"and {len(own)} plugins of noiseform itself, all loaded")
    assert main(["plugins", "doctor", "--verbose"]) == 0
    lines = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert lines[1].startswith("kit ")
    assert len(lines) == 2 + len(own)


def test_torch_that_cannot_be_imported_is_tried_once(site, tmp_path):
    """In a process of its own, since torch crashes when its import is tried again."""
    (site.folder / "torch.py").write_text(
        f"open({str(tmp_path / 'tries')!r}, 'a').write('x')\nraise RuntimeError('no libc10')\n"
    )
    code = "import sys; from noiseform.core.cli.main import main; sys.exit(main(['plugins', 'doctor', '--json']))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site.folder), *filter(None, sys.path)])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment)
    assert (done.stderr, done.returncode) == ("", 5)
    (problem,) = json.loads(done.stdout)["problems"]
    assert (problem["what"], problem["why"]) == ("torch", "cannot be imported: RuntimeError: no libc10")
    assert (tmp_path / "tries").read_text() == "x"


@pytest.mark.filterwarnings("default")
def test_what_to_do_is_told(site, capsys, tmp_path):
    add(site, "silent", metadata="Name: silent\nVersion: 1.0\n")
    add(site, "old", metadata="Name: old\nVersion: 1.0\nRequires-Dist: noiseform<0.1\n")
    site.add("lacking", {"lacking": "import no_such_module"}, metadata=METADATA.format("lacking"))
    site.add("later", {"later": ""}, metadata="Name: later\nVersion: 1.0\nRequires-Dist: noiseform>=9\n")
    site.add("broken", {"broken": ""}, metadata="")
    site.add("shadow", {"shadow": SAMPLER.replace("NAME", "ddim")}, metadata=METADATA.format("shadow"))
    file = tmp_path / "registry.toml"
    file.write_text('[plugins]\nmine = "no_such_plugin"\n')
    assert main(["plugins", "doctor", "--registry", str(file)]) == 5
    printed = capsys.readouterr()
    assert printed.err.startswith("warning: plugin old (old 1.0): it says that it works with noiseform <0.1")
    assert printed.err.count("\n") == 1
    rows = printed.out.partition("\nproblems: ")[2].splitlines()
    assert rows[0] == "7"
    cures = {row.split("  ")[0]: row.rpartition("  ")[2] for row in rows[2:]}
    assert cures == {
        "plugin mine (registry)": f"correct it, or the line {file}:2",
        "plugin silent (silent 1.0)": 'its author names one in pyproject.toml: dependencies = ["noiseform>=0.1,<0.2"]',
        "plugin old (old 1.0)": "update old, or tell its author",
        "plugin lacking (lacking 1.0)": (
            'install what it lacks, or leave it out: [plugins] disable = ["lacking"] in registry.toml'
        ),
        "plugin later (later 1.0)": ('update noiseform (pip install "noiseform>=9"), or install an earlier later'),
        "plugin broken (broken)": "install it anew: pip install --force-reinstall broken",
        "sampler 'ddim'": (
            'write noiseform/ddim or shadow/ddim, or [plugins] prefer = { "sampler:ddim" = "noiseform" } in '
            "registry.toml"
        ),
    }


def test_torchaudio_that_cannot_load_is_a_failure(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    _, problems = examined(capsys, 5)
    assert [(one["what"], one["unusable"]) for one in problems] == [("torchaudio", True)]


def test_part_that_cannot_be_imported_leads_nowhere_else(site, capsys):
    metadata = METADATA.format("lost")
    site.add("lost", {"lost": SAMPLER.replace("NAME", "lost"), "kit_parts": "Kits = 3"}, metadata=metadata)
    _, problems = examined(capsys, 5)
    (lost,) = (one for one in problems if one["what"] == "sampler/lost")
    assert lost["why"].endswith("; did you mean 'Kits'?")


def test_module_that_cannot_be_imported_is_told_once_with_its_parts_and_its_line(site, capsys):
    names = {"cubic": "nc_first_impl:Cubic", "tilted": "nc_first_impl:Tilted", "other": "nc_other:Other"}
    modules = {
        "nc_first": f"from noiseform import hookimpl\n@hookimpl\ndef noiseform_samplers(): return {names}\n",
        "nc_first_impl": "class Cubic:\n    eta = churn\nclass Tilted: pass\n",
        "nc_other": "import no_such_module",
    }
    site.add("nc-first", modules, metadata=METADATA.format("nc-first"))
    place = f"{site.folder / 'nc_first_impl.py'}:2"
    _, problems = examined(capsys, 5)
    module, other = problems
    assert module["what"] == "module nc_first_impl: sampler/cubic, sampler/tilted"
    told = f"cannot be imported: NameError: name 'churn' is not defined ({place})"
    assert module["why"] == f"plugin nc-first (nc-first 1.0): it {told}"
    assert other["what"] == "sampler/other"
    assert other["why"].endswith(f"No module named 'no_such_module' ({site.folder / 'nc_other.py'}:1)")
    assert other["cure"] == "install what it lacks"
    assert main(["show", "sampler/cubic"]) == 5
    assert f"nc_first_impl:Cubic {told}; see noiseform plugins doctor\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"WHEEL": "Wheel-Version: 1.0\n", "INSTALLER": "pip\n"}, "wheel, by pip"),
        ({"WHEEL": "Wheel-Version: 1.0\n", "INSTALLER": "uv"}, "wheel, by uv"),
        ({}, "metadata"),
        ({"direct_url.json": '{"url": "file:///home/kit", "dir_info": {"editable": true}}'}, "editable, /home/kit"),
        ({"direct_url.json": '{"url": "file:///home/kit", "dir_info": {}}'}, "from the folder /home/kit"),
        (
            {"direct_url.json": '{"url": "https://me:secret@example.org/kit.whl", "archive_info": {}}'},
            "from https://example.org/kit.whl",
        ),
        (
            {"direct_url.json": '{"url": "https://example.org/kit", "vcs_info": {"commit_id": "0123456789abcdef"}}'},
            "from https://example.org/kit at 0123456789ab",
        ),
        ({"direct_url.json": "[1"}, "its metadata do not say how"),
        ({"direct_url.json": "[1]"}, "its metadata do not say how"),
    ],
)
def test_where_a_plugin_came_from(site, files, said):
    add(site, "kit")
    for name, text in files.items():
        (site.folder / "kit-1.0.dist-info" / name).write_text(text)
    assert came_by(Candidate("kit", "kit", "kit", "1.0", "kit 1.0")) == said
