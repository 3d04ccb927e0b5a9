"""Does a joint encoder find the picture that belongs to a caption, and the caption of a picture, among those held back?

A caption counts as found at 1 if, of all held-back pictures, its own is the most similar, at 5 if it is among the five
most similar; so does a picture. Two pictures with one caption count as one.

    python docs/evaluation/retrieval.py runs/joint --data noto_emoji --held '*7.webp' --without '*_1f3f[b-f]*'

With a pipeline whose first stage is a prior in these embeddings it also says how often that stage, asked for a caption,
makes an embedding to which the caption's own picture is the most similar.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from noiseform import build, image
from noiseform.core.data.dataset import DataConfig
from noiseform.core.diffusion.noise import Key
from noiseform.core.pipeline.pretrained import pretrained_codec
from noiseform.core.pipeline.running import Running
from noiseform.core.registration.build import build_part
from noiseform.core.registration.config import PartConfig
from noiseform.core.registration.toml_file import read_toml
from torch import Tensor


def ranks(similarity: Tensor, same: Tensor) -> Tensor:
    """Return how many others are more similar than what belongs to each row, by its best partner (rows,)."""
    own = similarity.masked_fill(~same, -torch.inf).max(1, keepdim=True).values
    return ((similarity > own) & ~same).sum(1)


def made(pipeline: str, wishes: list[dict[str, str]]) -> Tensor:
    """Return an embedding for each wish (wishes, width), made by the first stage of a pipeline."""
    stage = image.load(pipeline).stages[0]
    keys = [(Key(0, item=number),) for number in range(len(wishes))]
    with torch.no_grad():
        each = [Running(pipeline, stage, key).window([wish], key) for key, wish in zip(keys, wishes, strict=True)]
    return torch.cat(each)


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="the run of the joint encoder")
    parser.add_argument("--data", required=True, help="folder with pictures and captions.csv, or a tar beside it")
    parser.add_argument("--held", nargs="*", default=[], help="globs of the pictures that it was not trained on")
    parser.add_argument("--pipeline", help="a name of the registry; its first stage is a prior")
    parser.add_argument("--without", nargs="*", default=[], help="globs of pictures that are left out altogether")
    wanted = parser.parse_args()
    table = read_toml(Path(wanted.model) / "pipeline.toml").table
    modality = build("modality", str(table["modality"]))
    spec = modality.spec(table["media"])
    named = PartConfig.model_validate({"use": table["codec"]["use"], "weights": wanted.model})
    trained = pretrained_codec(named)
    assert trained is not None
    codec = build_part(trained.config, "codec", media=spec)
    trained.fill(codec)
    config = DataConfig(captions="table", include=tuple(wanted.held), exclude=tuple(wanted.without))
    data = modality.dataset(wanted.data, spec, config)
    texts = [str(data.conditions(number)["text"]) for number in range(len(data))]
    pictures = torch.cat([codec.encode(data.item(number, start=0.5)[None]) for number in range(len(data))])
    wishes = [{"text": text} for text in texts]
    similarity = codec.similarity(codec.described(wishes), pictures)
    same = torch.tensor([[one == other for other in texts] for one in texts])
    figures: dict[str, float] = {"items": len(texts)}
    found = {
        "picture of a caption": ranks(similarity, same),
        "caption of a picture": ranks(similarity.T, same),
    }
    if wanted.pipeline:
        found["picture of what the prior makes"] = ranks(
            codec.similarity(made(wanted.pipeline, wishes), pictures), same
        )
    for name, better in found.items():
        figures |= {f"{name}, top {most}": round(float((better < most).float().mean()), 3) for most in (1, 5)}
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
