"""Plugins: those that work, those that clash, and those that do everything wrong (FAULTS.md rows 49 to 56)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from noiseform import build, sample
from noiseform.core.cli.main import main
from noiseform.core.errors import ConfigError, NoiseformError, PluginError
from noiseform.core.registration.build import build_part, find
from noiseform.core.registration.installed import installed
from noiseform.core.registration.registry import current, use_registry
from noiseform.core.registration.targets import import_target

GOOD = """
    from noiseform import hookimpl

    @hookimpl
    def noiseform_samplers():
        return {"midpoint": "good_impl:Midpoint"}
"""
GOOD_IMPL = """
    from typing import Annotated
    from annotated_types import Ge

    class Midpoint:
        '''Takes half a step first.'''
        order, stochastic, nfe_per_step = 2, False, 2

        def __init__(self, churn: Annotated[float, Ge(0)] = 0.0) -> None:
            self.churn = churn

        def init(self, x):
            return None

        def step(self, x, here, next, denoise, noise, state):
            return x, state
"""


def hook(body: str) -> str:
    """Return a plugin whose sampler hook has that body."""
    return f"from noiseform import hookimpl\n@hookimpl\ndef noiseform_samplers():\n    {body}\n"


HOSTILE = {
    "import-error": ("import no_such_module_at_all", "ModuleNotFoundError"),
    "os-error": ("raise OSError('libc10_cuda.so: cannot open')", "libc10_cuda.so"),
    "error-with-its-line": ("x = 1\n\nraise ValueError('oh')", "hostile.py:3)"),
    "syntax-error": ("def (:", "SyntaxError"),
    "syntax-error-with-its-line": ("x = 1\ndef (:", "hostile.py:2)"),
    "null-bytes": ("x = 1\0", "null bytes"),
    "system-exit": ("raise SystemExit(3)", "SystemExit"),
    "base-exception": ("class Stop(BaseException): pass\nraise Stop('now')", "Stop: now"),
    "generator-exit": ("raise GeneratorExit", "GeneratorExit"),
    "deep-recursion": ("def f(): f()\nf()", "RecursionError"),
    "ansi-and-newlines": ("raise ValueError('a\\n\\x1b[31mb')", "ValueError: a \x1b[31mb"),
    "mute-error": ("class E(Exception):\n    def __str__(self): raise OSError\nraise E", "E"),
    "leaving-error": ("class E(Exception):\n    def __str__(self): raise SystemExit\nraise E", "E"),
    "newer-api": (f"noiseform_api = 99\n{hook('return {}')}", "plugin API 99"),
    "odd-api": (f"noiseform_api = 'one'\n{hook('return {}')}", "plugin API 'one'"),
    "misspelt-hook": (
        "from noiseform import hookimpl\n@hookimpl\ndef noiseform_sampler(): return {}",
        "unknown hook 'noiseform_sampler'; did you mean 'noiseform_samplers'?",
    ),
    "unmarked-hook": ("def noiseform_samplers(): return {}", "lacks @hookimpl"),
    "no-hook": ("x = 1", "has no hook"),
    "wrong-arguments": (
        "from noiseform import hookimpl\n@hookimpl\ndef noiseform_samplers(x): return {}",
        "noiseform_samplers",
    ),
    "hook-raises": (hook("raise ZeroDivisionError('oh')"), "noiseform_samplers raised ZeroDivisionError: oh"),
    "hook-raises-with-its-line": (hook("raise ZeroDivisionError('oh')"), "hostile.py:4)"),
    "hook-exits": (hook("raise SystemExit"), "noiseform_samplers raised SystemExit"),
    "hook-gives-none": (hook("return None"), "expected a mapping of names to factories, got NoneType"),
    "hook-gives-list": (hook("return ['x']"), "got list"),
    "path-name": (hook("return {'../../x': dict}"), "'../../x' is no name for a part; a name is 1 to 64 of a-z, 0-9"),
    "nul-name": (hook("return {'a\\0b': dict}"), "is no name"),
    "long-name": (hook("return {'a' * 300: dict}"), "is no name"),
    "look-alike-name": (hook("return {'dd\\u0456m': dict}"), "is no name"),
    "dashed-name": (hook("return {'-rf': dict}"), "is no name"),
    "device-name": (hook("return {'CON': dict}"), "is no name"),
    "reserved-name": (hook("return {'default': dict}"), "is no name"),
    "number-for-name": (hook("return {3: dict}"), "3 is no name"),
    "number-for-target": (hook("return {'x': 3}"), "expected 'module:attribute' or a factory, got 3"),
    "path-for-target": (hook("return {'x': '/etc/passwd:x'}"), "got '/etc/passwd:x'"),
    "module-for-target": (hook("return {'x': 'json'}"), "got 'json'"),
    "hostile-module": ("def __getattr__(name): raise RuntimeError(name)", "RuntimeError"),
    "hostile-mapping": (
        "from collections import UserDict\nfrom noiseform import hookimpl\nclass M(UserDict):\n"
        "    def __iter__(self): raise OSError('no')\n@hookimpl\ndef noiseform_samplers(): return M()",
        "OSError: no",
    ),
    "name-twice": (
        "class S(str):\n    def __hash__(self): return id(self)\n    def __eq__(self, other): return False\n"
        + hook("return {S('a'): dict, S('a'): dict}"),
        "gives 'a' twice",
    ),
}
TEXT = """
    class Text(str):
        def refuse(self, *given): raise OSError("no")
        __str__ = __repr__ = __format__ = __eq__ = __len__ = __iter__ = __contains__ = __add__ = lower = refuse
        __hash__ = str.__hash__
    class Table(dict):
        def refuse(self, *given): raise OSError("no")
        __iter__ = keys = items = values = __len__ = __getitem__ = __repr__ = refuse
"""


def test_outsider_is_used_by_name(site):
    site.add("midpoint-kit", {"good": GOOD, "good_impl": GOOD_IMPL}, version="2.3")
    assert build("sampler", "midpoint").churn == 0
    assert build("sampler", "midpoint-kit/midpoint", churn=1).churn == 1
    assert build_part({"use": "midpoint", "churn": 0.5}, "sampler").churn == 0.5
    part = find("sampler", "midpoint")
    assert (part.full_name, part.plugin.owner) == ("midpoint-kit/midpoint", "midpoint-kit 2.3")
    assert current().plugins.version_of("sampler", "midpoint", "Midpoint_Kit") == "2.3"
    with pytest.raises(ConfigError, match="expected number >= 0, got -1"):
        build("sampler", "midpoint", churn=-1)


def test_texts_and_tables_of_classes_of_their_own_are_taken_as_what_they_are(site, capsys):
    body = "return odd_texts.Table({odd_texts.Text('midpoint'): odd_texts.Text('good_impl:Midpoint')})"
    modules = {"good": "import odd_texts\n" + hook(body), "good_impl": GOOD_IMPL, "odd_texts": TEXT}
    site.add("midpoint-kit", modules)
    part = find("sampler", "midpoint")
    assert (type(part.name), type(part.target)) == (str, str)
    assert build("sampler", "midpoint").churn == 0
    assert main(["list", "sampler"]) == 0
    assert "midpoint-kit" in capsys.readouterr().out
    assert main(["show", "sampler/midpoint"]) == 0


@pytest.mark.parametrize("given", ["(x[:, :1], state)", "x"])
def test_the_plugin_of_a_sampler_that_breaks_the_contract_is_named(site, given):
    site.add("midpoint-kit", {"good": GOOD, "good_impl": GOOD_IMPL.replace("return x, state", f"return {given}")})
    told = r"^sampler Midpoint of plugin midpoint-kit \(midpoint-kit 1.0\): step 1 gave "
    with pytest.raises(PluginError, match=told):
        sample(lambda x, level: x, process="flow", sampler="midpoint", grid="uniform", steps=2, shape=(2,), seeds=[0])


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_plugin_is_set_aside(site, capsys, name):
    source, reason = HOSTILE[name]
    site.add(name, {"hostile": source})
    site.add("midpoint-kit", {"good": GOOD, "good_impl": GOOD_IMPL})
    plugin = next(plugin for plugin in current().plugins.plugins if plugin.distribution == name)
    assert plugin.state == "set aside"
    assert reason in plugin.reason
    assert build("sampler", "ddim") is not None
    assert build("sampler", "midpoint") is not None
    with pytest.raises(PluginError, match=f"plugin {name}"):
        find("sampler", f"{name}/x")
    assert main(["list", "sampler"]) == 0
    assert main(["plugins", "list"]) == 0
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert name in listed
    assert "\x1b" not in listed
    assert main(["show", f"sampler/{name}/x"]) == 5
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(("kind", "missing"), [("modality", "endings, spec, wrap"), ("metric", "compare")])
def test_part_without_the_methods_of_its_kind_is_named(site, kind, missing):
    hooks = {"modality": "noiseform_modalities", "metric": "noiseform_metrics"}
    lame = f"from noiseform import hookimpl\nclass Lame:\n    name = 'lame'\n@hookimpl\ndef {hooks[kind]}(): "
    site.add("lame", {"lame": lame + "return {'lame': Lame}"})
    with pytest.raises(PluginError, match=f"{kind} 'lame' of plugin lame .* without {missing}"):
        build(kind, "lame")


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("good_impl:Midpint", "module 'good_impl' has no attribute 'Midpint'; did you mean 'Midpoint'?"),
        ("good_impl:Midpoint.made", "type object 'Midpoint' has no attribute 'made'; known: init, "),
        ("good_lazy:Lazy", "AttributeError: no such thing; none is known"),
        ("good_lazy:deep", "AttributeError: 'int' object has no attribute 'up' ("),
        ("good_lazy:deep", "good_lazy.py:2); see"),
    ],
)
def test_attribute_that_a_target_lacks_is_told_with_the_nearest(site, capsys, target, hint):
    lazy = "def __getattr__(name):\n    if name == 'deep': (3).up\n    raise AttributeError('no such thing')"
    modules = {"good": GOOD.replace("good_impl:Midpoint", target), "good_impl": GOOD_IMPL, "good_lazy": lazy}
    site.add("midpoint-kit", modules, metadata="Name: midpoint-kit\nVersion: 1.0\nRequires-Dist: noiseform>=0.1\n")
    told = f"sampler 'midpoint' of plugin midpoint-kit (midpoint-kit 1.0): {target} cannot be imported: "
    with pytest.raises(PluginError) as caught:
        build("sampler", "midpoint")
    assert str(caught.value).startswith(told)
    assert hint in str(caught.value)
    assert str(caught.value).endswith("; see noiseform plugins doctor")


@pytest.mark.parametrize("target", ["../../x", "/etc/passwd", "a b", "", "x:", ":x", "x:y:z", "os;x", "a..b"])
def test_target_of_an_odd_form_is_refused(site, target):
    with pytest.raises(ValueError, match="is not of the form"):
        import_target(target)
    if target:
        site.add("odd", {}, entry_points={"odd": target})
        assert [p.state for p in current().plugins.plugins if p.distribution == "odd"] == ["set aside"]


@pytest.mark.parametrize("metadata", ["", "Name: x\n", "\0"])
def test_damaged_metadata_hides_no_other(site, metadata):
    site.add("damaged", {"damaged": GOOD}, metadata=metadata)
    site.add("midpoint-kit", {"good": GOOD, "good_impl": GOOD_IMPL})
    states = {plugin.distribution: plugin.state for plugin in current().plugins.plugins}
    assert states["damaged"] == "set aside"
    assert states["midpoint-kit"] == "loaded"


def test_entry_points_that_are_no_text(site):
    site.add("damaged", {"damaged": GOOD})
    (site.folder / "damaged-1.0.dist-info" / "entry_points.txt").write_bytes(b"[noiseform]\n\xff\xfe = x\n")
    site.forget()
    assert {plugin.distribution: plugin.state for plugin in current().plugins.plugins}["damaged"] == "set aside"


@pytest.mark.parametrize("text", [b"[other]\n\xff = x\n", b"[other]\na line that is no entry\n"], ids=["bytes", "line"])
def test_damaged_entry_points_end_neither_torch_nor_pydantic(site, text, tiny_model, tmp_path):
    """In a process of its own, since both read the entry points of everything when they are first imported."""
    site.add("damaged", {}, entry_points={})
    (site.folder / "damaged-1.0.dist-info" / "entry_points.txt").write_bytes(text)
    generate = ["generate", "audio", str(tiny_model), "--label", "low", "-o", str(tmp_path / "x.wav"), "--quiet"]
    code = (
        f"from noiseform.core.cli.main import main; import sys; first = main({generate!r})\n"
        "print(first, main(['plugins', 'doctor']), file=sys.stderr)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site.folder), *filter(None, sys.path)])}
    for name in ("TORCH_DEVICE_BACKEND_AUTOLOAD", "PYDANTIC_DISABLE_PLUGINS"):
        environment.pop(name, None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment)
    assert (done.stderr, done.returncode) == ("0 5\n", 0)
    assert "pip install --force-reinstall damaged" in done.stdout


def test_what_a_distribution_has_is_told_where_it_lacks_what_is_asked_for(site):
    site.add("acme-noise", {"good": hook("return {'ralston': 'good_impl:Midpoint'}"), "good_impl": GOOD_IMPL})
    with pytest.raises(ConfigError, match=r"^unknown sampler 'acme-noise/acme-noise'; acme-noise has: ralston$"):
        find("sampler", "acme-noise/acme-noise")
    told = r"^unknown grid 'acme-noise/ralston'; acme-noise has no grid, but sampler/ralston$"
    with pytest.raises(ConfigError, match=told):
        find("grid", "acme-noise/ralston")
    with pytest.raises(ConfigError, match=r"unknown sampler 'noiseform/dimm'; did you mean 'noiseform/ddim'\?"):
        find("sampler", "noiseform/dimm")
    with pytest.raises(ConfigError, match=r"unknown sampler 'noiseform/ralston'; known: "):
        find("sampler", "noiseform/ralston")


def test_a_plugin_that_is_missing_is_told_with_what_to_install(site, capsys):
    for name in ("nc-first", "nc-third"):
        module = name.replace("-", "_")
        site.add(name, {module: hook("return {'tilted': 'good_impl:Midpoint'}"), "good_impl": GOOD_IMPL})
    site.add("no-plugin", {}, version="3.0", entry_points={})
    for name, told in {
        "tilts/skewed": "no distribution tilts is installed; install it if you trust it, or choose another",
        "nc-thrd/tilted": "no distribution nc-thrd is installed; install it if you trust it, or did you mean "
        "'nc-third/tilted'?",
        "no-plugin/x": "no-plugin 3.0 is installed but has no plugin of noiseform; another version may have one, or "
        "choose another",
        "registry/x": 'no line of registry.toml names a plugin that works; add one: [plugins] NAME = "module", or '
        "choose another",
    }.items():
        with pytest.raises(PluginError) as caught:
            find("sampler", name)
        assert str(caught.value) == f"unknown sampler {name!r}: {told} (noiseform list sampler shows all)"
    assert main(["show", "sampler/nc-thrd/tilted"]) == 5
    assert capsys.readouterr().err.startswith("error: unknown sampler 'nc-thrd/tilted': no distribution nc-thrd is ")


def test_a_pipeline_may_be_a_folder_that_nobody_should_install(capsys):
    assert main(["generate", "audio", "runs/mine", "-o", "x.wav"]) == 2
    assert "install" not in capsys.readouterr().err


def test_interrupt_is_never_swallowed(site):
    site.add("interrupting", {"interrupting": "raise KeyboardInterrupt"})
    with pytest.raises(KeyboardInterrupt):
        find("sampler", "ddim")


def test_what_a_plugin_prints_is_no_output(site, capsys):
    site.add("loud", {"loud": f"print('hello')\n{hook('return {}')}"})
    assert main(["list", "sampler", "--json"]) == 0
    printed = capsys.readouterr()
    assert "hello" not in printed.out
    assert "hello" in printed.err


def test_changed_torch_state_is_put_back(site):
    source = (
        "import torch\ntorch.set_default_dtype(torch.float64)\ntorch.set_grad_enabled(False)\ntorch.manual_seed(7)\n"
    )
    source += "torch.set_num_threads(torch.get_num_threads() + 1)\n"
    site.add("meddling", {"meddling": source + hook("return {}")})
    before = (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads(), torch.initial_seed())
    state = torch.get_rng_state()
    with pytest.warns(
        RuntimeWarning, match=r"meddling .* default dtype, gradient mode, number of threads, seed: undone"
    ):
        assert find("sampler", "ddim")
    assert before == (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads(), torch.initial_seed())
    assert torch.equal(state, torch.get_rng_state())


def test_shadowing_a_builtin_is_a_clash(site, monkeypatch, tmp_path):
    site.add("shadow", {"shadow": hook("return {'ddim': 'good_impl:Midpoint'}"), "good_impl": GOOD_IMPL})
    with pytest.raises(
        PluginError, match=r"claimed by noiseform [\d.]+ and shadow 1.0; write 'noiseform/ddim' or 'shadow/d"
    ):
        build("sampler", "ddim")
    assert build("sampler", "noiseform/ddim").stochastic in {True, False}
    assert build("sampler", "shadow/ddim").churn == 0
    assert build("sampler", "euler")
    assert [part.full_name for part in current().plugins.clashes()[0]] == ["noiseform/ddim", "shadow/ddim"]
    prefer = tmp_path / "prefer.toml"
    prefer.write_text('schema = 1\n[plugins.prefer]\n"sampler:ddim" = "shadow"\n')
    monkeypatch.setenv("NOISEFORM_REGISTRY", str(prefer))
    site.forget()
    assert find("sampler", "ddim").full_name == "shadow/ddim"
    assert not current().plugins.clashes()


def test_two_outsiders_claim_one_name(site):
    for name in ("left", "right"):
        site.add(name, {name: hook("return {'midpoint': 'good_impl:Midpoint'}"), "good_impl": GOOD_IMPL})
    with pytest.raises(PluginError, match=r"left 1.0.*right 1.0|right 1.0.*left 1.0"):
        build("sampler", "midpoint")
    assert build("sampler", "left/midpoint")
    assert build("sampler", "right/midpoint")


def test_two_entry_points_to_one_part_are_no_clash(site):
    modules = {"good": GOOD, "again": GOOD, "good_impl": GOOD_IMPL}
    site.add("midpoint-kit", modules, entry_points={"one": "good", "two": "again"})
    assert build("sampler", "midpoint")


@pytest.mark.parametrize(
    ("value", "states"),
    [
        ("", "loaded loaded"),
        ("1", "loaded loaded"),
        ("0", "disabled disabled"),
        ("Kit.A", "loaded disabled"),
        ("kit-a, kit_b", "loaded loaded"),
        pytest.param("other", "disabled disabled", marks=pytest.mark.filterwarnings("ignore:NOISEFORM_PLUGINS")),
    ],
)
def test_environment_allows_outsiders(site, monkeypatch, value, states):
    for name in ("kit-a", "kit-b"):
        module = name.replace("-", "_")
        site.add(name, {module: hook(f"return {{'{name}': dict}}")})
    monkeypatch.setenv("NOISEFORM_PLUGINS", value)
    site.forget()
    found = {plugin.distribution: plugin.state for plugin in current().plugins.plugins}
    assert f"{found['kit-a']} {found['kit-b']}" == states
    assert find("sampler", "ddim")


def test_name_in_the_environment_that_allows_nothing_is_told_once(site, monkeypatch, capsys):
    site.add("my-codec", {"my_codec": hook("return {'x': dict}")}, metadata="Name: my-codec\nVersion: 1.0\n")
    monkeypatch.setenv("NOISEFORM_PLUGINS", "mycodec, My_Codec,registry,0")
    for _ in range(2):  # once a process
        assert main(["list", "sampler"]) == 0
        use_registry(None)
    assert capsys.readouterr().err == (
        "warning: NOISEFORM_PLUGINS: no installed plugin is of the distribution 'mycodec'; did you mean 'my-codec'? "
        "(noiseform plugins list shows all)\n"
    )
    assert find("sampler", "my-codec/x")


@pytest.mark.parametrize("name", ["entry", "boom-kit", "boom-kit/entry"])
def test_disabled_before_import(site, monkeypatch, tmp_path, name):
    site.add("boom-kit", {"boom": "raise KeyboardInterrupt"}, entry_points={"entry": "boom"})
    file = tmp_path / "registry.toml"
    file.write_text(f'schema = 1\n[plugins]\ndisable = ["{name}"]\n')
    monkeypatch.setenv("NOISEFORM_REGISTRY", str(file))
    site.forget()
    with pytest.raises(PluginError, match=r"disabled: by .*registry.toml:3"):
        find("sampler", "boom-kit/x")


FACTORIES = {
    "no-module": ("'x': 'no_such_module_at_all:X'", "cannot be imported: ModuleNotFoundError"),
    "no-attribute": ("'x': 'json:NoSuchThing'", "cannot be imported: AttributeError"),
    "no-factory": ("'x': 'json:__name__'", "expected a factory, got str"),
    "exits": ("'x': lambda: exit(1)", "cannot be made: SystemExit"),
    "raises": ("'x': lambda: 1 / 0", "cannot be made: ZeroDivisionError"),
    "none": ("'x': lambda: None", "made a NoneType without order, stochastic"),
    "wants-more": ("'x': lambda *, moon: None", "asks for 'moon', which no sampler is given"),
}


@pytest.mark.parametrize("case", FACTORIES)
def test_factory_that_fails_is_named(site, case):
    mapping, reason = FACTORIES[case]
    site.add("failing", {"failing": hook(f"return {{{mapping}}}")})
    with pytest.raises(PluginError, match=r"failing 1\.0") as caught:
        build_part({"use": "x"}, "sampler")
    assert reason in str(caught.value)


def test_observers_are_called_once_a_run(site):
    watching = "from noiseform import hookimpl\n@hookimpl\ndef noiseform_sampling_observers(run): return [run, print]\n"
    site.add("watching", {"watching": watching})
    site.add("idle", {"idle": "from noiseform import hookimpl\n@hookimpl\ndef noiseform_sampling_observers(): pass\n"})
    assert current().plugins.observers("noiseform_sampling_observers", repr) == (repr, print)
    with pytest.raises(PluginError, match="gave 'a', expected a function whose `every`"):
        current().plugins.observers("noiseform_sampling_observers", "a")
    assert current().plugins.observers("noiseform_training_observers", "a") == ()
    failing = "from noiseform import hookimpl\n@hookimpl\ndef noiseform_sampling_observers(run): raise SystemExit\n"
    site.add("failing", {"failing": failing})
    with pytest.raises(PluginError, match=r"plugin failing .* hook noiseform_sampling_observers raised SystemExit"):
        current().plugins.observers("noiseform_sampling_observers", repr)


def test_entry_points_are_scanned_once(site, monkeypatch):
    first = installed()
    monkeypatch.setattr("importlib.metadata.distributions", None)
    assert installed() is first


@pytest.mark.parametrize("name", ["", "x\0", "../x", "ddim ", "a/b/c", "x" * 300, "-h", "dd\u0456m"])
def test_unknown_names_are_errors(name):
    with pytest.raises(NoiseformError, match=r"unknown sampler"):
        find("sampler", name)


def test_nearest_name_is_offered():
    with pytest.raises(
        ConfigError, match=r"unknown sampler 'dimm'; did you mean 'ddim'\? \(noiseform list sampler shows"
    ):
        build("sampler", "dimm")
    with pytest.raises(ConfigError, match="did you mean 'sampler'"):
        build("smapler", "ddim")


@pytest.mark.parametrize(
    ("line", "points"), [('mine = "good"', {"kit": "good"}), ("", {"one": "good", "two": "good"})], ids=["line", "two"]
)
def test_one_module_named_twice_is_one_plugin(site, capsys, monkeypatch, tmp_path, line, points):
    watching = GOOD + "\n    @hookimpl\n    def noiseform_sampling_observers(run): return run\n"
    site.add("midpoint-kit", {"good": watching, "good_impl": GOOD_IMPL}, entry_points=points)
    file = tmp_path / "registry.toml"
    file.write_text(f"schema = 1\n[plugins]\n{line}\n")
    monkeypatch.setenv("NOISEFORM_REGISTRY", str(file))
    site.forget()
    assert find("sampler", "midpoint").full_name == "midpoint-kit/midpoint"
    assert not current().plugins.clashes()
    assert current().plugins.observers("noiseform_sampling_observers", repr) == (repr,)
    (plugin,) = (one for one in current().plugins.plugins if not one.candidate.builtin)
    assert plugin.candidate.also == (f"{file}:3" if line else "entry point two")
    assert main(["plugins", "list", "--json"]) == 0
    assert f"midpoint-kit 1.0, {plugin.candidate.also}" in capsys.readouterr().out
    if line:  # what was made before the distribution was installed names the registry
        assert find("sampler", "registry/midpoint").plugin is plugin
        assert current().plugins.version_of("sampler", "midpoint", "registry") == "1.0"
    monkeypatch.setenv("NOISEFORM_PLUGINS", "registry" if line else "0")
    site.forget()
    states = {one.candidate.name: one.state for one in current().plugins.plugins if not one.candidate.builtin}
    assert states == ({"mine": "loaded", "kit": "disabled"} if line else {"one": "disabled", "two": "disabled"})


def test_one_module_of_two_distributions_is_a_clash(site):
    for name in ("left", "right"):
        site.add(name, {"good": GOOD, "good_impl": GOOD_IMPL}, entry_points={name: "good"})
    with pytest.raises(PluginError, match="is claimed by"):
        build("sampler", "midpoint")
