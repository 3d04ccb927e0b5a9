"""The public surface, held against ``public_surface.txt``: what outsiders rely on changes with intent only.

Names with their signatures, hooks with their arguments, kinds with their contracts and versions, exit codes. The
commands of the command line are held by tests/core/cli/test_listing.py. After a change that is meant::

    python tests/test_public_surface.py      # writes the file anew
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import noiseform
from noiseform.core import hookspecs
from noiseform.core.errors import NoiseformError
from noiseform.core.registration.installed import GROUP
from noiseform.core.registration.kinds import KINDS, NAME
from noiseform.core.registration.plugin_loading import RUN_HOOKS
from noiseform.core.testing.suite import Suite

GOLDEN = Path(__file__).with_name("public_surface.txt")
ROOT = Path(noiseform.__file__).parent
MODULES = ("noiseform", "noiseform.audio", "noiseform.image", "noiseform.video", "noiseform.testing")
"""Where public names come from."""

CONTRACTS = {
    "process": "diffusion.process:Process",
    "objective": "diffusion.objective:Objective",
    "grid": "diffusion.sampling:Grid",
    "sampler": "diffusion.sampling:Sampler",
    "guidance": "diffusion.denoiser:Guidance",
    "modality": "pipeline.modality:Modality",
    "converter": "pipeline.conversion:Converter",
    "what a modality gives": "pipeline.modality:DataSet",
    "what a sampler draws": "diffusion.sampling:Noise",
    "observer of sampling": "diffusion.sampling:Observer",
    "what it is shown": "diffusion.sampling:SamplingStep",
    "what its hook is given": "pipeline.running:SamplingRun",
    "what an observer of training is shown": "training.observing:TrainingStep",
    "what the hook of those is given": "training.observing:TrainingRun",
}
"""The contracts that core writes down as a class, by what they are of."""

MEANT = """
The public surface is not what {file} says. If that is meant:
1. `python tests/test_public_surface.py` writes the file anew; look at its difference.
2. Write a line into CHANGELOG.md.
3. If plugins from before would notice: raise API_VERSION in core/hookspecs.py, add a Change to CHANGES in
   core/registration/api.py, and give the kind or the hook its new `since`.
"""


class Text:
    """An annotation as it stands in the source."""

    def __init__(self, annotation: object) -> None:
        self.text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)

    def __repr__(self) -> str:
        return self.text


def signature(function: object) -> str:
    """Return a signature with its annotations as they are written."""
    found = inspect.signature(function)  # type: ignore[arg-type]
    empty = inspect.Parameter.empty
    parameters = [
        one if one.annotation is empty else one.replace(annotation=Text(one.annotation))
        for one in found.parameters.values()
    ]
    answer = empty if found.return_annotation is empty else Text(found.return_annotation)
    return str(found.replace(parameters=parameters, return_annotation=answer))


def lines() -> Iterator[str]:
    """Give the public surface, line by line."""
    for module in MODULES:
        _, _, inner = module.partition(".")
        found = (inner and getattr(noiseform, inner, None)) or importlib.import_module(module)
        for name in sorted(found.__all__):
            if name != "__version__":
                yield from described(f"{module}.{name}", getattr(found, name))
    yield f"entry points: {GROUP}"
    yield f"names of parts: {NAME.pattern}"
    yield f"interface: {hookspecs.API_VERSION}"
    hooks = {kind.hook: kind.since for kind in KINDS.values()} | RUN_HOOKS
    for hook, since in sorted(hooks.items()):
        yield f"hook {hook}{signature(getattr(hookspecs, hook))}: since {since}"
    for kind in KINDS.values():
        yield f"kind {kind.name}: {kind.hook}: {' '.join(kind.contract) or 'anything'}: since {kind.since}"
    for of, place in CONTRACTS.items():
        module, _, name = place.partition(":")
        yield from described(
            f"contract ({of}) {name}", getattr(importlib.import_module(f"noiseform.core.{module}"), name)
        )
    for error in sorted(NoiseformError.__subclasses__(), key=lambda one: one.exit_code):
        if error.__module__ == NoiseformError.__module__:
            yield f"exit code {error.exit_code}: {error.__name__}"


def described(name: str, value: object) -> Iterator[str]:
    """Give the lines of one name: a function, a class with what it has, a module."""
    if inspect.isclass(value):
        yield f"{name}{constructor(value)}"
        if issubclass(value, Suite):  # what an author writes in a test class; checks are added as the kit learns
            claims = {claim for base in value.__mro__ for claim in vars(base).get("__annotations__", {})}
            yield from (f"{name}.{claim}" for claim in sorted(claims) if not claim.startswith("_"))
            return
        for member in sorted(set(dir(value)) - set(dir(Exception if issubclass(value, Exception) else object))):
            if not member.startswith("_"):
                yield from of_class(f"{name}.{member}", inspect.getattr_static(value, member))
        for base in reversed(value.__mro__[:-1]):
            if base.__module__.startswith("noiseform"):
                for field, annotation in sorted(vars(base).get("__annotations__", {}).items()):
                    if not field.startswith("_"):
                        yield f"{name}.{field}: {Text(annotation)!r}"
    elif callable(value) and (inspect.isroutine(value)):
        yield f"{name}{signature(value)}"
    else:
        yield f"{name}: {type(value).__name__}"


def constructor(kind: type) -> str:
    """Return how a class is made; of an error, or of a contract, only that it is one."""
    if issubclass(kind, Exception):
        code = f", exit code {kind.exit_code}" if issubclass(kind, NoiseformError) else ""
        return f"(...): {kind.__mro__[1].__name__}{code}"
    return ": contract" if getattr(kind, "_is_protocol", False) else signature(kind)


def of_class(name: str, value: object) -> Iterator[str]:
    """Give the line of what a class has."""
    if isinstance(value, property):
        yield f"{name}: {inspect.signature(value.fget).return_annotation}"  # type: ignore[arg-type]
    elif isinstance(value, classmethod | staticmethod):
        yield f"{name}{signature(value.__func__)}"
    elif inspect.isroutine(value):
        yield f"{name}{signature(value)}"
    elif isinstance(value, int | str | float | bool | tuple):
        yield f"{name} = {value!r}"


def test_the_public_surface_is_frozen() -> None:
    before, now = GOLDEN.read_text(encoding="utf-8").splitlines(), list(lines())
    difference = "\n".join(difflib.unified_diff(before, now, "public_surface.txt", "now", n=0, lineterm=""))
    assert before == now, f"{difference}\n{MEANT.format(file=GOLDEN.relative_to(Path(__file__).parents[1]))}"


def test_a_change_is_noticed() -> None:
    """Look for one line of each sort, so that a surface that loses what it describes does not pass."""
    surface = list(lines())
    for expected in (
        "noiseform.build(kind: str, name: str, /, **params: object) -> Any",
        "noiseform.PluginError(...): NoiseformError, exit code 5",
        "hook noiseform_sampling_observers(run: object) -> object: since 0.1",
        "kind grid: noiseform_grids: times: since 0.1",
        "contract (grid) Grid.times(self, process: Process, steps: int) -> Tensor",
        "contract (sampler) Sampler.order: int",
        "noiseform.Level.alpha: Scalar",
        "exit code 7: NumericError",
        "entry points: noiseform",
    ):
        assert expected in surface, expected
    assert len(surface) == len(set(surface))
    assert any(line.startswith("noiseform.audio.generate(pipeline: str | os.PathLike[str] | ") for line in surface)


if __name__ == "__main__":
    GOLDEN.write_text("".join(f"{line}\n" for line in lines()), encoding="utf-8")
    print(f"written: {GOLDEN}")
