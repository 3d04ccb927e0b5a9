"""Fifty steps of DDIM with one network of diffusers' own: by its pipeline, and converted, by ours.

The memory switch is the process's own, so each setting has processes of its own, which take turns.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from timing import Row, ratio, rounds_of, row

__all__ = ["conversion"]

STEPS = 50
GOAL = 1.0


def written(folder: Path) -> None:
    """Write the pipeline: the U-Net of pictures of 32 x 32 that the other cases have too."""
    import diffusers

    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=32,
        block_out_channels=(32, 64, 128),
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
    )
    diffusers.DDIMPipeline(unet, diffusers.DDIMScheduler()).save_pretrained(folder)


def measure(source: Path, model: Path, rounds: int) -> dict[str, object]:
    """Return seconds of a picture by each, in turns, and the size of the network."""
    import diffusers
    from noiseform import image

    pipe = diffusers.DDIMPipeline.from_pretrained(source)
    pipe.set_progress_bar_config(disable=True)
    loaded = image.load(f"{model}", steps=STEPS)
    things = {
        "diffusers": lambda: pipe(num_inference_steps=STEPS, output_type="np"),
        "noiseform": lambda: image.generate(loaded),
    }
    return {"parameters": pipe.unet.num_parameters(), **rounds_of(things, rounds=rounds, warm=1)}


def conversion(rounds: int, *, repeats: int = 2) -> Iterator[Row]:
    """Measure in processes with and without the switch, which the command line sets."""
    from noiseform.core.pipeline.conversion import convert

    runs: dict[str, list[dict]] = {"off": [], "on": []}
    with tempfile.TemporaryDirectory() as folder:
        source, model = Path(folder) / "theirs", Path(folder) / "ours"
        written(source)
        convert(source, model)
        for _ in range(repeats):
            for switch, found in runs.items():
                script = str(Path(__file__))
                command = [sys.executable, "-W", "ignore", script, str(source), str(model), str(rounds), switch]
                found.append(
                    json.loads(
                        subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
                    )
                )
    group = f"DDIM, {STEPS} steps, {runs['off'][0]['parameters'] / 1e6:.1f} M"
    for switch, found in runs.items():
        taken = {owner: [second for run in found for second in run[owner]] for owner in ("diffusers", "noiseform")}
        for owner, seconds in taken.items():
            share = ratio(taken, owner, "diffusers")
            goal = {"goal": f"< {GOAL:.0f}", "met": share < GOAL} if owner == "noiseform" else {}
            told = {"ratio": share, "reference": "diffusers, same switch", **goal}
            yield row(group, f"{owner}, switch {switch}", seconds, "s", **told)


if __name__ == "__main__":
    if sys.argv[4] == "on":
        from noiseform.core.machine.memory import keep_large_blocks

        keep_large_blocks()
    print(json.dumps(measure(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))))
