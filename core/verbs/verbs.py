"""The verbs that every modality has, with the same keywords; light to import."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .loader import Loader

if TYPE_CHECKING:
    from ..diffusion.sampling import Observer
    from ..pipeline.pipeline import Pipeline

__all__ = ["Verbs"]


class Verbs(Loader):
    """The verbs of one modality.

    Args:
        modality: its name.
    """

    def __repr__(self) -> str:
        return f"<verbs of {self.modality}: generate, edit, upscale, load>"

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
        from .requests import GenerateRequest, wishes_of

        asked = _asked(label, labels, prompt, negative_label, negative_prompt)
        request = GenerateRequest(
            wishes=wishes_of(asked, seed=seed, count=count, first=first, batch_size=batch_size),
            seed=seed,
            first=first,
            batch_size=batch_size,
            sampled={
                "steps": steps,
                "sampler": sampler,
                "grid": grid,
                "guidance": guidance,
                "seconds": seconds,
                "extend": extend,
                "settings": settings,
                "device": device,
                "dtype": dtype,
                "compile": compile,
            },
        )
        return request.job(self, pipeline).items(observers)

    def edit(
        self,
        item: Any,
        pipeline: str | os.PathLike[str] | Pipeline | None = None,
        *,
        mask: Any = None,
        extend: Any = None,
        strength: float | None = None,
        between: Any = None,
        at: float | Sequence[float] | None = None,
        resample: int = 1,
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
        settings: Sequence[str] = (),
        device: str = "cpu",
        dtype: str = "float32",
        compile: bool = False,
        observers: Sequence[Observer] = (),
    ) -> list[Any]:
        """Make items out of one that is there.

        The item is brought to the size and the rates that the model makes; its length in time stays. Outside of what is
        made anew it stays as it is, exactly.

        Args:
            item: a medium, or the path of a file.
            pipeline: as for ``generate``.
            mask: what is made anew: a range in seconds such as ``"0.2:0.4"``, a box ``"left,top,right,bottom"`` in
                pixels, the path of a file (white, or 1), an array of the item's size, or several of these.
            extend: how much the item goes on: seconds at its end, or for each end its own, as in
                ``{"left": 16, "right": 16}`` or ``"start=0.5,end=1"``, in pixels and seconds.
            strength: above 0, up to 1: begin from the item itself under so much noise. Alone it makes variations of the
                whole item; with a mask, of what lies in it.
            between: a second item: make what lies between the two.
            at: where between them, from 0 (the first) to 1; one place or several; evenly spaced ones if omitted.
            resample: how often each step is made, so that what is new and what is there agree better.
            label: as for ``generate``, as all that follows.
            labels: the same.
            prompt: see ``generate``.
            negative_label: see ``generate``.
            negative_prompt: see ``generate``.
            count: how many.
            seed: see ``generate``.
            first: number of the first.
            steps: see ``generate``.
            sampler: see ``generate``.
            grid: see ``generate``.
            guidance: see ``generate``.
            settings: see ``generate``.
            device: see ``generate``.
            dtype: see ``generate``.
            compile: see ``generate``.
            observers: see ``generate``.

        Returns:
            The edited items, each with a record of how it was made and of what.

        Raises:
            ConfigError: nothing is to change, or an argument is wrong.
            MediaError: the item or the mask cannot be read.

        Example:
            >>> from noiseform import audio
            >>> clips = audio.edit("seven.wav", mask="0.2:0.4", label="seven")
        """
        from .requests import EditRequest, wishes_of

        asked = _asked(label, labels, prompt, negative_label, negative_prompt)
        request = EditRequest(
            wishes=wishes_of(asked, seed=seed, count=count, first=first),
            seed=seed,
            first=first,
            mask=mask,
            extend=extend,
            strength=strength,
            between=between,
            at=at,
            resample=resample,
            sampled={
                "steps": steps,
                "sampler": sampler,
                "grid": grid,
                "guidance": guidance,
                "settings": settings,
                "device": device,
                "dtype": dtype,
                "compile": compile,
            },
        )
        return request.job(self, pipeline, item).items(observers)

    def upscale(
        self,
        item: Any,
        pipeline: str | os.PathLike[str] | Pipeline | None = None,
        *,
        factor: int | None = None,
        label: str | Sequence[str] | None = None,
        labels: Sequence[str] = (),
        prompt: str | None = None,
        negative_label: str | Sequence[str] | None = None,
        negative_prompt: str | None = None,
        seed: int = 0,
        steps: int | None = None,
        sampler: str | Mapping[str, object] | None = None,
        grid: str | Mapping[str, object] | None = None,
        guidance: float | None = None,
        settings: Sequence[str] = (),
        device: str = "cpu",
        dtype: str = "float32",
        compile: bool = False,
        observers: Sequence[Observer] = (),
    ) -> Any:
        """Make an item of any size larger: more pixels, a higher sample rate, more frames.

        Args:
            item: a medium, or the path of a file.
            pipeline: one with a stage that makes larger what is there; the modality's default if omitted.
            factor: how many times as large; a power of what the pipeline makes at once, which is what is made if
                omitted.
            label: what it is, as for ``generate``, as all that follows.
            labels: the same.
            prompt: see ``generate``.
            negative_label: see ``generate``.
            negative_prompt: see ``generate``.
            seed: of what is new.
            steps: see ``generate``; of the first stage that runs.
            sampler: likewise.
            grid: likewise.
            guidance: likewise.
            settings: see ``generate``.
            device: see ``generate``.
            dtype: see ``generate``.
            compile: see ``generate``.
            observers: see ``generate``.

        Returns:
            The larger item, with a record of how it was made and of what.

        Raises:
            ConfigError: the pipeline makes nothing larger, or an argument is wrong.
            MediaError: the item cannot be read.

        Example:
            >>> from noiseform import image
            >>> large = image.upscale("photo.png")
        """
        from .requests import UpscaleRequest, wishes_of

        request = UpscaleRequest(
            wishes=wishes_of(_asked(label, labels, prompt, negative_label, negative_prompt), seed=seed),
            seed=seed,
            factor=factor,
            sampled={
                "steps": steps,
                "sampler": sampler,
                "grid": grid,
                "guidance": guidance,
                "settings": settings,
                "device": device,
                "dtype": dtype,
                "compile": compile,
            },
        )
        (item,) = request.job(self, pipeline, item).items(observers)
        return item


def _asked(
    label: str | Sequence[str] | None,
    labels: str | Sequence[str] | None,
    prompt: str | None,
    negative_label: str | Sequence[str] | None,
    negative_prompt: str | None,
) -> dict[str, object]:
    """Return what is asked for, as the options of the command line say it."""
    return {
        "label": label,
        "labels": labels,
        "prompt": prompt,
        "negative_labels": negative_label,
        "negative_prompt": negative_prompt,
    }
