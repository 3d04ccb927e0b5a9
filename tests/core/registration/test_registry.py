"""The registry: its layers, where each key comes from, and every way in which a file can be wrong."""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path

import pytest
import torch
from noiseform import audio
from noiseform.core.errors import ConfigError, PluginError
from noiseform.core.registration.registry import current, load_registry, use_registry
from noiseform.core.registration.settings import apply_settings, parse_setting
from noiseform.core.registration.toml_file import read_toml

STAGE = """
    [[pipelines.{name}.stages]]
    process = {{ use = "vp-cosine" }}
    objective = {{ use = "v" }}
    network = {{ use = "unet-1d" }}
"""


def pipeline(name: str, extra: str = "") -> str:
    """Return the TOML of a small pipeline; ``extra`` stands in its stage."""
    text = f'schema = 1\n[pipelines.{name}]\nmodality = "audio"\n'
    return text + textwrap.dedent(STAGE.format(name=name)).lstrip("\n") + extra


@pytest.fixture
def user(tmp_path, monkeypatch) -> Path:
    """Give the user's registry file, not yet written."""
    monkeypatch.setattr("noiseform.core.registration.registry.user_folder", lambda: tmp_path / "user")
    (tmp_path / "user").mkdir()
    return tmp_path / "user" / "registry.toml"


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    """Give the file that NOISEFORM_REGISTRY names, not yet written."""
    path = tmp_path / "mine.toml"
    monkeypatch.setenv("NOISEFORM_REGISTRY", str(path))
    return path


def test_layers_in_their_order(user, file, tmp_path):
    user.write_text('[defaults]\nsampler = "euler"\n\ngrid = "uniform"\n')
    file.write_text('schema = 1\n[defaults]\nsampler = "heun"\n')
    registry = load_registry()
    assert registry.defaults["sampler"] == "heun"
    assert registry.defaults["grid"] == "uniform"
    assert str(registry.origin(("defaults", "sampler"))) == f"{file}:3"
    assert str(registry.origin(("defaults", "grid"))) == f"{user}:4"
    assert registry.origin(("plugins", "samplers")).layer == "built-in"
    assert registry.plugins.find("sampler", "default").name == "heun"
    other = tmp_path / "other.toml"
    other.write_text('[defaults]\nsampler = "ddim"\n')
    assert load_registry(other).defaults["sampler"] == "ddim"


def test_current_folder_is_never_read(tmp_path, monkeypatch):
    (tmp_path / "registry.toml").write_text("not toml")
    monkeypatch.chdir(tmp_path)
    assert load_registry().defaults["sampler"]


def test_pipeline_with_its_defaults(file):
    file.write_text(pipeline("mine"))
    mine = current().pipeline("mine")
    stage = mine.stages[0]
    assert (stage.name, stage.steps, stage.sampler.use, stage.guidance.use) == ("base", 20, "default", "none")
    assert current().pipeline("mine", settings=["stages.base.steps=7"]).stages[0].steps == 7
    assert current().pipeline("mine", settings=["stages.0.guidance={use='cfg', scale=3}"]).stages[
        0
    ].guidance.params == {"scale": 3}


WRONG_PIPELINES = {
    "stepz = 3": r"mine.toml:8: unknown key 'stages.base.stepz'; did you mean 'steps'",
    "steps = 0": r"mine.toml:8: stages.base.steps: expected greater than or equal to 1, got 0",
    "steps = 1_000_000_000": r"mine.toml:8: stages.base.steps: expected less than or equal to 100000",
    'steps = "3"': r"mine.toml:8: stages.base.steps: expected a valid integer, got '3'",
    "steps = nan": r"mine.toml:8: stages.base.steps",
    "sampler = { eta = 1 }": r"mine.toml:8: stages.base.sampler.use is missing",
    'sampler = "spline"': r"""stages.base.sampler: expected { use = "spline" }, got 'spline'; correct it$""",
    "sampler = 3": r"""mine.toml:8: stages.base.sampler: expected { use = "NAME" }, got 3; correct it$""",
    'conditioners = ["labels"]': r"""mine.toml:8: stages.base.conditioners.0: expected { use = "labels" }, got 'l""",
    'sampler = { use = "../x" }': r"mine.toml:8: stages.base.sampler.use",
    'sampler = { use = "CON" }': r"mine.toml:8: stages.base.sampler.use",
    "[pipelines.mine.meida]": r"mine.toml:8: unknown key 'meida'; did you mean 'media'",
    '[[pipelines.mine.stages]]\nname = "base"': r"mine.toml:8: .*process is missing",
}


@pytest.mark.parametrize("extra", WRONG_PIPELINES)
def test_wrong_pipeline_names_its_line(file, extra):
    file.write_text(pipeline("mine", extra))
    with pytest.raises(ConfigError, match=WRONG_PIPELINES[extra]):
        current().pipeline("mine")


def test_pipeline_of_weights_alone_is_what_its_model_folder_says(file, tiny_model):
    folder = os.path.relpath(tiny_model, file.parent)
    file.write_text(f'[pipelines.mine]\nmodality = "audio"\nsummary = "mine"\nweights = "{folder}"\n')
    trained = read_toml(tiny_model / "pipeline.toml").table
    mine = current().pipeline("mine", settings=["stages.base.steps=7"])
    assert (mine.summary, mine.media, mine.stages[0].steps) == ("mine", trained["media"], 7)
    assert mine.stages[0].network.model_dump() == trained["stages"][0]["network"]
    assert current().model_folder("mine").samefile(tiny_model)
    (made,) = audio.generate("mine", label="high", seed=3)
    (same,) = audio.generate(str(tiny_model), label="high", seed=3)
    assert torch.equal(made.samples, same.samples)
    file.write_text(f'[pipelines.mine]\nmodality = "audio"\nweights = "{file.parent}"\n')
    use_registry(None)
    with pytest.raises(ConfigError, match="no such file, and the pipeline has no stages of its own"):
        current().pipeline("mine")


def test_wrong_setting_is_named(file):
    file.write_text(pipeline("mine"))
    with pytest.raises(ConfigError, match=r"pipeline 'mine': --set: stages\.base\.steps"):
        current().pipeline("mine", settings=["stages.base.steps=0"])
    told = r"""--set: stages\.base\.sampler: expected { use = "spline" }, got 'spline'; """
    with pytest.raises(ConfigError, match=told + r"write --set stages\.base\.sampler\.use=spline$"):
        current().pipeline("mine", settings=["stages.base.sampler=spline"])
    with pytest.raises(ConfigError, match="extend: expected a table, got 3; correct it"):
        current().pipeline("mine", settings=["extend=3"])


def test_unknown_pipeline(file):
    file.write_text(pipeline("mine"))
    with pytest.raises(ConfigError, match=r"unknown pipeline 'mime'; did you mean 'mine'"):
        current().pipeline("mime")
    for name in ("../../x", "", "x\0", "/etc/passwd", "a/b/c"):
        with pytest.raises(ConfigError, match="unknown pipeline"):
            current().pipeline(name)


PIPELINE_PLUGIN = """
from noiseform import hookimpl

def stage(): return {{"process": {{"use": "flow"}}, "objective": {{"use": "v"}}, "network": {{"use": "unet-1d"}}}}
def table(): return {{"modality": "audio", "summary": "{name}", "stages": [stage()]}}

@hookimpl
def noiseform_pipelines(): return {{"theirs": "{name}:table"}}
"""


def test_pipeline_of_a_plugin_lies_below_the_user(site, file):
    site.add("left", {"left": PIPELINE_PLUGIN.format(name="left")})
    file.write_text("")
    assert current().pipeline("theirs").summary == "left"
    assert current().origin(("pipelines", "theirs", "summary")).layer == "plugins"
    file.write_text('[pipelines.theirs]\nsummary = "mine"\n')
    site.forget()
    assert current().pipeline("theirs").summary == "mine"
    assert current().pipeline("theirs").stages[0].process.use == "flow"
    assert current().pipeline("left/theirs").summary == "left"


def test_pipelines_that_clash(site):
    for name in ("left", "right"):
        site.add(name, {name: PIPELINE_PLUGIN.format(name=name)})
    with pytest.raises(PluginError, match="pipeline 'theirs' is claimed by"):
        current().pipeline("theirs")
    assert current().pipeline("right/theirs").summary == "right"
    assert "theirs" not in current().pipelines


@pytest.mark.parametrize(
    "body", ["return 3", "return {'x': 3}", "return {'x': 'json:dumps'}", "return {'x': 'json:__doc__'}"]
)
def test_pipeline_hook_that_gives_no_table(site, body):
    site.add("bad", {"bad": f"from noiseform import hookimpl\n@hookimpl\ndef noiseform_pipelines(): {body}\n"})
    with pytest.raises(PluginError, match="bad"):
        current().pipeline("bad/x")


WRONG_FILES = {
    "schema = 2": "mine.toml:1: schema: 2 is not known here",
    "schema = true": "mine.toml:1: schema: True is not known",
    "pluggins = 1": "mine.toml:1: pluggins: unknown key; did you mean 'plugins'",
    "plugins = 1": "mine.toml:1: plugins: expected a table, got 1",
    "[plugins]\ndisable = 'x'": "mine.toml:2: plugins.disable: expected an array of texts",
    "[plugins]\ndisable = [1]": "mine.toml:2: plugins.disable: expected an array of texts",
    "[plugins]\nprefer = { 'smapler:x' = 'y' }": "mine.toml:2: plugins.prefer.smapler:x.smapler: unknown key; did you",
    "[plugins]\nprefer = { x = 'y' }": "mine.toml:2: plugins.prefer.x: it names no part",
    "[plugins]\nx = 3": "mine.toml:2: plugins.x: expected a text",
    "[defaults]\nx = 3": "mine.toml:2: defaults.x: expected a text",
    "[pipelines.CON]\nx = 3": "mine.toml:1: pipelines.CON: it is no name",
    "[pipelines]\nx = 3": "mine.toml:2: pipelines.x: expected a table",
    "a = 1\na = 2\n": "not valid TOML: Cannot overwrite a value .at line 2, column",
    "a = [": "not valid TOML: .*line 1, column|not valid TOML: .*end of document",
    "a = " + "[" * 5000: "nested too deep|longer than",
    "a = " + "[" * 100 + "]" * 100: "nested too deep",
    ".".join(["a"] * 100) + " = 1": "nested too deep",
    "x = { " + ".".join(["a"] * 3000) + " = 1 }": "mine.toml:1: nested too deep",
    "a = '" + "x" * 9000 + "'": "mine.toml:1: line longer than 8192",
    "a" + ".a" * 500_000 + " = 1": "larger than 1000000 bytes",
}


@pytest.mark.parametrize("text", WRONG_FILES, ids=lambda text: text[:24])
def test_wrong_file_names_its_line(file, text):
    file.write_text(text)
    with pytest.raises(ConfigError, match=WRONG_FILES[text]):
        load_registry()


def test_files_that_are_no_text(file, tmp_path):
    file.write_bytes(b"schema = 1\n# \xff\n")
    with pytest.raises(ConfigError, match=r"mine\.toml:2: not UTF-8"):
        load_registry()
    file.unlink()
    with pytest.raises(ConfigError, match="no such file"):
        load_registry()
    file.mkdir()
    with pytest.raises(ConfigError, match=r"mine\.toml: "):
        load_registry()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="no regular file"):
        load_registry(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="null byte"):
        load_registry(Path("a\0b"))


def test_line_of_every_statement(tmp_path):
    path = tmp_path / "x.toml"
    text = '''\
        # "not a [string"
        a = 1
        text = """
        [no.header]
        b = 2 # ] """
        [t]  # a comment with "quotes
        list = [
            "]", # ]
            { x = 1 },
        ]
        d."q.r" = 'a # b'
        [[s]]
        n = 1
        [s.inner]
        k = 1
        [[s]]
        n = 2
        [s.inner]
        k = 2
    '''
    path.write_text(textwrap.dedent(text))
    toml = read_toml(path)
    expected = {
        ("a",): 2,
        ("text",): 3,
        ("t",): 6,
        ("t", "list"): 7,
        ("t", "list", 1, "x"): 7,
        ("t", "d", "q.r"): 11,
        ("s", 0): 12,
        ("s", 0, "n"): 13,
        ("s", 0, "inner", "k"): 15,
        ("s", 1): 16,
        ("s", 1, "n"): 17,
        ("s", 1, "inner"): 18,
        ("s", 1, "inner", "k"): 19,
        ("s", 1, "unknown"): 16,
        ("unknown",): 0,
    }
    assert {key: toml.line(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("setting", "parsed"),
    [
        ("a=1", (("a",), 1)),
        ("a.b = 2.5", (("a", "b"), 2.5)),
        ("a=text", (("a",), "text")),
        ("a=b=c", (("a",), "b=c")),
        ("a='1'", (("a",), "1")),
        ("a=[1, 2]", (("a",), [1, 2])),
        ("'x.y'.z=true", (("x.y", "z"), True)),
        ("a=1\nb=2", (("a",), "1\nb=2")),
    ],
)
def test_setting(setting, parsed):
    assert parse_setting(setting) == parsed


@pytest.mark.parametrize("setting", ["", "a", "=1", "a..b=1", "[a]=1", "a b=1", "a\n=1", ".".join("a" * 40) + "=1"])
def test_setting_of_an_odd_form(setting):
    with pytest.raises(ConfigError, match="expected path=value"):
        parse_setting(setting)


def test_settings_apply_to_copies():
    table = {"stages": [{"name": "base", "steps": 1}, {"name": "up"}], "x": 1}
    changed = apply_settings(table, ["stages.base.steps=2", "stages.1.new.key=3", "y=4"])
    assert changed == {"stages": [{"name": "base", "steps": 2}, {"name": "up", "new": {"key": 3}}], "x": 1, "y": 4}
    assert table["stages"][0]["steps"] == 1
    with pytest.raises(ConfigError, match="no element 'bsae'; did you mean 'base'"):
        apply_settings(table, ["stages.bsae.steps=2"])
    with pytest.raises(ConfigError, match="lies in 1"):
        apply_settings(table, ["x.y=2"])


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (
            "stages.0.conditioners.low-res.level",
            "conditioners has no element 'low-res'; name one by its number: 0 (text), 1 (low-res)",
        ),
        ("stages.0.network.channels.two", "channels has no element 'two'; name one by its number: 0, 1$"),
        ("stages.0.network.channels.2", "channels has no element '2'; name one by its number: 0, 1$"),
        ("stages.1.conditioners.0.level", "conditioners has no element '0'; there is none; set all of them, as a list"),
        ("stages.large.steps", "stages has no element 'large'; known: base, twice$"),
        ("stages.7.steps", "stages has no element '7'; known: base, twice$"),
    ],
)
def test_a_wrong_element_of_a_list_is_told_with_what_can_be_written(path, told):
    conditioners = [{"use": "text"}, {"use": "low-res"}]
    stages = [
        {"network": {"channels": [8, 16]}, "conditioners": conditioners},
        {"name": "twice", "conditioners": []},
    ]
    with pytest.raises(ConfigError, match=re.escape(told.removesuffix("$")) + ("$" if told.endswith("$") else "")):
        apply_settings({"stages": stages}, [f"{path}=0.1"])


def test_registry_of_the_process_can_be_chosen(file):
    file.write_text('[defaults]\nsampler = "euler"\n')
    chosen = load_registry()
    use_registry(chosen)
    assert current() is chosen
