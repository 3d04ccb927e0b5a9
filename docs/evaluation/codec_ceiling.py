"""What a mel codec costs: real clips sent through mel spectrogram, inverse mel and Griffin-Lim, heard by the listener.

No model that works on such spectrograms can be heard better than real clips that made this round trip, so it decides
the codec's settings. Every setting is measured on the held-back clips (heard right) and on as many training clips of
each class (Fréchet distance to the held-back ones, over that of the same clips untouched).

    python docs/evaluation/codec_ceiling.py --data fsdd_train.tar.gz
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from distance import balanced_draw, drawn_frechet
from fsdd import HELD_BACK, SAMPLES, TRAINING, Clips, read_fsdd
from listener import FLOOR_DB, WEIGHTS, Listener, accuracy, load_listener, mel_matrix
from torch import Tensor


@dataclass(frozen=True)
class Codec:
    """One mel codec of ``SAMPLES // hop`` frames.

    Attributes:
        bins: mel bands from 0 to 4000 Hz, triangular, peak 1.
        n_fft: length of the Hann window and the transform, in samples.
        hop: samples between frames.
        inverse: how amplitudes come back from mel bands: ``pinv``, ``lstsq`` (minimal norm), ``nnls`` (``updates``
            multiplicative updates, started from the transpose), ``none`` (amplitudes kept: only the phase is lost).
        updates: of ``nnls``.
        rounds: of Griffin-Lim.
        momentum: of Griffin-Lim; 0.99 is the fast variant.
        floor: smallest mel amplitude kept; the logarithm needs one.
        noise: standard deviation of an error put on the log-mel, in natural log units: a stand-in for a model's error.
        phase: ``random`` or ``zero``, where Griffin-Lim starts.
    """

    bins: int = 64
    n_fft: int = 384
    hop: int = 128
    inverse: str = "nnls"
    updates: int = 30
    rounds: int = 32
    momentum: float = 0.99
    floor: float = 1e-3
    noise: float = 0.0
    phase: str = "random"

    @property
    def matrix(self) -> Tensor:
        """Frequency bins to mel bands: ``(n_fft // 2 + 1, bins)``."""
        return mel_matrix(self.bins, self.n_fft, low=0.0)

    def spectrum(self, waves: Tensor) -> Tensor:
        """Amplitudes of the centred frames that start inside the clip: ``(batch, n_fft // 2 + 1, SAMPLES // hop)``."""
        window = torch.hann_window(self.n_fft)
        spectrum = torch.stft(waves, self.n_fft, self.hop, window=window, return_complex=True)
        return spectrum.abs()[..., : SAMPLES // self.hop]

    def log_mel(self, waves: Tensor) -> Tensor:
        """Natural logarithm of the mel amplitudes, floored: ``(batch, bins, frames)``."""
        return torch.einsum("bft,fm->bmt", self.spectrum(waves), self.matrix).clamp(min=self.floor).log()

    def amplitudes(self, mel: Tensor) -> Tensor:
        """Non-negative amplitudes whose mel bands are near ``mel`` ``(batch, bins, frames)``."""
        matrix = self.matrix
        if self.inverse == "pinv":
            return torch.einsum("bmt,mf->bft", mel, torch.linalg.pinv(matrix)).clamp(min=0)
        if self.inverse == "lstsq":
            columns = mel.transpose(0, 1).reshape(self.bins, -1)
            found = torch.linalg.lstsq(matrix.T, columns, driver="gelsd").solution.clamp(min=0)
            return found.reshape(-1, len(mel), mel.shape[-1]).transpose(0, 1)
        target = torch.einsum("bmt,fm->bft", mel, matrix)
        gram = matrix @ matrix.T
        found = target.clone()
        for _ in range(self.updates):  # Lee and Seung 2001: never negative, never further from the target
            found = found * target / torch.einsum("fg,bgt->bft", gram, found).clamp(min=1e-10)
        return found

    def griffin_lim(self, amplitude: Tensor, generator: torch.Generator) -> Tensor:
        """Samples whose spectrogram is near ``amplitude``. Source: Griffin and Lim 1984; Perraudin et al. 2013."""
        window = torch.hann_window(self.n_fft)
        # The frame centred on the clip's end is not coded; repeating its neighbour keeps the inverse whole there.
        amplitude = torch.cat([amplitude, amplitude[..., -1:]], -1)
        turn = torch.rand(amplitude.shape, generator=generator) * 2 * torch.pi * (self.phase == "random")
        angle = torch.polar(torch.ones_like(amplitude), turn)
        before = torch.zeros_like(angle)
        for _ in range(self.rounds):
            wave = torch.istft(amplitude * angle, self.n_fft, self.hop, window=window, length=SAMPLES)
            rebuilt = torch.stft(wave, self.n_fft, self.hop, window=window, return_complex=True)
            angle = rebuilt - before * (self.momentum / (1 + self.momentum))
            angle = angle / angle.abs().clamp(min=1e-16)
            before = rebuilt
        return torch.istft(amplitude * angle, self.n_fft, self.hop, window=window, length=SAMPLES)

    def round_trip(self, waves: Tensor, generator: torch.Generator) -> Tensor:
        """Clips coded and decoded, ``(batch, SAMPLES)``."""
        if self.inverse == "none":
            return self.griffin_lim(self.spectrum(waves), generator)
        coded = self.log_mel(waves)
        if self.noise:
            coded = coded + self.noise * torch.randn(coded.shape, generator=generator)
        return self.griffin_lim(self.amplitudes(coded.exp()), generator)


def measure(codec: Codec | None, listener: Listener, held_back: Clips, clips: Clips) -> dict[str, float]:
    """What the listener makes of clips after the codec (None: of the clips themselves)."""
    generator = torch.Generator().manual_seed(0)
    begin = time.perf_counter()
    if codec is not None:
        rebuilt = [
            torch.cat([codec.round_trip(part, generator) for part in source.waves.split(10)])
            for source in (held_back, clips)
        ]
    else:
        rebuilt = [held_back.waves, clips.waves]
    spent = 1000 * (time.perf_counter() - begin) / (len(held_back) + len(clips))
    change = listener.spectrogram(rebuilt[1]) - listener.spectrogram(clips.waves)
    error = change.abs().mean().item() * FLOOR_DB / 2
    digit, speaker = accuracy(listener, replace(held_back, waves=rebuilt[0]))
    reference = listener.hear(held_back.waves)[2]
    distance, _ = drawn_frechet(listener.hear(rebuilt[1])[2], clips.classes, reference, held_back.classes, each=5)
    return {"digit": digit, "speaker": speaker, "frechet": distance, "error_db": error, "ms": spent}


def settings() -> list[Codec]:
    """The settings worth a look: one thing changed at a time."""
    base = Codec()
    found = [base]
    found += [replace(base, bins=bins, n_fft=n_fft) for bins in (48, 64, 80) for n_fft in (256, 384, 512)]
    found += [replace(base, rounds=rounds, momentum=pull) for pull in (0.0, 0.99) for rounds in (16, 32, 64, 100)]
    found += [replace(base, inverse=inverse) for inverse in ("pinv", "lstsq", "none")]
    found += [replace(base, updates=updates) for updates in (1, 10, 100)]
    found += [replace(base, floor=floor) for floor in (1e-5, 1e-4, 1e-2, 3e-2)]
    found += [replace(base, phase="zero")]
    erring = replace(base, noise=0.3)
    found += [
        replace(erring, inverse=inverse, n_fft=n_fft) for inverse in ("nnls", "pinv") for n_fft in (256, 384, 512)
    ]
    found += [replace(erring, updates=updates) for updates in (1, 10)]
    return list(dict.fromkeys(found))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="FSDD recordings: a folder, or a tar of it")
    parser.add_argument("--listener", type=Path, default=WEIGHTS)
    parser.add_argument("--each", type=int, default=8, help="training clips of each of the 60 classes")
    parser.add_argument("--json", type=Path, help="where the figures go")
    choice = parser.parse_args(arguments)
    listener, held_back = load_listener(choice.listener), read_fsdd(choice.data, HELD_BACK)
    clips = read_fsdd(choice.data, TRAINING)
    clips = clips.rows(balanced_draw(clips.classes, choice.each, torch.Generator().manual_seed(0)))
    real = measure(None, listener, held_back, clips)
    print(f"real clips: digit {real['digit']:.3f}  speaker {real['speaker']:.3f}  Fréchet {real['frechet']:.3f}")
    columns = list(asdict(Codec())) + list(real) + ["ratio"]
    print("".join(f"{name:>9s}" for name in columns))
    rows: list[dict[str, object]] = [{**real, "ratio": 1.0}]
    for codec in settings():
        found = measure(codec, listener, held_back, clips)
        rows.append({**asdict(codec), **found, "ratio": found["frechet"] / real["frechet"]})
        values = [rows[-1][name] for name in columns]
        cells = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in values]
        print("".join(cell.rjust(9) for cell in cells), flush=True)
    if choice.json:
        choice.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
