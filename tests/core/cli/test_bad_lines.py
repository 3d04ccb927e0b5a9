"""Wrong command lines by the hundred: each ends with one clear line and a code from 2 to 7, never a traceback (G18)."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from noiseform.core.cli.main import main

NUMBERS = ("0", "-1", "1e9", "999999999999999999999", "nan", "x", "", "1.5", "0x10", "1e")
NAMES = (
    "",
    " ",
    "no-such",
    "../..",
    "a/b/c",
    "-",
    "CON",
    "x" * 300,
    "x" * 5000,
    "\x1b[31m",
    "a\nb",
    "\u202e",
    "default",
    "%s{}",
)
TEXTS = (
    "=",
    "a",
    "a=",
    "=1",
    "a.b.c=1",
    "stages=3",
    "stages.9.steps=1",
    "stages.base=1",
    "stages.base.steps=[",
    "[x]=1",
)
SETTINGS = (
    "stages.base.network.use='eval'",
    "stages.base.network.channels=[]",
    "stages.base.network.channels=[8,-8]",
    "stages.base.network.channels='8'",
    "stages.base.network.blocks=nan",
    "stages.base.network.head_width=7",
    "stages.base.codec.scale=0",
    "stages.base.codec.scale=inf",
    "stages.base.codec.media=1",
    "stages.base.codec={use='mel', hop=0}",
    "stages.base.codec={use='mel', window=7}",
    "stages.base.codec={use='stft', power=2.0}",
    "stages.base.process='flow'",
    "stages.base.process={use='flow', beta=1}",
    "stages.base.objective={use='eps'}",
    "stages.base.guidance.interval=[0.5]",
    "stages.base.guidance.interval=[0.9, 0.1]",
    "stages.base.guidance.scale='high'",
    "stages.base.grid={use='karras', rho=-1}",
    "stages.base.steps=1e9",
    "stages.base.name='../x'",
    "stages.base.sampler={use='no-kit/ddim'}",
    "stages.base.conditioners.0.names=[]",
    "stages.base.conditioners.0.names=['a','a']",
    "stages.base.conditioners.3.names=['a']",
    "stages=[]",
    "media={}",
    "media.sample_rate=999",
    "media.sample_rate=8000.5",
    "media.seconds=-1",
    "media.seconds=nan",
    "media.channels=65",
    "modality='image'",
    "modality=1",
    "weights=3",
    "colour='red'",
    "[",
    "a" * 3000 + "=1",
    ".".join("a" * 40) + "=1",
)
FILES = {
    "empty.toml": b"",
    "text.toml": b"hello\n",
    "latin.toml": b"summary = 'caf\xe9'\n",
    "nul.toml": b"a = 1\0\n",
    "deep.toml": b"a = " + b"[" * 5000 + b"]" * 5000,
    "twice.toml": b"a = 1\na = 2\n",
    "large.toml": b"# " + b"x" * 2_000_000,
    "schema.toml": b"schema = 99\n",
    "unknown.toml": b"schema = 1\n[plugin]\nx = 'y'\n",
    "target.toml": b"schema = 1\n[plugins]\nx = '/etc/passwd'\n",
    "types.toml": b"schema = 1\npipelines = 3\n",
    "binary.toml": bytes(range(256)),
    "empty.wav": b"",
    "text.wav": b"hello",
    "cut.wav": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "header.flac": b"fLaC" + b"\xff" * 40,
    "noise.ogg": bytes(range(256)) * 4,
    "x.mp3": b"\xff\xfb" + b"\0" * 100,
    "x.txt": b"hello",
    "noext": b"hello",
}

RIGHT = (
    ["--registry", "empty.toml", "list"],
    ["--registry", "target.toml", "list"],
    ["--sampler", "default"],
    ["--grid", "default"],
)
"""A registry may be empty; a plugin that cannot be imported is set aside; `default` is a name."""


def lines(model: str) -> list[list[str]]:
    """Return the command lines; the good parts of each are really good, so that the wrong one is what is found."""
    make = ["generate", "audio", model, "-o", "out.wav"]
    train = ["train", "good.toml", "--data", "data", "-o", "run"]
    found = [
        *([*make, option, value] for option in ("-n", "--steps", "--batch-size") for value in NUMBERS),
        *([*make, "--seed", value] for value in NUMBERS[1:]),
        *([*make, "--guidance", value] for value in ("nan", "inf", "-inf", "1e400", "x", "", "2000")),
        *(
            [*make, option, name]
            for option in ("--label", "--sampler", "--grid", "--dtype", "--device")
            for name in NAMES
        ),
        *(["generate", name, model, "-o", "out.wav"] for name in NAMES),
        *(
            ["generate", "audio", name, "-o", "out.wav"]
            for name in (*NAMES, ".", "/", "~nobody-here", "data", "good.toml")
        ),
        *([*make, "--set", setting] for setting in (*TEXTS, *SETTINGS)),
        *(
            [*make[:3], "-o", name]
            for name in (*NAMES[4:9], "no/x.wav", "good.toml/x.wav", "x.aiff", "/dev/null", "a.wav/")
        ),
        *([*make, "--prompt", "a tone"], [*make, "--previews", "good.toml"], [*make, "--sheet", "no/x.png"]),
        *(
            [*make, "--sheet", "out.wav"],
            [*make, "--label", "low", "--label", "high"],
            [*make, "--label", "low", "--label", "low"],
        ),
        *(
            [*train, "--set", setting]
            for setting in ("training=1", "training.steps=-1", "data.labels='x'", "stages=[]", "x")
        ),
        *([*train, option, value] for option in ("--until", "--threads") for value in ("0", "-1", "x", "")),
        *(
            ["train", name, "--data", "data", "-o", "run"]
            for name in (*(f for f in FILES if f.endswith("toml")), "none", ".")
        ),
        *(["train", "good.toml", "--data", name, "-o", "run"] for name in (*NAMES, "good.toml", "empty", "/dev/null")),
        *(["train", "good.toml", "--data", "data", "-o", name] for name in ("", "good.toml", "good.toml/x", "x" * 300)),
        *(["train"], ["train", "good.toml"], [*train, "more"], [*train, "--colour"]),
        *(["convert", name, "out"] for name in (*FILES, *NAMES, "data", ".", "/dev/null")),
        *(["convert", "data", name] for name in NAMES),
        *(["replay", name] for name in (*FILES, *NAMES, "data", ".", "/dev/null")),
        *(["--registry", name, "list"] for name in (*(f for f in FILES if f.endswith("toml")), *NAMES, "data")),
        *(["list", name] for name in NAMES),
        *(["show", name] for name in (*NAMES, "sampler", "sampler/", "/ddim", "sampler/dimm", "smapler/ddim")),
        *([name] for name in NAMES),
        *(
            [command, "--no-such-option"]
            for command in ("generate", "train", "convert", "replay", "list", "show", "plugins", "registry")
        ),
        *(
            ["plugins", "no-such"],
            ["registry", "no-such"],
            ["generate"],
            ["replay"],
            ["show"],
            ["list", "a", "b"],
            ["--colour"],
        ),
    ]
    return [line for line in found if line not in RIGHT and line[-2:] not in RIGHT]


def test_bad_lines(tiny_model, tones, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, data in FILES.items():
        Path(name).write_bytes(data)
    shutil.copy(tiny_model.parent / "recipe.toml", "good.toml")
    shutil.copytree(tones, "data")
    Path("empty").mkdir()
    before = {path for path in tmp_path.rglob("*") if "run" not in path.parts}
    failed: list[str] = []
    tried = 0
    for line in lines(str(tiny_model)):
        tried += 1
        code = main(list(line))
        out, err = capsys.readouterr()
        told = [text for text in err.splitlines() if text.startswith("error: ")]
        why = [
            *([f"code {code}"] if not 2 <= code <= 7 else []),
            *(["traceback"] if "Traceback" in err + out else []),
            *([f"{len(told)} error lines"] if len(told) != 1 else []),
            *(["escape"] if "\x1b" in err or "\u202e" in err else []),
            *(["no cure"] if told and not re.search(r"; |see |did you mean|expected|known:", told[0]) else []),
            *(["long"] if told and len(told[0]) > 2100 else []),
        ]
        after = {path for path in tmp_path.rglob("*") if "run" not in path.parts}
        why += [f"left {path.name}" for path in after - before]
        before |= after
        if why:
            failed.append(f"{[part[:60] for part in line]}: {', '.join(why)}: {err[:300]!r}")
    print(f"bad command lines: {tried} tried, {len(failed)} failed")
    assert not failed, "\n".join(failed)
    assert tried >= 300
