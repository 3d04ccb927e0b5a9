"""One small part of every kind. This module only names them: it is imported whenever noiseform starts."""

from __future__ import annotations

from noiseform import hookimpl

noiseform_api = 1  # the version of the hooks that this is written for


@hookimpl
def noiseform_processes():
    return {"cosine-power": "noiseform_outsider.process:CosinePower"}


@hookimpl
def noiseform_objectives():
    return {"huber": "noiseform_outsider.objective:Huber"}


@hookimpl
def noiseform_grids():
    return {"power": "noiseform_outsider.grid:Power"}


@hookimpl
def noiseform_samplers():
    return {"ab2": "noiseform_outsider.sampler:AB2"}


@hookimpl
def noiseform_guidances():
    return {"ramp": "noiseform_outsider.guidance:Ramp"}


@hookimpl
def noiseform_networks():
    return {"conv-1d": "noiseform_outsider.network:Conv1d"}


@hookimpl
def noiseform_codecs():
    return {"dct": "noiseform_outsider.codec:DCT"}


@hookimpl
def noiseform_conditioners():
    return {"words": "noiseform_outsider.conditioner:Words", "rough": "noiseform_outsider.rough:Rough"}


@hookimpl
def noiseform_modalities():
    return {"series": "noiseform_outsider.modality:SeriesModality"}


@hookimpl
def noiseform_metrics():
    return {"spectrum": "noiseform_outsider.metric:Spectrum"}


@hookimpl
def noiseform_converters():
    return {"json-conv": "noiseform_outsider.converter:JsonConv"}


@hookimpl
def noiseform_commands():
    return {"make-waves": "noiseform_outsider.command:make_waves"}


@hookimpl
def noiseform_training_observers(run):
    from .observer import StepTimes

    return StepTimes(run.folder / "step-times.csv")
