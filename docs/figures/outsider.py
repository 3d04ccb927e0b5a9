"""Train the example plugin's own recipe on its own medium and draw what comes out: ``python docs/figures/outsider.py``.

It takes some seconds. Nothing is installed: a registry file of this run names the plugin.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
PROJECT = DOCS / "examples" / "outsider"
PROMPTS = ("slow sine", "slow square", "quick sine", "quick square")


def main(picture: str = str(DOCS / "images" / "outsider-waves.png")) -> None:
    """Make waves, train on them, and draw one generated series for each kind."""
    from noiseform.core.cli.main import main as noiseform
    from noiseform.core.registration.build import build
    from noiseform.core.verbs.verbs import Verbs

    sys.path.insert(0, str(PROJECT))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        registry = folder / "registry.toml"
        registry.write_text('[plugins]\noutsider = "noiseform_outsider"\n', encoding="utf-8")
        os.environ["NOISEFORM_REGISTRY"] = str(registry)
        waves, run = str(folder / "waves"), str(folder / "run")
        for arguments in (
            ["make-waves", waves],
            ["train", str(PROJECT / "recipe.toml"), "--data", waves, "-o", run, "--threads", "1"],
        ):
            code = noiseform(arguments)
            if code:
                sys.exit(code)
        series = Verbs("series")
        pipeline = series.load(run)
        made = [series.generate(pipeline, prompt=prompt, seed=seed)[0] for seed, prompt in enumerate(PROMPTS)]
        build("modality", "series").sheet(made, PROMPTS, picture, overwrite=True)
    print(picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
