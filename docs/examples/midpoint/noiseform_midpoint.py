"""The explicit midpoint method for noiseform."""

from noiseform import hookimpl

noiseform_api = 1  # the version of the hooks that this is written for


@hookimpl
def noiseform_samplers():
    return {"midpoint": "noiseform_midpoint_impl:Midpoint"}
