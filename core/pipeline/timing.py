"""Times computed for a trained model, and the model folder that keeps them."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..diffusion.level import Level
from ..diffusion.noise import Key
from ..diffusion.optimal import Found, Trial, fine_steps
from ..errors import ConfigError, nearest
from ..naming import printable
from ..registration.attribution import plugins_named
from ..registration.build import build_part
from ..registration.config import PartConfig, PipelineConfig, checked
from ..registration.stage_weights import entry_of
from ..storage.atomic import publish_folder, temporary_folder
from ..storage.model_folder import load_model_folder, write_model_folder
from .conversion import folders_named_in, is_replaced, make_parents
from .enlarging import asked_first, enlarged
from .extension import extended
from .loading import described, load_pipeline
from .overrides import Overrides
from .pipeline import Pipeline
from .pretrained import codec_entry
from .running import Asked, Conditions, Result, Running
from .stage import parts_of
from .work import Tell, Work, untold

__all__ = ["Timed", "timed"]


@dataclass(frozen=True)
class Timed:
    """What computing times for a model has come to.

    Attributes:
        config: of the new model folder.
        stage: the stage whose times they are.
        found: for each number of steps.
        spread: root mean square of the latents, to hold the distances of ``found`` against.
        rows: network forward passes in all.
        seconds: how long it took.
    """

    config: PipelineConfig
    stage: str
    found: tuple[Found, ...]
    spread: float
    rows: int
    seconds: float


def timed(
    wanted: str,
    out: Path,
    steps: Sequence[int],
    *,
    stage: str | None = None,
    sampler: str | None = None,
    wish: Mapping[str, object] | None = None,
    trials: int = 8,
    seed: int = 0,
    batch_size: int = 1,
    device: str = "cpu",
    overwrite: bool = False,
    tell: Tell = untold,
) -> Timed:
    """Compute the best times for a model, and write a model folder that is it with these times.

    Args:
        wanted: name of a pipeline, or the path of a model folder, which stays as it is.
        out: the model folder to write; what stands there stays until the new one is complete.
        steps: numbers of steps, each of which gets times of its own.
        stage: the stage whose times they are; the first one if omitted.
        sampler: another sampler for it, which the new model then has; the model's own if omitted.
        wish: the conditions of every trial run; if omitted each gets other labels, of those that the model knows.
        trials: number of trial runs.
        seed: of them.
        batch_size: items a call of the network; 1 finds the same times whatever their number.
        device: where the network runs.
        overwrite: replace a model folder that is there.
        tell: is told how far it is.

    Raises:
        ConfigError: there is no such pipeline or stage, ``out`` is taken, or an argument is out of bounds.
        CheckpointError: the model is damaged.
        ResourceError: the disk is full, or memory runs out.
    """
    if trials < 2 or batch_size < 1:
        raise ConfigError(f"grid: expected 2 trials or more, and a batch size of 1 or more, got {trials}, {batch_size}")
    if not steps or min(steps) < 2 or len(set(steps)) < len(steps):
        raise ConfigError(f"grid: steps: expected different numbers, each 2 or more, got {list(steps)}")
    replaced = is_replaced(out, overwrite, "grid")
    config, folders = described(wanted)
    names = [one.name for one in config.stages]
    if stage is not None and stage not in names:
        raise ConfigError(f"grid: {wanted!r} has no stage {stage!r}; {nearest(stage, names)}")
    number = names.index(stage or names[0])
    settings = () if sampler is None else (f"stages.{names[number]}.sampler.use={sampler}",)
    pipeline = load_pipeline(wanted, config.modality, overrides=Overrides(settings=settings), device=device)
    begun = time.perf_counter()
    with plugins_named(f"grid: {pipeline.name}"), torch.no_grad():
        calls = _Calls(tell)
        with calls.counted(f"{trials} long runs", fine_steps(max(steps))):
            trial, asked = _trial(pipeline, number, wish, trials, seed, batch_size, max(steps), calls)
        grid = pipeline.stages[number].grid
        best = list[Found]()
        for one in steps:
            with calls.counted(f"times for {one} steps", trial.most_calls(one)):
                best.append(trial.best(one, than=grid))
        found = tuple(best)
        if sampler is not None:  # what was before is the model with its own
            own = build_part(config.stages[number].sampler, "sampler", where=f"grid: {wanted}")
            found = tuple(replace(one, before=trial.distance(grid, one.steps, own)) for one in found)
    took = time.perf_counter() - begun
    table = {"use": "optimal", "nsr": [list(one.nsr) for one in found]}
    times = checked(PartConfig, table, what="grid").of("noiseform")
    stages = list(pipeline.config.stages)
    stages[number] = stages[number].model_copy(update={"grid": times})
    config = pipeline.config.model_copy(update={"stages": stages})
    facts = {
        "grid": {
            "stage": names[number],
            "trials": trials,
            "seed": seed,
            "before": {str(one.steps): one.before for one in found},
            "after": {str(one.steps): one.after for one in found},
        }
    }
    _write(out, config, folders, facts, replaced=replaced)
    return Timed(config, names[number], found, trial.spread, sum(one.rows for one in asked), took)


class _Calls:
    """Counts the calls of a denoiser, and tells of them; the search may end with fewer than it has."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._work = tell, Work("", 0, 0, "calls")

    @contextlib.contextmanager
    def counted(self, what: str, of: int) -> Iterator[None]:
        """Count those of a piece of work."""
        self._work = Work(what, 0, of, "calls")
        yield
        self._tell(replace(self._work, done=of))

    def another(self) -> None:
        self._work = replace(self._work, done=self._work.done + 1)
        self._tell(self._work)


def _trial(
    pipeline: Pipeline,
    number: int,
    wish: Mapping[str, object] | None,
    trials: int,
    seed: int,
    batch_size: int,
    steps: int,
    calls: _Calls,
) -> tuple[Trial, list[Asked]]:
    """Return the trial of a stage, and its denoisers, one for each batch."""
    stage = pipeline.stages[number]
    keys = [Key(seed, item=item) for item in range(trials)]
    wishes = [wish if wish is not None else _cycled(pipeline, item) for item in range(trials)]
    batches = [slice(at, at + batch_size) for at in range(0, trials, batch_size)]
    asked = [_asked(pipeline, number, wishes[some], tuple(keys[some])) for some in batches]

    def denoise(x: Tensor, level: Level[float]) -> Tensor:
        calls.another()
        return torch.cat([one.denoise(x[some], level) for one, some in zip(asked, batches, strict=True)])

    trial = Trial(
        denoise,
        process=stage.process,
        sampler=stage.sampler,
        shape=stage.latent_shape,
        seeds=[key.at_stage(number) for key in keys],
        steps=steps,
        device=pipeline.device,
    )
    return trial, asked


def _cycled(pipeline: Pipeline, item: int) -> dict[str, object]:
    """Return labels for an item: of each conditioner of the first stage that knows some the next one."""
    conditioners = pipeline.stages[0].model.conditioners
    names = [tuple(one.names) for one in conditioners if getattr(one, "names", ())]
    return {"labels": tuple(dict.fromkeys(known[item % len(known)] for known in names))}


def _asked(pipeline: Pipeline, number: int, conditions: Conditions, keys: tuple[Key, ...]) -> Asked:
    """Return the denoiser of a stage for a few items, after the stages before it have made what it goes on from."""
    if not pipeline.starts_from_nothing:
        raise ConfigError(
            f"grid: {pipeline.name}: its first stage makes larger what is there, and there is nothing; name a cascade "
            "that makes it first, with --stage"
        )
    resample = getattr(pipeline.modality, "resampled", None)
    made: Result | None = None
    for n, stage in enumerate(pipeline.stages[: number + 1]):
        mine = tuple(key.at_stage(n) for key in keys)
        running = Running(pipeline.name, stage, mine, pipeline.device, pipeline.dtype, resample=resample)
        if n == number:
            return running.asked(conditions if made is None else asked_first(running, made, conditions))
        made = _begun(running, pipeline, conditions) if made is None else enlarged(running, made, conditions)
    raise AssertionError("unreachable")


def _begun(running: Running, pipeline: Pipeline, conditions: Conditions) -> Result:
    spec = pipeline.specs[0]
    latent = extended(running, spec, pipeline.config.extend, conditions)
    return Result(spec, lambda: running.decoded(latent, spec.shape), latent, running.stage.config.codec)


def _write(
    out: Path,
    config: PipelineConfig,
    folders: Mapping[str, Path],
    facts: Mapping[str, object],
    *,
    replaced: bool,
) -> None:
    """Write a model folder with the weights of all stages, wherever they were."""
    away: Any = {"weights": True, "stages": {"__all__": {"weights"}}}
    table = config.model_dump(exclude_none=True, exclude=away)
    weights: dict[str, Mapping[str, Tensor]] = {}
    trained: dict[str, object] = {}
    beside: dict[str, Path] = {}
    for own, folder in folders.items():
        model, tensors = load_model_folder(folder)
        names = [str(one.get("name", "base")) for one in model.pipeline["stages"]]  # type: ignore[attr-defined]
        entry = entry_of(names, own, where=f"grid: {printable(folder)}")
        for theirs, ours in ((entry, own), (codec_entry(entry), codec_entry(own))):
            if theirs in tensors:
                weights[ours] = tensors[theirs]
        trained |= model.facts
        beside |= {name: folder / name for name in folders_named_in(folder) if (folder / name).is_dir()}
    parts = sorted({part for stage in config.stages for part in parts_of(stage)}, key=str)
    make_parents(out, "grid")
    with temporary_folder(out) as room:
        for name, folder in beside.items():
            shutil.copytree(folder, room / name)
        model_ = (table, weights, parts, {**trained, **facts})
        if replaced:
            for name in beside:
                if not (out / name).exists():
                    os.rename(room / name, out / name)
            write_model_folder(out, *model_)
        else:
            write_model_folder(room, *model_)
            publish_folder(room, out)
