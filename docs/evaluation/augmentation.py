"""Does noise-conditioning augmentation help where the stage before is imperfect? Cascades with it and without.

    python docs/evaluation/augmentation.py --data fsdd_train.tar.gz --base plugins/spoken_digits_cascade/weights \\
        --with speech-x2 --without runs/speech-x2-plain --levels 0 0.1 0.2

A model makes clips at half the rate once; each cascader makes the same clips larger, at each level of noise, and the
listener judges the results as ``speech.py`` does. The clips themselves are judged too, brought to the full rate by
windowed-sinc resampling, and so are recordings that were made smaller: what becomes of a source without faults.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from fsdd import DIGITS, HELD_BACK, SAMPLE_RATE, SPEAKERS, TRAINING, Clips, fit, read_fsdd
from listener import load_listener
from speech import Figures, judge

KEPT = ("digit_accuracy", "speaker_accuracy", "frechet", "frechet_deviation", "frechet_within_ratio")


def made_small(pipeline: str, count: int, seed: int) -> Clips:
    """Return clips that a pipeline makes, balanced over digits and speakers."""
    from noiseform import audio

    base = audio.load(pipeline)
    pairs = [(place * 7 % 10, place % 6) for place in range(count)]
    waves = []
    for number, (digit, speaker) in enumerate(pairs):
        (clip,) = audio.generate(base, labels=[DIGITS[digit], SPEAKERS[speaker]], seed=seed + number)
        waves.append(clip.samples[0])
    digits, speakers = (torch.tensor(column) for column in zip(*pairs, strict=True))
    return Clips(torch.stack(waves), torch.full((count,), len(waves[0])), digits, speakers)


def larger(clips: Clips, enlarge: Callable[[torch.Tensor, int], torch.Tensor]) -> Clips:
    """Return clips made larger one by one: ``enlarge`` is given one (1, samples) and its number."""
    rows = [fit(enlarge(wave[None], number)[0].numpy()) for number, wave in enumerate(clips.waves)]
    waves = torch.stack([torch.as_tensor(row) for row in rows])
    return replace(clips, waves=waves, lengths=torch.full((len(rows),), waves.shape[1]))


def main() -> None:
    """Print the figures of every model and level."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="FSDD recordings: a folder, or a tar of it")
    parser.add_argument("--base", required=True, help="model folder of the stage that makes clips at half the rate")
    parser.add_argument("--with", dest="trained", required=True, help="pipeline that was trained with augmentation")
    parser.add_argument("--without", required=True, help="the same, trained without")
    parser.add_argument("--levels", type=float, nargs="+", default=[0.0, 0.1, 0.2])
    parser.add_argument(
        "--free", action="store_true", help="results are not corrected until they are their source again"
    )
    parser.add_argument("--sources", nargs="+", choices=("made", "recorded"), default=["made", "recorded"])
    parser.add_argument("--count", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    choice = parser.parse_args()
    from noiseform import audio
    from noiseform.modalities.audio.convert import resample

    listener = load_listener()
    held_back, training = read_fsdd(choice.data, HELD_BACK), read_fsdd(choice.data, TRAINING)
    half = SAMPLE_RATE // 2
    sources = {
        "made": made_small(choice.base, choice.count, choice.seed),
        "recorded": replace(held_back, waves=resample(held_back.waves, SAMPLE_RATE, half)),
    }
    for source in choice.sources:
        clips = sources[source]
        figures: dict[str, Figures] = {}

        def tell(name: str, found: Clips, figures: dict[str, Figures] = figures) -> None:
            told = judge(listener, found, held_back, training)[0]
            figures[name] = {key: told[key] for key in KEPT}

        tell("sinc", larger(clips, lambda wave, number: resample(wave, half, SAMPLE_RATE)))
        for pipeline, levels in ((choice.trained, choice.levels), (choice.without, [0.0])):
            for level in levels:
                table = "stages.large.conditioners.0"
                settings = [f"{table}.level={level}", f"{table}.consistent={str(not choice.free).lower()}"]
                loaded = audio.load(pipeline, settings=settings, upscale=True)
                made = larger(
                    clips,
                    lambda wave, number, loaded=loaded: (
                        audio.upscale(audio.Audio(wave, half), loaded, seed=number).samples
                    ),
                )
                tell(f"{pipeline}, level {level}", made)
        print(json.dumps({source: figures}, indent=2))


if __name__ == "__main__":
    main()
