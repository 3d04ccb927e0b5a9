"""Is generated speech right, and is it as varied as real speech? The listener's verdict on a pipeline or a folder.

    python docs/evaluation/speech.py --data fsdd_train.tar.gz --pipeline spoken-digits --count 500 --seed 0
    python docs/evaluation/speech.py --data fsdd_train.tar.gz --folder clips        # clips/seven_george_0.wav ...

Reported beside the same figure of real clips, where there is one:

- digit and speaker accuracy: share of the clips heard as what was asked for;
- Fréchet distance to the 300 held-back recordings in the listener's features, in balanced draws of equal size, and its
  ratio to the distance of as many training recordings: near 1 is real, large is wrong;
- the same of the features around the mean of their class: large where clips of one class are all the same;
- diversity: mean distance of two clips of one digit and speaker, beside that of the training recordings;
- distance to the nearest training recording of the same digit and speaker: median, and the share of clips nearer than
  99 % of the held-back recordings are: well above 1 % would mean copies.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from distance import common_size, diversity, drawn_frechet, nearest
from fsdd import DIGITS, HELD_BACK, SAMPLE_RATE, SPEAKERS, TRAINING, Clips, fit, read_fsdd
from listener import WEIGHTS, Listener, accuracy, load_listener

Figures = dict[str, float | str]


def generate(pipeline: str, count: int, seed: int, **wishes: int | str | None) -> tuple[Clips, Figures]:
    """``count`` clips of ``pipeline``, balanced over the 60 pairs of digit and speaker, and what they cost.

    ``wishes`` are steps, sampler and grid, the pipeline's own where None.

    Every pair has its own seed, ``seed + 1000 * pair``, so that no two start from the same noise.
    """
    from noiseform import audio

    pairs = [(digit, speaker) for digit in range(len(DIGITS)) for speaker in range(len(SPEAKERS))]
    # Spread over the list where count is no multiple of 60, so that digits and speakers stay balanced too.
    wanted = Counter((place * 7) % len(pairs) for place in range(count))
    waves, digits, speakers, passes = [], [], [], 0
    loaded = audio.load(pipeline, **wishes)
    begin = time.perf_counter()
    for pair, number in sorted(wanted.items()):
        digit, speaker = pairs[pair]
        labels = [DIGITS[digit], SPEAKERS[speaker]]
        made = audio.generate(loaded, labels=labels, count=number, seed=seed + 1000 * pair)
        for clip in made:
            if clip.sample_rate != SAMPLE_RATE:
                raise ValueError(f"the listener hears {SAMPLE_RATE} Hz, and {pipeline} makes {clip.sample_rate} Hz")
            waves.append(torch.from_numpy(fit(np.asarray(clip.samples, dtype=np.float32).mean(0))))
            passes += int(clip.record["nfe"])
            digits.append(digit)
            speakers.append(speaker)
    seconds = time.perf_counter() - begin
    lengths = torch.full((count,), len(waves[0]))
    made_clips = Clips(torch.stack(waves), lengths, torch.tensor(digits), torch.tensor(speakers))
    return made_clips, {"nfe_per_item": passes / count, "seconds": seconds, "seconds_per_item": seconds / count}


def judge(listener: Listener, clips: Clips, held_back: Clips, training: Clips) -> tuple[Figures, Figures]:
    """The figures of ``clips``, and those of real clips."""
    heard = listener.hear(clips.waves)
    held, known = listener.hear(held_back.waves)[2], listener.hear(training.waves)[2]
    each = common_size(clips.classes, held_back.classes)
    plain, within = (
        [
            drawn_frechet(features, classes, held, held_back.classes, each=each, within=centred)
            for features, classes in ((heard[2], clips.classes), (known, training.classes))
        ]
        for centred in (False, True)
    )
    near = nearest(heard[2], clips.classes, known, training.classes)
    real_near = nearest(held, held_back.classes, known, training.classes)
    close = torch.quantile(real_near, 0.01)
    digit, speaker = accuracy(listener, held_back)
    made: Figures = {
        "clips": len(clips),
        "digit_accuracy": (heard[0] == clips.digits).float().mean().item(),
        "speaker_accuracy": (heard[1] == clips.speakers).float().mean().item(),
        "frechet": plain[0][0],
        "frechet_deviation": plain[0][1],
        "frechet_ratio": plain[0][0] / plain[1][0],
        "frechet_within": within[0][0],
        "frechet_within_ratio": within[0][0] / within[1][0],
        "diversity": diversity(heard[2], clips.classes),
        "nearest_training_clip": near.median().item(),
        "suspiciously_near": (near < close).float().mean().item(),
    }
    real: Figures = {
        "clips": len(held_back),
        "digit_accuracy": digit,
        "speaker_accuracy": speaker,
        "frechet": plain[1][0],
        "frechet_deviation": plain[1][1],
        "frechet_ratio": 1.0,
        "frechet_within": within[1][0],
        "frechet_within_ratio": 1.0,
        "diversity": diversity(known, training.classes),
        "nearest_training_clip": real_near.median().item(),
        "suspiciously_near": (real_near < close).float().mean().item(),
    }
    return made, real


def confusions(listener: Listener, clips: Clips, most: int = 8) -> list[str]:
    """The most frequent mistakes of digits: ``nine for five: 3``."""
    digits = listener.hear(clips.waves)[0]
    pairs = zip(clips.digits.tolist(), digits.tolist(), strict=True)
    wrong = Counter((asked, heard) for asked, heard in pairs if asked != heard)
    return [f"{DIGITS[heard]} for {DIGITS[asked]}: {times}" for (asked, heard), times in wrong.most_common(most)]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--pipeline", help="name of a pipeline or path of a model folder")
    source.add_argument("--folder", type=Path, help="WAV files named digit_speaker_number.wav")
    parser.add_argument("--data", type=Path, required=True, help="FSDD recordings: a folder, or a tar of it")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="default: the pipeline's own")
    parser.add_argument("--sampler", help="likewise")
    parser.add_argument("--grid", help="likewise")
    parser.add_argument("--listener", type=Path, default=WEIGHTS)
    parser.add_argument("--json", type=Path, help="where the figures go")
    choice = parser.parse_args()
    listener = load_listener(choice.listener)
    held_back, training = read_fsdd(choice.data, HELD_BACK), read_fsdd(choice.data, TRAINING)
    cost: Figures = {}
    wishes = {name: getattr(choice, name) for name in ("steps", "sampler", "grid")}
    if choice.folder is not None:
        clips = read_fsdd(choice.folder)
    else:
        clips, cost = generate(choice.pipeline, choice.count, choice.seed, **wishes)
    made, real = judge(listener, clips, held_back, training)
    print(f"{choice.pipeline or choice.folder}\n{'':24s}{'generated':>12s}{'real':>12s}")
    for name, value in made.items():
        print(f"{name:24s}{value:12.4g}{real[name]:12.4g}")
    for name, value in cost.items():
        print(f"{name:24s}{value:12.4g}")
    wrong = confusions(listener, clips)
    print("mistakes: " + ("; ".join(wrong) or "none"))
    if choice.json:
        asked = {"source": str(choice.pipeline or choice.folder), "seed": choice.seed, **wishes}
        choice.json.write_text(json.dumps({**asked, "generated": {**made, **cost}, "real": real}, indent=1) + "\n")


if __name__ == "__main__":
    main()
