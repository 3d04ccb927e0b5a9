"""Write the pages of the docs that say what the code says: ``python docs/generate_reference.py [--check]``.

Made anew are ``reference/cli.md`` from the command line's own help, ``reference/parts.md`` from the signatures and
docstrings of the built-in parts, ``reference/recipe.md`` from the schema of pipelines and recipes, and the files that
pages quote between ``<!-- quoted: FILE -->`` and ``<!-- end -->``.
With ``--check`` nothing is written; pages that differ are named, and the exit code is 1.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from noiseform.core.cli.lazy_group import common_options
from noiseform.core.cli.main import COMMANDS
from noiseform.core.data.dataset import DataConfig
from noiseform.core.pipeline.classifier import ClassifierConfig
from noiseform.core.registration.config import ExtendConfig, PartConfig, PipelineConfig, StageConfig
from noiseform.core.registration.documentation import documentation, markdown
from noiseform.core.registration.kinds import KINDS, Kind
from noiseform.core.registration.parameters import Parameter, describe
from noiseform.core.registration.plugin_loading import Part
from noiseform.core.registration.registry import current
from noiseform.core.registration.schema_words import in_words
from noiseform.core.registration.targets import import_target
from noiseform.core.training.recipe import ClassifierRecipe, CodecRecipe, TrainingConfig
from noiseform.modalities.audio.modality import AudioMedia
from noiseform.modalities.image.modality import ImageMedia
from noiseform.modalities.video.modality import VideoMedia
from pydantic import BaseModel

DOCS = Path(__file__).resolve().parent
_QUOTED = re.compile(r"(<!-- quoted: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_LANGUAGES = {".py": "python", ".toml": "toml"}


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them."""
    reference = DOCS / "reference"
    pages = {
        reference / "cli.md": command_line(),
        reference / "parts.md": parts(),
        reference / "recipe.md": recipe(),
    }
    for page in sorted((DOCS.parent / "README.md", *DOCS.rglob("*.md"))):
        text = page.read_text(encoding="utf-8") if page.exists() else ""
        if _QUOTED.search(text):
            pages[page] = _QUOTED.sub(_quoted, text)
    stale = [page for page, text in pages.items() if not page.exists() or page.read_text(encoding="utf-8") != text]
    if "--check" not in arguments:
        for page in stale:
            page.parent.mkdir(exist_ok=True)
            page.write_text(pages[page], encoding="utf-8")
    for page in stale:
        print(f"{'differs' if '--check' in arguments else 'written'}: {page.relative_to(DOCS.parent)}")
    if stale and "--check" in arguments:
        print("run `make docs` and commit the result", file=sys.stderr)
        return 1
    return 0


def _quoted(match: re.Match[str]) -> str:
    file = DOCS / match[2]
    return f"{match[1]}```{_LANGUAGES[file.suffix]}\n{file.read_text(encoding='utf-8').rstrip()}\n```\n{match[3]}"


HEAD = "<!-- Made by docs/generate_reference.py; change the code instead. -->\n\n"


def command_line() -> str:
    """Return the page of the command line."""
    lines = [
        HEAD + "# The command line\n",
        "Every command also takes the following, and `--help`.\n",
        *_options(common_options()),
        "\nExit codes: 0 ok, 2 usage or configuration, 3 media, 4 model, 5 plugin, 6 resources, 7 numeric, 129 SIGHUP,",
        "130 SIGINT, 141 the reader of the output went away, 143 SIGTERM, 1 a bug.",
        "See [what goes wrong](../guide/errors.md).\n",
    ]
    for name, entry in COMMANDS.items():
        command = import_target(entry.target)
        assert isinstance(command, click.Command)
        lines += _command(f"noiseform {name}", command)
    return "\n".join(lines).rstrip() + "\n"


def _command(path: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    yield f"## {path}\n"
    if isinstance(command, click.Group):
        yield _text(command.help or "") + "\n"
        for name, inner in command.commands.items():
            yield from _command(f"{path} {name}", inner)
        return
    arguments = [
        parameter.make_metavar(context) for parameter in command.params if isinstance(parameter, click.Argument)
    ]
    own = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    common = {option.name for option in common_options()}
    own = [option for option in own if option.name not in common]
    yield f"    {' '.join([path, *arguments, *(['[OPTIONS]'] if own else [])])}\n"
    yield _text(command.help or "") + "\n"
    yield from _options(own)
    yield ""


def _text(help_: str) -> str:
    """Return a help text as Markdown: what click leaves as it is (after a \\b) becomes a block of code."""
    paragraphs = inspect.cleandoc(help_).split("\n\n")
    shown = []
    for paragraph in paragraphs:
        verbatim = paragraph.startswith("\b\n")
        body = paragraph.removeprefix("\b\n")
        shown.append("```console\n" + re.sub("^", "$ ", body, flags=re.M) + "\n```" if verbatim else body)
    return "\n\n".join(shown)


def _options(options: tuple[click.Option, ...] | list[click.Option]) -> Iterator[str]:
    if not options:
        return
    yield "| option | meaning |"
    yield "|---|---|"
    for option in options:
        metavar = "" if option.is_flag else f" {option.make_metavar(click.Context(click.Command('x')))}"
        names = ", ".join(f"`{name}`" for name in option.opts[:-1])
        names += (", " if names else "") + f"`{option.opts[-1]}{metavar}`"
        meaning = re.sub(r" \[default: (.*)\]$", r" Default: \1.", option.help or "")
        default = f" Default: {option.default}." if option.show_default and option.default is not None else ""
        several = " May be given again." if option.multiple and "again" not in (option.help or "") else ""
        required = " Required." if option.required else ""
        yield f"| {names} | {_cell(meaning + default + several + required)} |"


def parts() -> str:
    """Return the page of the built-in parts."""
    lines = [
        HEAD + "# The built-in parts\n",
        'Each part has a name in its kind. In a file it is a table, `sampler = { use = "ddim", eta = 0.5 }`; in Python',
        '`build("sampler", "ddim", eta=0.5)`. `noiseform list` shows what is installed, `noiseform show KIND/NAME` one',
        "part. How to write your own: [plugins](../guide/plugins.md).\n",
        " · ".join(f"[{kind.name}](#{kind.name})" for kind in KINDS.values()) + "\n",
    ]
    registry = current()
    for kind in KINDS.values():
        own = [part for part in registry.plugins.parts(kind.name) if part.plugin.candidate.builtin]
        what = f"{kind.summary[:1].upper()}{kind.summary[1:]}. Hook: `{kind.hook}`."
        contract = f" A part has {_listed([f'`{name}`' for name in kind.contract])}." if kind.contract else ""
        lines += [f"## {kind.name}\n", f"{what}{contract}\n"]
        if kind.name in registry.defaults:
            lines.append(f"`default` stands for `{registry.defaults[kind.name]}`.\n")
        if not own:
            lines.append("None is built in.\n")
        for part in own:
            lines += _pipeline(part) if kind.name == "pipeline" else _part(part, kind)
    return "\n".join(lines).rstrip() + "\n"


TABLES: tuple[tuple[str, str, type[BaseModel]], ...] = (
    (
        "pipeline",
        "The top level of a recipe, of a `pipeline.toml`, and of `[pipelines.NAME]` in a registry.",
        PipelineConfig,
    ),
    ("stages", "Each `[[stages]]`. A part is a table: its name as `use`, its parameters beside it.", StageConfig),
    ("media", "`[media]` where `modality` is `audio`.", AudioMedia),
    ("media of pictures", "`[media]` where `modality` is `image`.", ImageMedia),
    ("media of films", "`[media]` where `modality` is `video`.", VideoMedia),
    ("data", "`[data]` of a recipe.", DataConfig),
    ("extend", "`[extend]`: how items get longer than the window that the model sees.", ExtendConfig),
    ("training", "`[training]` of a recipe.", TrainingConfig),
    (
        "recipe of a codec",
        "The top level of a recipe that trains a codec: `codec` stands in the place of `[[stages]]`. The recipe of a\n"
        'pipeline then names the run as the weights of its codec: `codec = { use = "kl-vae", weights = "runs/vae" }`.',
        CodecRecipe,
    ),
    (
        "recipe of a classifier",
        "The top level of a recipe that trains a classifier of noisy items: `classifier` stands in the place of\n"
        "`[[stages]]`. A pipeline is then guided by it:\n"
        '`guidance = { use = "classifier", weights = "runs/classifier" }`.',
        ClassifierRecipe,
    ),
    ("classifier", "`[classifier]` of such a recipe.", ClassifierConfig),
)


def recipe() -> str:
    """Return the page of the tables that recipes and pipelines consist of."""
    lines = [
        HEAD + "# Recipes and pipelines\n",
        "What may stand in a recipe for [`noiseform train`](cli.md#noiseform-train), in a pipeline of the",
        "[registry](../guide/registry.md), and in the `pipeline.toml` of a model. `--set PATH=VALUE` sets any key,",
        "such as `--set training.steps=8000`. An example: [train your own model](../guide/train.md).\n",
    ]
    for name, what, model in TABLES:
        lines += [f"## {name}\n", what + "\n", "| key | expects | default | meaning |", "|---|---|---|---|"]
        meanings = documentation(model).meanings
        schema = model.model_json_schema()
        for key, field in model.model_fields.items():
            expects = _cell(in_words(_resolved(schema["properties"][key], schema.get("$defs", {}))))
            default = "(required)" if field.is_required() else _written(field.get_default(call_default_factory=True))
            lines.append(f"| `{key}` | {expects} | {default} | {_cell(markdown(meanings.get(key, '')))} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _resolved(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a schema with what it refers to put in: a part is said as such, other tables as tables."""
    if isinstance(schema, list):
        return [_resolved(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"type": "part" if schema["$ref"].endswith("/PartConfig") else "object"}
    # The pattern of a name says less than the word.
    return {key: _resolved(value, definitions) for key, value in schema.items() if key != "pattern"}


def _written(value: object) -> str:
    """Return a default as a file would say it; nothing where it is None."""
    if isinstance(value, PartConfig):
        return f"`{{ use = {json.dumps(value.use)} }}`"
    if isinstance(value, BaseModel):
        return "`{}`"
    return "" if value is None else f"`{json.dumps(value)}`"


def _pipeline(part: Part) -> Iterator[str]:
    pipeline = current().pipeline(part.name)
    yield f"### {part.name}\n"
    yield f"{pipeline.summary[:1].upper()}{pipeline.summary[1:]}.\n"
    yield f"    noiseform generate {pipeline.modality} {part.name}\n"


def _part(part: Part, kind: Kind) -> Iterator[str]:
    factory = part.load()
    assert callable(factory)
    told = documentation(factory)
    yield f"### {part.name}\n"
    yield markdown(told.text) + "\n"
    facts = {name: getattr(factory, name, None) for name in kind.contract}
    shown = [f"{name} {value}" for name, value in facts.items() if isinstance(value, bool | int | str)]
    if shown:
        yield f"*{', '.join(shown).replace('_', ' ')}*\n"
    settable = [parameter for parameter in describe(factory) if not parameter.host]
    if settable:
        yield "| parameter | expects | default | meaning |"
        yield "|---|---|---|---|"
        for parameter in settable:
            meaning = _cell(markdown(parameter.meaning))
            yield f"| `{parameter.name}` | {_cell(parameter.expects)} | {_default(parameter)} | {meaning} |"
        yield ""
    if told.source:
        yield f"Source: {markdown(told.source)}\n"


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "(required)"
    return _written(parameter.default)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
