"""Draw generated speech beside real recordings, for the README and the model cards.

``python docs/figures/spectrograms.py --data fsdd_train.tar.gz`` writes ``docs/images/NAME.png`` for each pipeline:
of every digit one clip that was made and one that was recorded, by the same speaker. Nothing is picked: clip number N
has seed N, and the recording is the first one held back from training. Without ``--data`` only what was made is drawn.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from noiseform import audio
from noiseform.modalities.audio.spectrogram import sheet

DOCS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DOCS / "evaluation"))
from fsdd import DIGITS, HELD_BACK, SAMPLE_RATE, SPEAKERS, read_fsdd  # noqa: E402

COLUMNS = 5


def recordings(data: Path) -> dict[tuple[str, str], audio.Audio]:
    """Return the first held-back recording of each digit and speaker."""
    clips = read_fsdd(data, HELD_BACK)
    found: dict[tuple[str, str], audio.Audio] = {}
    for wave, digit, speaker in zip(clips.waves, clips.digits.tolist(), clips.speakers.tolist(), strict=True):
        found.setdefault((DIGITS[digit], SPEAKERS[speaker]), audio.Audio(wave[None], SAMPLE_RATE))
    return found


def draw(pipeline: str, real: dict[tuple[str, str], audio.Audio], path: Path) -> None:
    """Write the sheet of one pipeline: rows of clips that were made, each with the recordings below it."""
    loaded = audio.load(pipeline)
    wishes = [(digit, SPEAKERS[number % len(SPEAKERS)]) for number, digit in enumerate(DIGITS)]
    made = [audio.generate(loaded, label=wish, seed=seed)[0] for seed, wish in enumerate(wishes)]
    clips, captions = [], []
    for start in range(0, len(DIGITS), COLUMNS):
        row = slice(start, start + COLUMNS)
        clips += made[row]
        captions += [f"{digit}, {speaker}: generated" for digit, speaker in wishes[row]]
        if real:
            clips += [real[wish] for wish in wishes[row]]
            captions += [f"{digit}, {speaker}: recorded" for digit, speaker in wishes[row]]
    sheet(clips, captions, path, columns=COLUMNS, overwrite=True)
    print(path)


def main() -> None:
    """Read the arguments and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pipelines", nargs="*", default=["spoken-digits", "spoken-digits-cascade"])
    parser.add_argument("--data", type=Path, help="folder or tar of FSDD's recordings")
    parser.add_argument("--folder", type=Path, default=DOCS / "images", help="where the pictures go")
    given = parser.parse_args()
    real = recordings(given.data) if given.data else {}
    given.folder.mkdir(parents=True, exist_ok=True)
    for pipeline in given.pipelines:
        draw(pipeline, real, given.folder / f"{Path(pipeline).name}.png")


if __name__ == "__main__":
    main()
