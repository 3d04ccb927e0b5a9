"""The verbs that every modality has, with the same keywords; light to import."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError

if TYPE_CHECKING:
    from ..diffusion.sampling import Observer
    from .pipeline import Pipeline

__all__ = ["MAX_COUNT", "Verbs", "conditions_of", "labels_of"]

MAX_COUNT = 1_000_000


class Verbs:
    """The verbs of one modality.

    Args:
        modality: its name.
    """

    def __init__(self, modality: str) -> None:
        self.modality = modality

    def __repr__(self) -> str:
        return f"<verbs of {self.modality}: generate, load>"

    def load(
        self,
        pipeline: str | None = None,
        *,
        steps: int | None = None,
        sampler: str | Mapping[str, object] | None = None,
        grid: str | Mapping[str, object] | None = None,
        guidance: float | None = None,
        seconds: float | None = None,
        extend: float | None = None,
        settings: Sequence[str] = (),
        device: str = "cpu",
        dtype: str = "float32",
        compile: bool = False,
    ) -> Pipeline:
        """Return a pipeline with its weights, to make media with it many times; arguments as for ``generate``."""
        from ..machine.devices import checked_device, checked_dtype
        from .compiled import Compiler
        from .loading import Changes, load_pipeline

        if isinstance(settings, str):
            raise ConfigError(
                f"settings: expected several texts path=value, got {settings!r:.80}; write [{settings!r:.80}]"
            )
        if not isinstance(compile, bool):
            raise ConfigError(f"compile: expected True or False, got {compile!r:.80}")
        return load_pipeline(
            pipeline,
            self.modality,
            changes=Changes(steps, sampler, grid, guidance, seconds, extend, tuple(settings)),
            device=checked_device(device),
            dtype=checked_dtype(dtype),
            compiler=Compiler() if compile else None,
        )

    def generate(
        self,
        pipeline: str | os.PathLike[str] | Pipeline | None = None,
        *,
        label: str | Sequence[str] | None = None,
        labels: Sequence[str] = (),
        prompt: str | None = None,
        negative_label: str | Sequence[str] | None = None,
        negative_prompt: str | None = None,
        count: int = 1,
        seed: int = 0,
        first: int = 0,
        steps: int | None = None,
        sampler: str | Mapping[str, object] | None = None,
        grid: str | Mapping[str, object] | None = None,
        guidance: float | None = None,
        seconds: float | None = None,
        extend: float | None = None,
        settings: Sequence[str] = (),
        batch_size: int = 1,
        device: str = "cpu",
        dtype: str = "float32",
        compile: bool = False,
        observers: Sequence[Observer] = (),
    ) -> list[Any]:
        """Make media out of noise.

        Args:
            pipeline: a name (``noiseform list pipeline``), the path of a model folder, or what ``load`` gave; the
                modality's default if omitted.
            label: what to make: a label, or several for a model that takes several.
            labels: the same.
            prompt: what to make, in words, for a model that takes text; empty is none.
            negative_label: what not to make: guidance leads away from it, rather than from no label.
            negative_prompt: the same, in words, for a model that takes text.
            count: how many.
            seed: 0 to 2**64 - 1; the same seed gives the same items.
            first: number of the first item; ``first=4`` makes what would be the fifth of a larger count.
            steps: number of steps; the pipeline's own if omitted, as with the following.
            sampler: name of a sampler, or its table ``{"use": "ddim", "eta": 0.5}``.
            grid: name of a grid, or its table.
            guidance: scale of classifier-free guidance; 1 is none.
            seconds: length of an item of sound or film, made at once; a model knows best what it was trained on.
            extend: how many seconds an item goes on after that, window by window, each from the end of the one before;
                for models with the conditioner ``mask``.
            settings: ``path=value`` inside the pipeline, such as ``stages.base.codec.iterations=64``.
            batch_size: items a call of the network. 1 promises the same bytes whatever else is made; more is faster
                on a GPU, with differences up to 1e-3.
            device: where the network runs, such as ``cpu`` or ``cuda``.
            dtype: what it computes in: ``float32``, ``bfloat16`` or ``float16``.
            compile: run a compiled form of the network, compared with the network itself before it is used. The first
                call with items of a size takes minutes.
            observers: watch the steps, see ``core.diffusion.sampling.Observer``.

        Returns:
            The items, each with its record.

        Raises:
            ConfigError: a wrong argument, or an unknown pipeline, label or part.
            CheckpointError: damaged weights.
            PluginError: a plugin is missing or breaks its contract.
            NumericError: values that are not finite.
            ResourceError: too little memory.

        Example:
            >>> from noiseform import audio
            >>> clips = audio.generate("spoken-digits", label="seven", count=4, seed=0)
        """
        from ..diffusion.noise import Key

        Key(seed)  # refuses a seed out of bounds before anything is loaded
        wanted = (*labels_of(label), *labels_of(labels))
        unwanted = labels_of(negative_label)
        wishes = conditions_of(
            wanted, prompt, unwanted, negative_prompt, count=count, first=first, batch_size=batch_size
        )
        loaded = self.loaded(
            pipeline,
            steps=steps,
            sampler=sampler,
            grid=grid,
            guidance=guidance,
            seconds=seconds,
            extend=extend,
            settings=settings,
            device=device,
            dtype=dtype,
            compile=compile,
        )
        made = loaded.make(wishes, seed=seed, first=first, batch_size=batch_size, observers=observers)
        return [one.media for one in made]

    def loaded(self, pipeline: str | os.PathLike[str] | Pipeline | None, **wishes: Any) -> Pipeline:
        """Return a pipeline that is given as itself, by its name or by its path.

        Args:
            pipeline: see :meth:`generate`.
            wishes: what :meth:`load` takes beside it; nothing of that for a pipeline that is loaded already.

        Raises:
            ConfigError: it is none of these, or ``wishes`` say something of one that is loaded.
        """
        if isinstance(pipeline, os.PathLike):
            pipeline = os.path.join(os.curdir, os.fspath(pipeline))
        if isinstance(pipeline, str) or pipeline is None:
            return self.load(pipeline, **wishes)
        if not hasattr(pipeline, "make"):
            raise ConfigError(f"pipeline: expected a name, a path or what load() gave, got {pipeline!r:.80}")
        silence = {"settings": ((), []), "device": ("cpu",), "dtype": ("float32",), "compile": (False,)}
        said = [name for name, value in wishes.items() if value not in silence.get(name, (None,))]
        if said:
            raise ConfigError(f"{', '.join(said)}: say it to load(), with the pipeline, which is loaded already")
        return pipeline


def labels_of(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return one label, or several, as several."""
    labels = (given,) if isinstance(given, str) else given or ()
    if not isinstance(labels, Sequence) or not all(isinstance(label, str) for label in labels):
        raise ConfigError(f"label: expected text, or several, got {given!r:.80}")
    return tuple(labels)


def conditions_of(
    labels: Sequence[str],
    prompt: str | None,
    negative_labels: Sequence[str] = (),
    negative_prompt: str | None = None,
    *,
    count: int,
    first: int = 0,
    batch_size: int = 1,
) -> list[Mapping[str, object]]:
    """Return the conditions of ``count`` items that are all asked for alike.

    Raises:
        ConfigError: a number is out of bounds.
    """
    for name, value, least in (("count", count, 1), ("first", first, 0), ("batch_size", batch_size, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_COUNT:
            raise ConfigError(f"{name}: expected a whole number from {least} to {MAX_COUNT}, got {value!r}")
    wish: dict[str, object] = {"labels": tuple(labels)}
    for name, text, key in (("prompt", prompt, "text"), ("negative_prompt", negative_prompt, "negative_text")):
        if not isinstance(text, str | None):
            raise ConfigError(f"{name}: expected text, got {text!r:.80}")
        if text:
            wish[key] = text
    if negative_labels:
        wish["negative_labels"] = tuple(negative_labels)
    return [wish] * count
