"""The pipeline that a verb works with: loaded by its name, or given as itself; light to import."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError

if TYPE_CHECKING:
    from ..pipeline.pipeline import Pipeline

__all__ = ["Loader"]


class Loader:
    """Loads pipelines of one modality.

    Args:
        modality: its name.
    """

    def __init__(self, modality: str) -> None:
        self.modality = modality

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
        upscale: bool = False,
    ) -> Pipeline:
        """Return a pipeline with its weights, to make media with it many times; arguments as for ``generate``.

        With ``upscale`` it is one that makes larger what is there, and changes of sampling are about the first stage
        that does.
        """
        from ..machine.devices import checked_device, checked_dtype
        from ..pipeline.compiled import Compiler
        from ..pipeline.loading import load_pipeline
        from ..pipeline.overrides import Overrides

        if isinstance(settings, str):
            raise ConfigError(
                f"settings: expected several texts path=value, got {settings!r:.80}; write [{settings!r:.80}]"
            )
        if not isinstance(compile, bool):
            raise ConfigError(f"compile: expected True or False, got {compile!r:.80}")
        return load_pipeline(
            pipeline,
            self.modality,
            overrides=Overrides(steps, sampler, grid, guidance, seconds, extend, tuple(settings)),
            device=checked_device(device),
            dtype=checked_dtype(dtype),
            compiler=Compiler() if compile else None,
            upscale=upscale,
        )

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
        silence: dict[str, tuple[object, ...]] = {
            "settings": ((), []),
            "device": ("cpu",),
            "dtype": ("float32",),
            "compile": (False,),
            "upscale": (False, True),
        }
        said = [name for name, value in wishes.items() if value not in silence.get(name, (None,))]
        if said:
            raise ConfigError(f"{', '.join(said)}: say it to load(), with the pipeline, which is loaded already")
        return pipeline
