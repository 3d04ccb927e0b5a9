"""The JSON Schema of parts and of files, held against what noiseform itself accepts."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from noiseform.core.errors import NoiseformError
from noiseform.core.pipeline.stage import build_stage
from noiseform.core.registration.build import build
from noiseform.core.registration.documentation import documentation, markdown, plain
from noiseform.core.registration.json_schema import TABLED
from noiseform.core.registration.parameters import check_parameters, describe
from noiseform.core.registration.registry import current, load_registry
from noiseform.core.registration.registry_schema import registry_schema
from noiseform.core.training.classifier import ClassifierTask
from noiseform.core.training.codec import CodecTask
from noiseform.core.training.denoising import DenoisingTask
from noiseform.core.training.recipe import ClassifierRecipe, CodecRecipe, read_recipe
from noiseform.core.training.recipe_schema import recipe_schema

SCHEMAS = {"registry": registry_schema, "recipe": recipe_schema}
TASKS = {CodecRecipe: CodecTask, ClassifierRecipe: ClassifierTask}
VALUES = [-1, 0, 1, 3, 10**7, -0.5, 0.5, 2.5, 1e9 + 0.5, True, "", "cosine", [], [1], [0.25, 0.5], ["a"], [[0.5]], {}]


def validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@functools.cache
def of_files(kind: str) -> Draft202012Validator:
    """Return the validator of files with what is built in."""
    return validator(SCHEMAS[kind](current()))


def loads(kind: str, path: Path) -> None:
    """Have noiseform read a file and build all that stands in it."""
    if kind == "recipe":
        recipe = read_recipe(path)
        TASKS.get(type(recipe), DenoisingTask)(recipe, build("modality", recipe.modality))
        return
    registry = load_registry(path)
    for default in registry.defaults.keys() & set(TABLED):
        registry.plugins.find(default, "default")
    for name in tomllib.loads(path.read_text()).get("pipelines", {}):
        pipeline = registry.pipeline(name)
        modality = build("modality", pipeline.modality)
        for stage in pipeline.stages:
            bare = stage.model_copy(update={"guidance": stage.guidance.without_weights})
            build_stage(bare, modality.spec({**pipeline.media, **stage.media}))


STAGE = """[[stages]]
process = { use = "flow" }
objective = { use = "velocity" }
network = { use = "unet-1d", channels = [8], blocks = 1, head_width = 8 }
conditioners = [{ use = "labels", names = ["a", "b"], width = 8 }]
guidance = { use = "cfg", scale = 2.0 }
"""
RECIPE = f'modality = "audio"\nmedia = {{ sample_rate = 1000, seconds = 0.064 }}\n{STAGE}'
CODEC = """modality = "image"
media = { height = 16, width = 16 }
codec = { use = "kl-vae", channels = [8] }
"""
CLASSIFIER = """modality = "audio"
media = { sample_rate = 1000, seconds = 0.064 }
[classifier]
process = { use = "flow" }
network = { use = "unet-1d", channels = [8], blocks = 1, head_width = 8 }
names = ["a", "b"]
"""
PIPELINE = "[pipelines.mine]\n" + RECIPE.replace("[[stages]]", "[[pipelines.mine.stages]]")

GOOD = {
    "recipe": [
        RECIPE,
        RECIPE + 'sampler = { use = "noiseform/ddim", eta = 1 }\ngrid = { use = "default" }\nsteps = 3\n',
        RECIPE + 'sampler = { use = "default", memory = 2 }\n',
        RECIPE + '[stages.media]\nseconds = 0.128\n[data]\nlabels = "csv"\ncsv = "a.csv"\nfields = ["a"]\n',
        RECIPE + '[data]\ncaptions = "jsonl"\ncaption_file = "a/b..jsonl"\n[training]\nbetas = [0, 0.5]\n',
        RECIPE + '[training]\nfreeze = false\nprecision = "bf16"\n',
        CODEC + "[loss]\nkl = 0.5\n[training]\nsteps = 1\n",
        CLASSIFIER,
    ],
    "registry": [
        "",
        'schema = 1\n[defaults]\nsampler = "ddim"\naudio = "mine"\n',
        '[plugins]\ndisable = ["a"]\nprefer = { "sampler:ddim" = "a" }\n',
        PIPELINE,
        PIPELINE + 'name = "x"\nsampler = { use = "default", memory = 2 }\n',
        '[pipelines.garments]\nsummary = "of a lower layer"\n[pipelines.garments.media]\nheight = 28\n',
        '[pipelines.digits]\nweights = "noiseform.plugins.spoken_digits:weights"\n',
        '[pipelines.large]\nmodality = "audio"\n[[pipelines.large.stages]]\n'
        'weights = "noiseform.plugins.speech_x2:weights"\nsteps = 2\n',
    ],
}
BAD = {
    "recipe": [
        "",
        'modality = "smell"\n' + STAGE,
        RECIPE.replace("flow", "flwo"),
        RECIPE.replace("blocks = 1", 'blocks = "1"'),
        RECIPE.replace("blocks = 1", "blcks = 1"),
        RECIPE.replace("blocks = 1", "blocks = 99"),
        RECIPE.replace("scale = 2.0", "scale = 1e6"),
        RECIPE.replace("width = 8 }]", "width = 0 }]"),
        RECIPE.replace('names = ["a", "b"], ', ""),
        RECIPE.replace('{ use = "flow" }', '"flow"'),
        RECIPE.replace('objective = { use = "velocity" }\n', ""),
        RECIPE.replace("sample_rate = 1000, ", ""),
        RECIPE.replace("sample_rate = 1000", 'sample_rate = "1000"'),
        RECIPE.replace("sample_rate = 1000", "sample_rate = 1000, rate = 3"),
        RECIPE + 'sampler = { use = "nobody/ddim" }\n',
        RECIPE + 'sampler = { use = "default", eta = 1 }\n',
        RECIPE + 'sampler = { use = "ddim", weights = "runs/a" }\n',
        RECIPE + "steps = 0\n",
        RECIPE + 'name = "A B"\n',
        RECIPE + "[extend]\nseconds = -1\n",
        RECIPE + '[data]\nlabels = "pattern"\n',
        RECIPE + '[data]\ncsv = "a.csv"\n',
        RECIPE + '[data]\nlabels = "csv"\ncsv = "../a.csv"\n',
        RECIPE + '[data]\nfields = ["a"]\n',
        RECIPE + '[data]\ncaption_field = "a"\n',
        RECIPE + "[data]\nflip = 1\n",
        RECIPE + "[training]\nfreeze = true\n",
        RECIPE + "[training]\nbetas = [0.5]\n",
        RECIPE + "[training]\nstesp = 3\n",
        RECIPE + "[traning]\nsteps = 3\n",
        CODEC + "[loss]\nkll = 1\n",
        CODEC + "[loss]\nkl = -1\n",
        CODEC.replace("kl-vae", "identity").replace(", channels = [8]", ", weights = 'runs/a'"),
        CLASSIFIER.replace('["a", "b"]', '["a"]'),
        CLASSIFIER.replace("blocks = 1", "blcks = 1"),
    ],
    "registry": [
        "schema = 2\n",
        "pluggins = {}\n",
        "[plugins]\nx = 3\n",
        '[plugins]\ndisable = "x"\n',
        '[plugins]\nprefer = { "smapler:x" = "y" }\n',
        '[plugins]\nprefer = { "sampler:X" = "y" }\n',
        '[defaults]\nsampler = "dimm"\n',
        "[defaults]\naudio = 3\n",
        "[pipelines.CON]\nweights = 'a'\n",
        '[pipelines.mine]\nmodality = "audio"\n',
        PIPELINE.replace('modality = "audio"\n', ""),
        PIPELINE.replace("unet-1d", "unet-1"),
        PIPELINE.replace("blocks = 1", "blcks = 1"),
        PIPELINE + 'codec = { use = "kl-vae", weights = "runs/a" }\n',
        "[pipelines.garments]\nsumary = ''\n",
        "[pipelines.garments]\nextend = 3\n",
    ],
}


@pytest.mark.parametrize(
    ("kind", "text", "good"),
    [(kind, text, True) for kind in SCHEMAS for text in GOOD[kind]]
    + [(kind, text, False) for kind in SCHEMAS for text in BAD[kind]],
)
@pytest.mark.filterwarnings("ignore:registry")  # names that nothing has
def test_the_schema_of_a_file_says_what_noiseform_says(kind, text, good, tmp_path):
    path = tmp_path / "file.toml"
    path.write_text(text)
    errors = [error.message for error in of_files(kind).iter_errors(tomllib.loads(text))]
    assert (errors == []) == good, errors
    if good:
        loads(kind, path)
        return
    with pytest.raises(NoiseformError):
        loads(kind, path)


@pytest.mark.parametrize("kind", TABLED)
def test_the_schema_of_each_parameter_says_what_noiseform_says(kind):
    """A whole number as a float is left out: noiseform tells 3.0 from 3, JSON Schema does not."""
    definitions = of_files("recipe").schema["$defs"]
    for part in current().plugins.parts(kind):
        factory = part.load()
        table = Draft202012Validator({**definitions[f"{kind}.noiseform.{part.name}"], "$defs": definitions})
        settable = [one for one in describe(factory) if not one.host]
        needed = {one.name: fitting(one.name) for one in settable if one.required}
        assert table.is_valid({"use": part.name, **needed}), part
        for one in settable:
            for value in VALUES:
                given = {**needed, one.name: value}
                assert table.is_valid({"use": part.name, **given}) == takes(factory, given), (part, one, value)


def fitting(name: str) -> object:
    """Return a value for each parameter of a built-in part that has no default."""
    return {"codec": {"use": "identity"}, "config": {}, "classes": ["a"], "names": ["a"]}.get(name, "a")


def takes(factory: Any, given: Mapping[str, object]) -> bool:
    try:
        check_parameters(factory, given, what="part")
    except NoiseformError:
        return False
    return True


def test_weights_of_a_codec_stand_for_what_it_leaves_out():
    table = tomllib.loads(RECIPE)
    table["stages"][0]["codec"] = {"use": "diffusers-vae", "weights": "runs/codec"}
    assert of_files("recipe").is_valid(table)
    del table["stages"][0]["codec"]["weights"]
    assert not of_files("recipe").is_valid(table)
    inner = {"use": "embedding", "codec": {"use": "contrastive", "weights": "runs/joint"}}
    table = tomllib.loads(RECIPE)
    table["stages"][0]["conditioners"] = [inner]
    assert of_files("recipe").is_valid(table)
    inner["codec"]["widht"] = 3
    assert not of_files("recipe").is_valid(table)


ODD = """
import dataclasses
from typing import Annotated
from noiseform import hookimpl
from noiseform.core.registration.config import PartConfig

@dataclasses.dataclass
class Band:
    low: float
    inner: "Band | None" = None

class Wide:
    \"\"\"In ``bands``.

    Args:
        bands: of :class:`Band`, ``low``
            first.
    \"\"\"

    def __init__(self, bands: list[Band] = [], codec: PartConfig | None = None, sampler: PartConfig | None = None): ...

class Odd:
    def __init__(self, x: "Nowhere" = 1): ...

@hookimpl
def noiseform_samplers(): return {"wide": Wide, "odd": Odd, "ddim": Wide, "gone": "no_such_module:X"}
"""


def test_parts_of_outsiders_are_there_when_they_are_installed(site):
    def reads(sampler: Mapping[str, object]) -> bool:
        table = tomllib.loads(RECIPE)
        table["stages"][0]["sampler"] = sampler
        return schema.is_valid(table)

    schema = of_files("recipe")
    assert reads({"use": "ddim", "eta": 1})
    assert not reads({"use": "wide"})
    site.add("far-away", {"far_away": ODD})
    with pytest.warns(UserWarning, match="no parameter of it is checked") as warned:
        schema = validator(recipe_schema(current()))
    told = [str(one.message) for one in warned]
    assert [one.partition(":")[0] for one in told] == [
        f"sampler {name!r} of plugin far-away (far-away 1.0)" for name in ("gone", "odd")
    ]
    assert reads({"use": "wide", "bands": [{"low": 1, "inner": {"low": 2}}], "codec": {"use": "mel", "bins": 8}})
    assert reads({"use": "far-away/wide", "sampler": {"use": "heun"}})
    assert not reads({"use": "wide", "bands": [{"low": 1, "inner": {"lwo": 2}}]})
    assert not reads({"use": "wide", "codec": {"use": "mel", "bims": 8}})
    assert not reads({"use": "wide", "sampler": {"use": "dimm"}})
    assert reads({"use": "odd", "whatever": 3})  # what cannot be looked into is not judged
    assert reads({"use": "gone", "whatever": 3})
    assert not reads({"use": "ddim"})  # which two claim now
    assert reads({"use": "far-away/ddim"})
    assert reads({"use": "noiseform/ddim", "eta": 1})
    assert not reads({"use": "far-away/ddim", "eta": 1})


def test_docstrings_are_read_in_one_place():
    class Part:
        """The sum of ``a`` and :class:`~x.B`,
        in ``c``.

        More.

        Args:
            a: first of ``all``
                and last.
            b: of it \\*all.

        Raises:
            ValueError: never.

        Source: Someone 2020,
            equation 3.
        """

    told = documentation(Part)
    assert told.summary == "The sum of ``a`` and :class:`~x.B`, in ``c``."
    assert told.text.endswith("\n\nMore.")
    assert told.meanings == {"a": "first of ``all`` and last.", "b": "of it \\*all."}
    assert told.source == "Someone 2020, equation 3."
    assert plain(told.summary) == "The sum of a and x.B, in c."
    assert markdown(told.summary) == "The sum of `a` and `x.B`, in `c`."
    assert plain(told.meanings["b"]) == "of it *all."
    assert documentation(functools.partial(Part)) == told
