"""noiseform's samplers in the pipelines of diffusers, which call the object for it a scheduler."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn, Self

import torch
from torch import Tensor

from ...core.diffusion.level import Level
from ...core.diffusion.noise import Draws, Key, keys_of
from ...core.diffusion.prediction import Prediction
from ...core.diffusion.process import Process, complete, levels_at
from ...core.diffusion.sampling import Grid, Sampler, StepNoise, levels_from
from ...core.diffusion.transition import learnt_variance
from ...core.errors import ConfigError
from ...core.registration.build import build
from .library import model_class
from .pipeline_noise import Generators, PipelineNoise
from .scheduler_parts import OwnTimes, equally_spaced, named_prediction, parts_of
from .timesteps import Timesteps
from .unrolled import Answer, Call, Unrolled, calls_of, gain

__all__ = ["Scheduler"]

_Mixin: Any = model_class("SchedulerMixin", "Scheduler")
_Configured: Any = model_class("ConfigMixin", "Scheduler")


class Scheduler(_Mixin, _Configured):  # type: ignore[misc]
    """A sampler and a grid of noiseform, taken by a pipeline of diffusers in the place of its own scheduler.

    ``timesteps`` holds every moment at which the network is called, so more than ``num_inference_steps`` where the
    sampler calls it several times in a step; between the entries of a table they are fractions. Items are
    ``x_t = alpha * x0 + sigma * eps`` of the process.

    Noise for the steps comes from the ``generator`` that the pipeline passes, drawn as diffusers draws its own, so from
    torch's global generator where it passes none. With ``seeds`` it is keyed instead, as everywhere in noiseform. The
    noise that a picture starts from is the pipeline's in both cases; `prior` gives keyed one for its ``latents``.

    Needs diffusers (``pip install 'noiseform[diffusers]'``).

    Args:
        process: how data was destroyed: a process or its name, as with the following.
        prediction: what the network says: "eps", "v", "x0", "velocity", …, diffusers' names for them ("epsilon",
            "v_prediction", "sample", "flow_prediction"), or a :class:`Prediction`. A velocity by its name is that of
            a network that is shown x as it is, as diffusers' are.
        sampler: how one step is made.
        grid: which times are visited.
        clip: bound that x0 is held to before the sampler sees it; 0 is none.
        seeds: of the steps' noise, a seed or :class:`Key` for each item.
        unit_start: start from noise of the strength that noisy data of unit variance would have, as DDIM of diffusers
            does, and not from that of the noise in it.
        config: what else a pipeline reads from ``scheduler.config``. Its ``num_train_timesteps`` is the timestep of
            t = 1 where the process is no table; on a table index i, t = (i + 1) / length, is timestep i.

    Raises:
        ConfigError: there is no part of such a name.
        PluginError: diffusers is not installed.

    Example:
        >>> pipe.scheduler = Scheduler.like(pipe.scheduler, sampler="dpmpp-2m", grid="log-snr")
        >>> pipe("a hat", num_inference_steps=15)
    """

    has_compatibles = False

    def __init__(
        self,
        process: Process | str,
        prediction: Prediction | str,
        sampler: Sampler | str = "default",
        grid: Grid | str = "default",
        *,
        clip: float = 0.0,
        seeds: Sequence[int | Key] | None = None,
        unit_start: bool = False,
        config: Mapping[str, object] | None = None,
    ) -> None:
        made: Process = build("process", process) if isinstance(process, str) else process
        table: int | None = getattr(made, "length", None)
        known: dict[str, Any] = {"num_train_timesteps": table or 1000, **(config or {})}
        self._process = complete(made)
        self._prediction = named_prediction(prediction) if isinstance(prediction, str) else prediction
        if self._prediction.name == "edm":
            raise ConfigError("scheduler: a network of EDM's preconditioning is told other times than timesteps")
        self._sampler: Sampler = build("sampler", sampler) if isinstance(sampler, str) else sampler
        self._grid: Grid = build("grid", grid) if isinstance(grid, str) else grid
        self._clip, self._unit_start = clip, unit_start
        self._keys = None if seeds is None else keys_of(seeds)
        self._counting = Timesteps(self._process, table or known["num_train_timesteps"], table is not None)
        names = {"eps": "epsilon", "x0": "sample", "v": "v_prediction", "velocity": "flow_prediction"}
        said = names.get(self._prediction.name, self._prediction.name)
        self.register_to_config(**{"prediction_type": said, **known})
        self._levels: tuple[Level[float], ...] = levels_at(self._process, torch.tensor([1.0, 0.0], dtype=torch.float64))
        self._calls: tuple[Call, ...] = (Call(0, self._levels[0]),)
        self._run: Unrolled | None = None
        self._begin: int | None = None
        self.num_inference_steps: int | None = None
        self.timesteps = self._counting.of(self._levels[:1])
        self._listed: list[float] = self.timesteps.tolist()

    @classmethod
    def like(
        cls,
        scheduler: object,
        *,
        sampler: Sampler | str | None = None,
        grid: Grid | str | None = None,
        seeds: Sequence[int | Key] | None = None,
    ) -> Self:
        """Return one for the networks that a scheduler of diffusers is for.

        Args:
            scheduler: usually ``pipe.scheduler``. From it come the process, the prediction and clipping.
            sampler: how one step is made; if omitted, what the scheduler's own is here.
            grid: which times are visited; if omitted, the scheduler's own.
            seeds: of the steps' noise.

        Raises:
            ConfigError: an option of the scheduler makes a difference and has no counterpart here.

        Warns:
            UserWarning: it does not do quite the same.
        """
        parts = parts_of(scheduler, sampler, grid)
        for note in parts.notes:
            warnings.warn(note, stacklevel=2)
        return cls(
            parts.process,
            parts.prediction,
            parts.sampler,
            parts.grid,
            clip=parts.clip,
            seeds=seeds,
            unit_start=parts.unit_start,
            config={key: value for key, value in scheduler.config.items() if not key.startswith("_")},  # type: ignore[attr-defined]
        )

    @property
    def order(self) -> int:
        """Calls of the network in a step, as pipelines understand it."""
        return self._sampler.nfe_per_step

    @property
    def init_noise_sigma(self) -> float:
        """Factor that turns standard normal numbers into what the network is first called on."""
        (here, next), first = self._levels[:2], self._calls[0].level
        if self._unit_start:
            return (first.alpha**2 + first.sigma**2) ** 0.5
        scaled = here.sigma * gain(self._sampler, here, next, self._sampler.init(torch.ones(1, 1)))
        return max(scaled, first.sigma) if first.t > here.t else scaled  # noise that a step adds before its first call

    @property
    def step_index(self) -> int | None:
        """Number of the timestep whose output is due, once a run has begun."""
        return None if self._run is None else self._run.at

    @property
    def begin_index(self) -> int | None:
        """Number of the timestep that a run begins with, where a pipeline has said."""
        return self._begin

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Say with which timestep a run begins."""
        self._begin = begin_index

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: torch.device | str | None = None,
        sigmas: Sequence[float] | None = None,
        mu: float | None = None,
    ) -> None:
        """Choose the number of steps.

        Args:
            num_inference_steps: number of steps.
            device: of the timesteps.
            sigmas: noise levels that a pipeline for flow models asks for. They and ``mu`` are heeded on the scheduler's
                own grid; a grid of noiseform takes of equally spaced ones how many there are.
            mu: the logarithm of a shift that depends on the size of a picture.

        Raises:
            ConfigError: nobody can make so many steps, or tell when the network would be called, or the grid starts
                where the network's output says nothing of x0.
        """
        steps, grid = num_inference_steps, self._grid
        if sigmas is not None:
            steps = len(sigmas) if steps is None else steps
            if len(sigmas) != steps:
                raise ConfigError(f"set_timesteps: {len(sigmas)} sigmas for {steps} steps; give one for each")
        if steps is None:
            raise ConfigError("set_timesteps: give num_inference_steps")
        if isinstance(grid, OwnTimes):
            grid = replace(grid, sigmas=sigmas, mu=mu)
        elif sigmas is not None and not equally_spaced(sigmas):
            raise ConfigError("set_timesteps: sigmas were given, but the grid is noiseform's; leave out one of the two")
        levels = levels_from(self._process, grid, steps)
        why = self._prediction.blindness(self._process) if levels[0].alpha == 0 else None
        if why:
            raise ConfigError(f"set_timesteps: {why}; choose a grid that starts later")
        self._levels, self._calls = levels, calls_of(self._process, self._sampler, levels)
        self._run, self._begin, self.num_inference_steps = None, None, steps
        timesteps = self._counting.of(call.level for call in self._calls)
        self._listed = timesteps.tolist()
        self.timesteps = timesteps.to(device)

    def scale_model_input(self, sample: Tensor, timestep: Tensor | float) -> Tensor:
        """Return what the network is shown of items (batch, \\*item) at a timestep."""
        scale = float(torch.as_tensor(self._prediction.scale(self._counting.levels(timestep))))
        return sample if abs(scale - 1) < 1e-7 else sample * scale

    def add_noise(self, original_samples: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Return noisy items (batch, \\*item) of clean ones, each at its timestep, or all at one."""
        level = self._counting.levels(timesteps).like(original_samples)
        return level.alpha * original_samples + level.sigma * noise

    def scale_noise(self, sample: Tensor, timestep: Tensor, noise: Tensor) -> Tensor:
        """Return the same as `add_noise`, as pipelines for flow models ask for it."""
        return self.add_noise(sample, noise, timestep)

    def prior(
        self, shape: Sequence[int], *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
    ) -> Tensor:
        """Return keyed standard normal numbers (batch, \\*item) for a pipeline's ``latents``, those of noiseform.

        Raises:
            ConfigError: there is not one seed for each item.
        """
        return Draws().normal(self._seeded(shape[0]), shape[1:], purpose="prior", dtype=dtype, device=device)

    def _seeded(self, rows: int) -> tuple[Key, ...]:
        if self._keys is None or len(self._keys) != rows:
            raise ConfigError(f"scheduler: {rows} items, {len(self._keys or ())} seeds; give one seed for each item")
        return self._keys

    def step(
        self,
        model_output: Tensor,
        timestep: Tensor | float,
        sample: Tensor,
        eta: float = 0.0,
        use_clipped_model_output: bool | None = None,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> Any:  # diffusers' SchedulerOutput, or a tuple
        """Return what the network is to be called on next, or after the last timestep the finished items.

        Args:
            model_output: what the network said of ``sample`` (batch, \\*item).
            timestep: when; the next of ``timesteps``.
            sample: what it was called on, scaling aside: what was returned before, or a pipeline's own version of it.
            eta: 0: it is the sampler's own matter, ``sampler=build("sampler", "ddim", eta=...)``.
            use_clipped_model_output: not set, likewise.
            generator: of the noise, or one for each item, where there are no ``seeds``.
            return_dict: return an object with ``prev_sample``; otherwise a tuple of it.

        Raises:
            ConfigError: the timestep is not the one whose turn it is, the output has another shape, or there is not one
                seed for each item.
            PluginError: the sampler calls its denoiser at other moments than it did when it was tried.
        """
        if eta or use_clipped_model_output:
            raise ConfigError(
                "step: eta and use_clipped_model_output are the sampler's own matter: choose it so, such as "
                'Scheduler.like(..., sampler=build("sampler", "ddim", eta=1.0))'
            )
        wide = torch.promote_types(sample.dtype, torch.float32)
        run = self._run
        if run is None:
            run = self._run = self._started(timestep, sample.to(wide), model_output.dtype, generator)
        self._hold(run.at, timestep)
        if isinstance(self._noise, PipelineNoise):
            self._noise.generator = generator
        if not torch.equal(sample, run.asked.to(sample.dtype)):
            run.moved(sample.to(wide))
        made = run.answer(self._read(model_output, run.asked, run.call.level))
        if run.over:
            self._run = None
        made = made.to(sample.dtype, copy=True)  # what a pipeline does to it is not done to the run's own
        return _output(made) if return_dict else (made,)

    def _started(self, timestep: Tensor | float, x: Tensor, drawn: torch.dtype, generator: Generators) -> Unrolled:
        firsts = [at for at, call in enumerate(self._calls) if at == 0 or call.step != self._calls[at - 1].step]
        begin = self._begin
        if begin is None:
            begin = next((at for at in firsts if self._is(at, timestep)), 0)
        if begin not in firsts:
            raise ConfigError(
                f"scheduler: the pipeline begins with timestep number {begin}, in the middle of a step of sampler "
                f"{type(self._sampler).__name__}; with these steps it can begin with {', '.join(map(str, firsts[:12]))}"
                f"{', …' if len(firsts) > 12 else ''}: choose another strength or a sampler of one call for each step"
            )
        if self._keys is None:
            self._noise: PipelineNoise | StepNoise = PipelineNoise(x, drawn, generator)
        else:
            self._noise = StepNoise(Draws(), self._seeded(len(x)), x)
        return Unrolled(self._sampler, self._levels, self._calls, begin, self._noise, x)

    def _is(self, at: int, timestep: Tensor | float) -> bool:
        return abs(self._listed[at] - float(timestep)) <= 1e-3

    def _hold(self, at: int, timestep: Tensor | float) -> None:
        if not self._is(at, timestep):
            raise ConfigError(
                f"step: expected timestep {self._listed[at]:.6g}, number {at} of timesteps, got "
                f"{float(timestep):.6g}; call step once for each of timesteps, in order, and set_timesteps before a "
                "run begins anew"
            )

    def _read(self, output: Tensor, x: Tensor, level: Level[float]) -> Answer:
        """Return what the network's output says."""
        output, variance = output.to(x.dtype), None
        if self._prediction.learns_variance and output.shape != x.shape:  # some pipelines leave the variance out
            output, spread = output.chunk(2, 1)
            variance = partial(learnt_variance, spread)
        if output.shape != x.shape:
            raise ConfigError(
                f"step: the network gave {tuple(output.shape)} for items {tuple(x.shape)}; "
                f"{self._prediction.name} has the items' own shape"
            )
        x0 = self._prediction.x0(output, x, level)
        return Answer(x0.clamp(-self._clip, self._clip) if self._clip else x0, variance)

    def save_config(self, *args: object, **options: object) -> NoReturn:
        """Refuse: parts are objects, and diffusers writes numbers and words.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "scheduler: noiseform's is not saved with a pipeline; set pipe.scheduler to its own before, and this one "
            "again after loading"
        )

    save_pretrained = save_config

    def __len__(self) -> int:
        return int(self._counting.length)


def _output(prev_sample: Tensor) -> Any:
    from diffusers.schedulers.scheduling_utils import SchedulerOutput

    return SchedulerOutput(prev_sample=prev_sample)
