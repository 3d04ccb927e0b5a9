"""The listener: a convolutional classifier that hears which digit a clip says, and which speaker says it.

It is the judge of generated speech and no part of the package: it shares no code with it (its log-mel spectrogram is
its own, and has another window, hop and number of bins than the codec of the model that it judges), and it learns from
the recordings that the models learn from, while its accuracy is measured on those held back from both. It normalises
every clip to its own loudest band, so it is deaf to the volume.

    python docs/evaluation/listener.py --data fsdd_train.tar.gz -o docs/evaluation/listener.safetensors
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch
from fsdd import DIGITS, HELD_BACK, SAMPLE_RATE, SAMPLES, SPEAKERS, TRAINING, Clips, read_fsdd
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

__all__ = ["WEIGHTS", "Listener", "load_listener"]

WEIGHTS = Path(__file__).with_name("listener.safetensors")
FEATURES = 64
BINS, WINDOW, HOP, FRAMES = 48, 256, 96, 64
FLOOR_DB = 50.0  # what lies this far under the loudest band counts as silence: codec noise there is not heard


def mel_matrix(bins: int, window: int, low: float = 60.0, high: float = SAMPLE_RATE / 2) -> Tensor:
    """Triangular filters, evenly spaced on the mel scale ``2595 log10(1 + f / 700)``: ``(window // 2 + 1, bins)``."""
    ends = torch.linspace(*(2595 * math.log10(1 + f / 700) for f in (low, high)), bins + 2, dtype=torch.float64)
    corners = 700 * (10 ** (ends / 2595) - 1)
    frequency = torch.linspace(0, SAMPLE_RATE / 2, window // 2 + 1, dtype=torch.float64)[:, None]
    rise = (frequency - corners[:-2]) / (corners[1:-1] - corners[:-2])
    fall = (corners[2:] - frequency) / (corners[2:] - corners[1:-1])
    return torch.minimum(rise, fall).clamp(min=0).float()


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.body(x))


def _halve(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU())


class Listener(nn.Module):
    """Log-mel spectrogram, three levels of convolution, a feature of width 64, and two linear heads on it."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("mel", mel_matrix(BINS, WINDOW), persistent=False)
        self.body = nn.Sequential(_halve(1, 24), Residual(24), _halve(24, 48), Residual(48), _halve(48, 80))
        self.feature = nn.Linear(160, FEATURES)
        self.digit = nn.Linear(FEATURES, len(DIGITS))
        self.speaker = nn.Linear(FEATURES, len(SPEAKERS))

    def spectrogram(self, waves: Tensor, tilt: Tensor | None = None) -> Tensor:
        """Log-mel power relative to the clip's loudest band, ``(batch, BINS, FRAMES)``, in about [-1, 1].

        Args:
            waves: ``(batch, samples)``.
            tilt: gains of the bins in powers of 10, ``(batch, BINS)``: a change of microphone, in training only.
        """
        spectrum = torch.stft(waves, WINDOW, HOP, window=self.window, return_complex=True)
        power = torch.einsum("bft,fm->bmt", spectrum.abs().square()[..., :FRAMES], self.mel)
        decibel = 10 * power.clamp(min=1e-20).log10()
        if tilt is not None:
            decibel = decibel + 10 * tilt[:, :, None]
        decibel = decibel - decibel.amax((1, 2), keepdim=True)
        return decibel.clamp(min=-FLOOR_DB) / (FLOOR_DB / 2) + 1

    def features(self, spectrogram: Tensor) -> Tensor:
        """What the heads see, and in what Fréchet distances are taken: ``(batch, 64)``."""
        deep = self.body(spectrogram[:, None])
        return self.feature(torch.cat([deep.mean((2, 3)), deep.amax((2, 3))], dim=1))

    @torch.inference_mode()
    def hear(self, waves: Tensor, batch: int = 100) -> tuple[Tensor, Tensor, Tensor]:
        """Digits, speakers and features of ``waves`` ``(clips, samples)``."""
        self.eval()
        feature = torch.cat([self.features(self.spectrogram(part)) for part in waves.split(batch)])
        return self.digit(feature).argmax(1), self.speaker(feature).argmax(1), feature


def load_listener(path: Path = WEIGHTS) -> Listener:
    """The trained listener."""
    listener = Listener()
    listener.load_state_dict({name: value.float() for name, value in load_file(path).items()}, strict=False)
    return listener.eval()


def disturb(clips: Clips, generator: torch.Generator) -> Tensor:
    """Each clip at a random place in the window (its ends may be cut by 30 ms), with noise of a random loudness."""
    batch, edge = len(clips), 240
    draw = torch.rand(batch, 3, generator=generator)
    waves = torch.zeros_like(clips.waves)
    for row, (wave, length) in enumerate(zip(clips.waves, clips.lengths.tolist(), strict=True)):
        shift = int(draw[row, 0] * (SAMPLES - length + 2 * edge)) - edge
        start, stop = max(0, shift), min(SAMPLES, shift + length)
        waves[row, start:stop] = wave[start - shift : stop - shift]
    loudness = waves.square().mean(1, keepdim=True).sqrt()
    ratio_db = 5 + 45 * draw[:, 1:2]
    noise = torch.randn(waves.shape, generator=generator) * loudness * 10 ** (-ratio_db / 20)
    return waves + noise * (draw[:, 2:3] < 0.7)


def mask(spectrogram: Tensor, generator: torch.Generator) -> Tensor:
    """Up to 8 bins and up to 8 frames of each spectrogram silenced."""
    for axis, size in ((1, BINS), (2, FRAMES)):
        draw = torch.rand(2, len(spectrogram), 1, generator=generator)
        width = 8 * draw[0]
        start = draw[1] * (size - width)
        place = torch.arange(size)
        hidden = (place >= start) & (place < start + width)
        spectrogram = spectrogram.masked_fill(hidden.unsqueeze(3 - axis), -1.0)
    return spectrogram


def accuracy(listener: Listener, clips: Clips) -> tuple[float, float]:
    """Shares of the clips whose digit, and whose speaker, is heard right."""
    digits, speakers, _ = listener.hear(clips.waves)
    return (digits == clips.digits).float().mean().item(), (speakers == clips.speakers).float().mean().item()


def train(clips: Clips, held_back: Clips, epochs: int, seed: int, batch: int = 48) -> Listener:
    """A listener that has learnt from ``clips``; what it makes of ``held_back`` is printed, and steers nothing."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    listener = Listener()
    optimizer = torch.optim.AdamW(listener.parameters(), weight_decay=0.02)
    steps = epochs * (len(clips) // batch)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps, pct_start=0.15)
    begin = time.perf_counter()
    for epoch in range(epochs):
        listener.train()
        order = torch.randperm(len(clips), generator=generator)
        total = 0.0
        for index in order[: len(order) // batch * batch].split(batch):
            part = clips.rows(index)
            slope = torch.linspace(-0.5, 0.5, BINS) * torch.randn(batch, 1, generator=generator) * 0.5
            spectrogram = listener.spectrogram(disturb(part, generator), slope)
            feature = nn.functional.dropout(listener.features(mask(spectrogram, generator)), 0.1)
            loss = nn.functional.cross_entropy(listener.digit(feature), part.digits)
            loss = loss + nn.functional.cross_entropy(listener.speaker(feature), part.speakers)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            rate.step()
            total += loss.item()
        if epoch % 5 == 4 or epoch == epochs - 1:
            digit, speaker = accuracy(listener, held_back)
            print(f"epoch {epoch + 1:3d}  loss {total / (len(clips) // batch):.4f}  held back: digit {digit:.4f}"
                  f"  speaker {speaker:.4f}  {time.perf_counter() - begin:.0f} s", flush=True)  # fmt: skip
    return listener.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="FSDD recordings: a folder, or a tar of it")
    parser.add_argument("-o", "--out", type=Path, default=Path("build/listener.safetensors"))
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    choice = parser.parse_args()
    clips, held_back = read_fsdd(choice.data, TRAINING), read_fsdd(choice.data, HELD_BACK)
    listener = train(clips, held_back, choice.epochs, choice.seed)
    choice.out.parent.mkdir(parents=True, exist_ok=True)
    state = {name: value.half() for name, value in listener.state_dict().items() if value.is_floating_point()}
    save_file(state, choice.out, {"digits": " ".join(DIGITS), "speakers": " ".join(SPEAKERS), "seed": str(choice.seed)})
    digit, speaker = accuracy(load_listener(choice.out), held_back)
    print(f"{choice.out}: {len(held_back)} held-back real clips: digit {digit:.2%}, speaker {speaker:.2%}")


if __name__ == "__main__":
    main()
