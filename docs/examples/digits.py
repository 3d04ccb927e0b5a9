"""Speak the ten digits with the embedded models: WAV files and one picture of their spectrograms.

python docs/examples/digits.py [FOLDER] [PIPELINE]...
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from noiseform import audio
from noiseform.modalities.audio.spectrogram import sheet

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPEAKER = "jackson"  # whose recordings, and so what is made after them, are among the loud ones
PIPELINES = ("spoken-digits", "spoken-digits-cascade")


def main(folder: str = "out", *names: str) -> None:
    """Make each digit once with each pipeline, write the files and the picture, and say where they are."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    clips, captions = [], []
    for name in names or PIPELINES:
        started = time.perf_counter()
        pipeline = audio.load(name)  # once; then it makes as many as one likes
        for seed, digit in enumerate(DIGITS):
            (clip,) = audio.generate(pipeline, label=[digit, SPEAKER], seed=seed)
            clip.save(place / f"{pipeline.name}-{digit}.wav", overwrite=True)
            clips.append(clip)
            captions.append(f"{digit} ({pipeline.name})")
        seconds = time.perf_counter() - started
        print(f"{pipeline.name}: {len(DIGITS)} files, {place / pipeline.name}-*.wav, in {seconds:.1f} s")
        print(f"  the same: noiseform generate audio {name} --label seven --label {SPEAKER} --seed 7 -o seven.wav")
    picture = place / "spectrograms.png"
    sheet(clips, captions, picture, columns=5, overwrite=True)
    print(f"their spectrograms: {picture}")
    print(f"made again and compared: noiseform replay {place / pipeline.name}-seven.wav")


if __name__ == "__main__":
    main(*sys.argv[1:])
