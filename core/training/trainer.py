"""The training loop."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ... import __version__
from ..errors import ConfigError, NumericError, ResourceError
from ..machine.devices import checked_device, seeded
from ..machine.exhaustion import memory_told
from ..machine.interrupts import Interrupted, signals_held
from ..machine.memory import refuse_too_many_parameters
from ..naming import printable
from ..pipeline.modality import DataSet, Modality
from ..pipeline.required import modality_required
from ..registration.attribution import plugins_named
from ..registration.plugins import Plugins
from ..storage.checkpoint import latest_state, save_checkpoint
from ..storage.model_folder import write_model_folder
from ..storage.run_lock import RunLock
from ..storage.state_tree import flatten_state, restore_optimizer, restore_state
from ..storage.weights import assign, cast_tensors
from .average import averaged
from .batches import Batch, Batches
from .classifier import ClassifierTask
from .codec import CodecTask
from .denoising import DenoisingTask
from .identity import differences, identity_of
from .log import LossLog, write_skipped
from .observing import Observer, TrainingRun, TrainingStep
from .optimization import parameter_groups, rate_at
from .precision import chosen
from .recipe import AnyRecipe, ClassifierRecipe, CodecRecipe, Recipe
from .run_folder import SAMPLES, check_run_folder, left_off
from .start import freeze_start, start_from
from .task import Task

__all__ = ["Interrupted", "train"]

_LOGGED = 50  # steps between writes to the log
_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def train(
    recipe: AnyRecipe,
    data: DataSet | Callable[[], DataSet],
    modality: Modality,
    folder: Path,
    *,
    source: Path | None = None,
    resume: bool = False,
    override: bool = False,
    plugins: Plugins | None = None,
    observers: tuple[Observer, ...] = (),
    until: int | None = None,
    device: str = "cpu",
) -> Path:
    """Train one stage of a pipeline, a codec or a classifier, and leave a model folder.

    Args:
        recipe: what is trained, and how.
        data: the items, or what reads them: called once everything that takes no time has been checked.
        modality: what they are.
        folder: of the run; it becomes the model folder and also holds checkpoints, log and pictures.
        source: where the items lie; no run is started inside.
        resume: continue from the newest whole checkpoint; without one, start.
        override: resume even though the recipe or the data have changed.
        plugins: whose training observers are asked; those given by ``observers`` are called too.
        observers: called after every step.
        until: stop after so many steps, saved as after a signal; the schedule stays that of the whole run.
        device: where it is trained, such as ``cpu`` or ``cuda``. Items, noise and times are the same on every one.

    Returns:
        The folder.

    Raises:
        ConfigError: the folder holds a run and ``resume`` is off, or files that are no run's; the recipe changed, or
            another trainer is at it.
        PluginError: a plugin's code raises, or a part breaks its contract.
        ResourceError: memory or disk ran out; the last checkpoint, if there was one, stands.
        NumericError: loss or gradient is not finite; the step, its files and the checkpoint that stands are named.
        Interrupted: a signal asked for the end; the run is saved and can be resumed.
    """
    if until is not None and until < 1:
        raise ConfigError(f"until: expected a step from 1, got {until}")
    device = checked_device(str(device))  # which may be a torch.device
    too_much = f"training: {recipe.training.batch_size} items a step do not fit into memory; lower training.batch_size"
    check_run_folder(folder, resume=resume, data=source)
    with RunLock(folder), plugins_named("training"):
        with memory_told(too_much):
            trainer = _Trainer(recipe, modality, folder, resume=resume, device=device)
        items = data() if callable(data) else data
        with signals_held() as caught, memory_told(too_much):
            trainer.begin(items, resume=resume, override=override)
            run = TrainingRun(folder, trainer.recipe, trainer.done)
            watching = (*observers, *(plugins.observers("noiseform_training_observers", run) if plugins else ()))
            trainer.go(watching, caught, until)
    return folder


class _Trainer:
    def __init__(self, recipe: AnyRecipe, modality: Modality, folder: Path, *, resume: bool, device: str) -> None:
        self.folder, self.device = folder, device
        begun = latest_state(folder).get("identity") if resume else None
        precision = chosen(recipe.training.precision, device, begun)
        config = self.config = recipe.training.model_copy(update={"precision": precision})
        self.recipe = recipe = recipe.model_copy(update={"training": config})
        with seeded(config.seed):  # of the initial weights; torch has no other way
            self.task = _task(recipe, modality, device)
        if config.freeze:
            freeze_start(self.task.modules["model"])
        if config.start is not None and not resume:
            self._start(config.start)
        sizes = {name: sum(one.numel() for one in module.parameters()) for name, module in self.task.modules.items()}
        refuse_too_many_parameters(sum(sizes.values()), sizes["model"], device)
        self.average = averaged(self.task.modules["model"], config.ema)
        self.memory: Mapping[str, nn.Module] = getattr(self.task, "memory", {})
        self.optimizers = {
            name: torch.optim.AdamW(
                parameter_groups(module, config.weight_decay), lr=config.learning_rate, betas=config.betas, fused=True
            )
            for name, module in self.task.modules.items()
        }

    def begin(self, data: DataSet, *, resume: bool, override: bool) -> None:
        """Look at the data, and at what an earlier run has left."""
        config, self.data = self.config, data
        self.task.check(data, config.batch_size)
        self.batches = Batches(
            data,
            size=config.batch_size,
            seed=config.seed,
            dropout=config.dropout,
            conditioners=self.task.conditioners,
            device=self.device,
        )
        self.identity = identity_of(self.recipe, self.task, data)
        self.done = self.saved = self._resume(override) if resume else 0
        if config.start is not None and resume and not self.done:
            self._start(config.start)
        self.log = LossLog(self.folder / "log.jsonl", after=self.done)
        write_skipped(self.folder / "skipped.jsonl", data.skipped)

    def _start(self, reference: str) -> None:
        stages = self.recipe.stages if isinstance(self.recipe, Recipe) else ()
        own = next((stage.conditioners for stage in stages if stage.name == self.task.entry), [])
        start_from(reference, self.task.entry, self.task.modules["model"], own)

    def _resume(self, override: bool) -> int:
        checkpoint = left_off(self.folder)
        if checkpoint is None:
            return 0
        for note in checkpoint.notes:
            warnings.warn(note, stacklevel=4)
        changes = differences(checkpoint.state.get("identity"), self.identity)
        if changes and not override:
            raise ConfigError(
                f"resume: {printable(self.folder)}: what is trained has changed: {'; '.join(changes)}; "
                "resume with the run's own recipe and data, or with --override"
            )
        source = f"checkpoint: {printable(checkpoint.path)}"
        assign(self.average.module, checkpoint.tensors["ema"], source=source)
        self.average.n_averaged.fill_(checkpoint.step)
        for name, module in self.task.modules.items():
            assign(module, checkpoint.tensors[name], source=source)
            entry = _optimizer_entry(name)
            restored = restore_state(checkpoint.tensors[entry], checkpoint.state[entry])
            restore_optimizer(self.optimizers[name], restored)
        for name, module in self.memory.items():
            if name in checkpoint.tensors:  # not where the recipe was overridden
                assign(module, checkpoint.tensors[name], source=source)
        return checkpoint.step

    def go(self, observers: tuple[Observer, ...], caught: list[int], until: int | None) -> None:
        config = self.config
        last = min(config.steps, config.steps if until is None else until)
        if self._drawn and not self._picture.exists():  # the run was killed between its checkpoint and its picture
            self._if_room(self._draw)
        self.batches.read_ahead(last)
        started = time.monotonic()
        try:
            for step in range(self.done, last):
                loss, rate, gradient = self._step(step)
                self.done = step + 1
                self.log.add(step=self.done, loss=loss, learning_rate=rate, gradient=gradient)
                seconds = time.monotonic() - started
                for observer in observers:
                    observer(TrainingStep(self.done, config.steps, loss, rate, gradient, seconds))
                if self.done == last or caught:
                    self.save()
                elif self._drawn or self.done % config.checkpoint_every == 0:
                    self._if_room(self.save)
                elif self.done % _LOGGED == 0:
                    self._if_room(self.log.flush)
                if self._drawn:
                    self._if_room(self._draw)
                if caught:
                    if self.saved != self.done:  # the signal came since, or there was no room
                        self.save()
                    raise Interrupted(caught[0])
        finally:
            self.log.close()

    def _if_room(self, write: Callable[[], None]) -> None:
        """Write something, or go on without it where the disk is full and the recipe says so."""
        try:
            write()
        except ResourceError as error:
            if self.config.full_disk == "stop":
                raise
            warnings.warn(f"{error}; training goes on", stacklevel=2)

    def _step(self, step: int) -> tuple[float, float, float]:
        """Update every module once; return loss and gradient of the model, and the learning rate."""
        batch = self.batches.batch(step)
        rate = rate_at(self.config, step)
        told: dict[str, tuple[float, float]] = {}
        for module in self.task.modules.values():
            module.train()
        with seeded(self.batches.torch_seed(step), self.device):  # dropout draws from torch's own generators
            for name, loss in self.task.updates(batch):
                told[name] = self._update(name, loss, rate, step, batch)
        self.average.update_parameters(self.task.modules["model"])
        loss_now, gradient = told["model"]
        return loss_now, rate, gradient

    def _update(self, name: str, loss: Tensor, rate: float, step: int, batch: Batch) -> tuple[float, float]:
        """Update one module; return its loss and the norm of its gradient before clipping."""
        optimizer = self.optimizers[name]
        for group in optimizer.param_groups:
            group["lr"] = rate
        if not loss.requires_grad:
            raise ConfigError("training.freeze: nothing that learns has a say in the loss of these items; leave it out")
        loss.backward()
        parameters = list(self.task.modules[name].parameters())
        gradient = torch.nn.utils.clip_grad_norm_(parameters, self.config.clip)
        value, norm = loss.item(), gradient.item()
        if not (math.isfinite(value) and math.isfinite(norm)):
            what = "loss" if not math.isfinite(value) else "gradient"
            raise NumericError(
                f"training: step {step + 1}: the {what} is not finite, on {', '.join(map(printable, batch.names[:4]))}"
                f"{f' and {len(batch.names) - 4} more' if len(batch.names) > 4 else ''}; "
                f"{self._kept()} a lower training.learning_rate, or look at these files"
            )
        optimizer.step()
        for module in self.task.modules.values():  # a loss may reach into other modules than its own
            module.zero_grad(set_to_none=True)
        return value, norm

    def _kept(self) -> str:
        """Return what there is to go on from."""
        if self.saved:
            return f"the checkpoint of step {self.saved} stands: resume it with --override and"
        return "there is no checkpoint yet: start again with"

    @property
    def _drawn(self) -> bool:
        """Whether a picture belongs to the step that is done."""
        every = self.config.sample_every
        return bool(every and self.done and self.done % every == 0)

    @property
    def _picture(self) -> Path:
        return self.folder / SAMPLES / f"step-{self.done:08d}.png"

    def _draw(self) -> None:
        self.batches.wait()
        path = self._picture
        path.parent.mkdir(parents=True, exist_ok=True)
        self.task.draw(self.average.module, self.data, path)

    def save(self) -> None:
        """Save a checkpoint, then export the averaged weights as the model folder."""
        self.batches.wait()
        self.log.flush(to_disk=True)
        tensors: dict[str, dict[str, Tensor]] = {"ema": self.average.module.state_dict()}
        state: dict[str, object] = {"identity": self.identity}
        for name, module in self.task.modules.items():
            entry = _optimizer_entry(name)
            tensors[name] = module.state_dict()
            tensors[entry], state[entry] = flatten_state(self.optimizers[name].state_dict())
        tensors.update((name, module.state_dict()) for name, module in self.memory.items())
        save_checkpoint(self.folder, self.done, tensors, state, keep=self.config.keep)
        self.saved = self.done
        exported = self.task.exported(self.average.module, self.data)
        write_model_folder(
            self.folder,
            self.task.pipeline,
            {name: cast_tensors(one, _DTYPES[self.config.weights]) for name, one in exported.items()},
            (*self.task.parts, *modality_required(self.recipe.modality)),
            {
                "noiseform": __version__,
                "step": self.done,
                "training": self.config.model_dump(mode="json"),
                "data": self.recipe.data.model_dump(mode="json"),
                "items": len(self.data),
                "loss": _recent(self.log),
            },
        )
        self.log.plot(self.folder / "loss.png")
        write_skipped(self.folder / "skipped.jsonl", self.data.skipped)


def _task(recipe: AnyRecipe, modality: Modality, device: str) -> Task:
    """Return what a recipe trains, on its device."""
    if isinstance(recipe, ClassifierRecipe):
        return ClassifierTask(recipe, modality, device)
    if isinstance(recipe, CodecRecipe):
        return CodecTask(recipe, modality, device)
    return DenoisingTask(recipe, modality, device)


def _optimizer_entry(module: str) -> str:
    """Return the name under which a module's optimizer stands in a checkpoint."""
    return "optimizer" if module == "model" else f"{module}-optimizer"


def _recent(log: LossLog) -> float:
    """Return the mean loss of the last 500 steps."""
    losses = [entry["loss"] for entry in log.entries[-500:]]
    return sum(losses) / max(1, len(losses))
