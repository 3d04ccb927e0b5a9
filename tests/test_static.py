"""What the package's own source must never contain: unpickling, evaluated text, shells (figure G16)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [
    *sorted(ROOT.glob("*.py")),
    *(path for folder in ("core", "plugins", "modalities") for path in sorted((ROOT / folder).rglob("*.py"))),
]
MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle"}
NAMES = {"eval", "exec", "compile", "__import__", "breakpoint"}
CALLS = {"os.system", "os.popen", "os.execv", "os.spawnv", "pty.spawn", "yaml.load", "yaml.unsafe_load"}
CALLS |= {"subprocess.getoutput", "subprocess.getstatusoutput", "pandas.read_pickle", "torch.hub.load"}
DISTRIBUTED_CHECKPOINT = "torch.distributed.checkpoint"  # its load unpickles: one module at most may use it
BANNED_OPTIONS = {"shell": True, "allow_pickle": True, "weights_only": False, "trust_remote_code": True}


def dotted(node: ast.expr) -> str:
    """The dotted name that an expression is, or an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (head := dotted(node.value)):
        return f"{head}.{node.attr}"
    return ""


def full_names(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {item.asname: item.name for item in node.names if item.asname}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {item.asname or item.name: f"{node.module}.{item.name}" for item in node.names}
    return names


def faults(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of everything in ``source`` that is banned."""
    tree = ast.parse(source)
    names = full_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, item.name) for item in node.names if item.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and not node.level and str(node.module).split(".")[0] in MODULES:
            yield node.lineno, str(node.module)
        elif isinstance(node, ast.Call):
            head, dot, rest = dotted(node.func).partition(".")
            name = names.get(head, head) + dot + rest
            options = {item.arg: item.value for item in node.keywords}
            if name in NAMES | CALLS or name.split(".")[0] in MODULES:
                yield node.lineno, name
            if name == "torch.load" and not is_constant(options.get("weights_only"), True):
                yield node.lineno, "torch.load without weights_only=True"
            for option, value in BANNED_OPTIONS.items():
                if option in options and not is_constant(options[option], not value):
                    yield node.lineno, f"{name}({option}=…)"


def is_constant(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def test_the_package_has_sources() -> None:
    assert len(SOURCES) > 20


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpickled_evaluated_or_given_to_a_shell(path: Path) -> None:
    assert list(faults(path.read_text(encoding="utf-8"))) == []


def test_distributed_checkpoints_are_read_in_one_module_at_most() -> None:
    users = [path for path in SOURCES if DISTRIBUTED_CHECKPOINT in path.read_text(encoding="utf-8")]
    assert len(users) <= 1, users


BAD = [
    "import pickle",
    "import pickle as p",
    "from pickle import loads",
    "from _pickle import load",
    "eval('1')",
    "exec('x = 1')",
    "import os\nos.system('ls')",
    "import os as o\no.popen('ls')",
    "from os import system as s\ns('ls')",
    "import torch\ntorch.load('x')",
    "import torch\ntorch.load('x', weights_only=False)",
    "import torch\ntorch.load('x', weights_only=flag)",
    "from torch import load as l\nl('x')",
    "import subprocess\nsubprocess.run('ls', shell=True)",
    "import numpy\nnumpy.load('x', allow_pickle=True)",
    "f(shell=flag)",
]
GOOD = [
    "network.eval()",
    "import torch\ntorch.load('x', weights_only=True)",
    "import subprocess\nsubprocess.run(['ls'], shell=False)",
    "re.compile('x')",
    "from . import pickle_free",
]


@pytest.mark.parametrize("source", BAD)
def test_the_check_sees_what_is_banned(source: str) -> None:
    assert list(faults(source))


@pytest.mark.parametrize("source", GOOD)
def test_the_check_lets_pass_what_is_not(source: str) -> None:
    assert not list(faults(source))
