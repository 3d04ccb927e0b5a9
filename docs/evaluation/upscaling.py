"""What super-resolution adds, beside what plain interpolation gives: speech, photographs, films. None was learnt from.

    python docs/evaluation/upscaling.py speech --data fsdd_train.tar.gz --pipeline speech-x2
    python docs/evaluation/upscaling.py speech --data fsdd_train.tar.gz --pipeline speech-x2 --faulty --level 0.1
    python docs/evaluation/upscaling.py vocoder --data fsdd_train.tar.gz --pipeline speech-vocoder
    python docs/evaluation/upscaling.py photographs --data kodak --pipeline photographs-x2
    python docs/evaluation/upscaling.py photographs --data noto_emoji_64.tar --names "*7" --pipeline photographs-x2
    python docs/evaluation/upscaling.py films --data fruits360_rotation --pipeline runs/time

- speech: log-spectral distance to the recording in the band that the telephone cut off, and in the one that it let
  through (where it is the change that the model made of what it was given), beside windowed-sinc resampling's;
- vocoder: the multi-resolution spectral error of recordings that were made sound again from their mel spectrograms, by
  Griffin-Lim and by the pipeline's stage;
- photographs and films: peak signal-to-noise ratio against the original, of the result made smaller again against what
  was given, and the Fréchet distance between patches in the features of an untrained multi-scale filter bank, beside
  bicubic's; for frames in time beside a blend of their neighbours.
"""

from __future__ import annotations

import argparse
import json
import tarfile
import tempfile
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import torch
from distance import frechet
from fsdd import HELD_BACK, SAMPLE_RATE, read_fsdd
from torch import Tensor
from torch.nn import functional

Figures = dict[str, dict[str, float]]

WINDOW, HOP = 256, 64
FLOOR = 1e-10  # of power, full scale being 1: -100 dB, under the noise of these recordings
PATCH = 32


def log_power(wave: Tensor, scale: int) -> Tensor:
    """Power spectrum in dB ``(bins, frames)`` of a wave ``(samples,)`` at 1/scale of the rate."""
    size, hop = WINDOW // scale, HOP // scale
    window = torch.hann_window(size)
    found = torch.stft(wave, size, hop, window=window, return_complex=True).abs() / window.sum()
    return 10 * torch.log10(found.square().clamp(min=FLOOR))


def spectral_distance(some: list[Tensor], others: list[Tensor], low: float, high: float, scale: int = 1) -> float:
    """Log-spectral distance in dB between ``low`` and ``high`` Hz of waves ``(samples,)``, over all their frames.

    The waves are at 1 / ``scale`` of the recordings' rate.

    Source: Gray and Markel 1976, "Distance measures for speech processing".
    """
    bins = torch.arange(WINDOW // scale // 2 + 1) * SAMPLE_RATE / WINDOW
    band = (bins >= low) & (bins < high)
    pairs = zip(some, others, strict=True)
    frames = [(log_power(one, scale) - log_power(other, scale))[band].square().mean(0).sqrt() for one, other in pairs]
    return torch.cat(frames).mean().item()


def griffin_lim(wave: Tensor) -> Tensor:
    """Return a wave ``(samples,)`` at half the rate as a mel spectrogram and Griffin-Lim leave it: a faulty source."""
    from noiseform import MediaSpec, build

    spec = MediaSpec((1, len(wave)), (SAMPLE_RATE / 2,), -1.0, 1.0)
    codec = build("codec", "mel", bins=40, hop=64, window=256, media=spec)
    return codec.decode(codec.encode(wave[None, None]), spec.shape)[0, 0]


def speech(
    data: Path, pipeline: str, count: int, steps: int | None, level: float | None = None, faulty: bool = False
) -> Figures:
    """Figures of held-back recordings at half their rate, made 8 kHz again.

    Args:
        data: the recordings.
        pipeline: makes them larger.
        count: how many.
        steps: of its sampler.
        level: of noise-conditioning augmentation.
        faulty: what is given has been a mel spectrogram and is no longer to be trusted.
    """
    from noiseform import audio
    from noiseform.modalities.audio.convert import resample

    clips = read_fsdd(data, HELD_BACK)
    table = "stages.large.conditioners.0"
    settings = [] if level is None else [f"{table}.level={level}"]
    settings += [f"{table}.consistent=false"] if faulty else []
    loaded = audio.load(pipeline, steps=steps, settings=settings, upscale=True)
    real, plain, made, given = [], [], [], []
    for number in torch.linspace(0, len(clips) - 1, count).long().tolist():
        length = int(clips.lengths[number]) // 2 * 2
        wave = clips.waves[number, :length]
        half = resample(wave[None], SAMPLE_RATE, SAMPLE_RATE // 2)
        half = griffin_lim(half[0])[None] if faulty else half
        large = audio.upscale(audio.Audio(half, SAMPLE_RATE // 2), loaded, seed=number)
        real.append(wave)
        given.append(half[0])
        plain.append(resample(half, SAMPLE_RATE // 2, SAMPLE_RATE)[0, :length])
        made.append(large.samples[0, :length])
    sets = {"real": real, "sinc": plain, pipeline: made}
    return {
        name: {
            "log-spectral distance, 2.1 to 4 kHz (dB)": spectral_distance(rows, sets["real"], 2100, 4000),
            "log-spectral distance, 0 to 1.8 kHz (dB)": spectral_distance(rows, sets["real"], 0, 1800),
            "at half the rate again, from what was given, 0 to 1.8 kHz (dB)": spectral_distance(
                [resample(one[None], SAMPLE_RATE, SAMPLE_RATE // 2)[0] for one in rows], given, 0, 1800, 2
            ),
        }
        for name, rows in sets.items()
        if name != "real"
    }


def spectral_error(some: list[Tensor], others: list[Tensor]) -> dict[str, float]:
    """Errors of waves ``(samples,)`` over spectra of windows of 64, 128, 256 and 512 samples, their means.

    Spectral convergence is ``|S - S'| / |S|`` in the Frobenius norm; the other is the mean difference of the logarithms
    of magnitudes, of which those below a ten-thousandth of a recording's largest count as that.

    Source: Yamamoto et al. 2020, arXiv 1910.11480, equations 5 to 7.
    """
    convergence, logarithm = [], []
    for made, real in zip(some, others, strict=True):
        for size in (64, 128, 256, 512):
            window = torch.hann_window(size)
            spectra = [
                torch.stft(one, size, size // 4, window=window, return_complex=True).abs() for one in (made, real)
            ]
            convergence.append((spectra[0] - spectra[1]).norm() / spectra[1].norm())
            floor = 1e-4 * spectra[1].max()
            logs = [one.clamp(min=floor.item()).log() for one in spectra]
            logarithm.append((logs[0] - logs[1]).abs().mean())
    return {
        "spectral convergence": torch.stack(convergence).mean().item(),
        "log magnitude": torch.stack(logarithm).mean().item(),
    }


def vocoder(data: Path, pipeline: str, count: int, steps: int | None) -> Figures:
    """Figures of held-back recordings made sound again from their mel spectrograms."""
    from noiseform import audio, build

    clips = read_fsdd(data, HELD_BACK)
    loaded = audio.load(pipeline, steps=steps, upscale=True)
    stage = loaded.stages[-1]
    mel = stage.config.conditioners[0].params["codec"]
    assert isinstance(mel, dict), "the conditioner names its codec"
    settings = {name: value for name, value in mel.items() if name != "use"}
    codec = build("codec", str(mel["use"]), **settings, media=stage.media)
    longer = build("codec", str(mel["use"]), **settings, iterations=100, media=stage.media)
    lims = {"Griffin-Lim, 32 iterations": codec, "Griffin-Lim, 100 iterations": longer}
    real: list[Tensor] = []
    sets: dict[str, list[Tensor]] = {name: [] for name in (*lims, pipeline)}
    for number in torch.linspace(0, len(clips) - 1, count).long().tolist():
        length = int(clips.lengths[number])
        wave = clips.waves[number, :length]
        real.append(wave)
        for name, lim in lims.items():
            sets[name].append(lim.decode(lim.encode(wave[None, None]), (1, length))[0, 0])
        sets[pipeline].append(audio.upscale(audio.Audio(wave[None], SAMPLE_RATE), loaded, seed=number).samples[0])
    return {name: spectral_error(made, real) for name, made in sets.items()}


def features(pictures: Tensor) -> Tensor:
    """Features ``(patches, 45)`` of patches ``(patches, 3, PATCH, PATCH)``: the energies of filters at three scales.

    At each scale luma and the two differences of colour pass five derivatives of first and second order; what is kept
    is the logarithm of each one's mean square. Nothing is learnt, so nothing knows the pictures.
    """
    matrix = torch.tensor([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]])
    x = torch.einsum("ij,bjhw->bihw", matrix, pictures)
    smooth, first, second = torch.tensor([1.0, 2, 1]) / 4, torch.tensor([-1.0, 0, 1]) / 2, torch.tensor([1.0, -2, 1])
    pairs = [(smooth, first), (first, smooth), (smooth, second), (second, smooth), (first, first)]
    kernels = torch.stack([one[:, None] * other for one, other in pairs])[:, None]
    found = []
    for _ in range(3):
        flat = x.reshape(-1, 1, *x.shape[2:])
        answers = functional.conv2d(flat, kernels).reshape(len(x), -1, x.shape[2] - 2, x.shape[3] - 2)
        found.append(torch.log(answers.square().mean((2, 3)) + 1e-6))
        x = functional.avg_pool2d(x, 2)
    return torch.cat(found, 1)


def patches(pictures: list[Tensor]) -> Tensor:
    """All patches ``(patches, 3, PATCH, PATCH)`` of pictures ``(3, height, width)``, side by side."""
    cut = [one.unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH).permute(1, 2, 0, 3, 4).flatten(0, 1) for one in pictures]
    return torch.cat(cut)


def psnr(one: Tensor, other: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of values in [0, 1]."""
    return (-10 * torch.log10((one - other).square().mean())).item()


def _mean_psnr(some: list[Tensor], others: list[Tensor], seen: Callable[[Tensor], Tensor]) -> float:
    return sum(psnr(seen(one), seen(other)) for one, other in zip(some, others, strict=True)) / len(some)


def told(
    names: tuple[str, str], real: list[Tensor], sets: list[list[Tensor]], back: Callable[[Tensor], Tensor] | None = None
) -> Figures:
    """Figures of each set of pictures ``(3, height, width)`` against the real ones."""
    reference = features(patches(real))
    return {
        name: {
            "PSNR (dB)": sum(map(psnr, made, real)) / len(real),
            "Fréchet distance of patches": frechet(features(patches(made)), reference),
            **(
                {
                    "PSNR made smaller again (dB)": sum(psnr(back(a), back(b)) for a, b in zip(made, real, strict=True))
                    / len(real)
                }
                if back
                else {}
            ),
        }
        for name, made in zip(names, sets, strict=True)
    }


def on_white(pixels: Tensor) -> Tensor:
    """Return a picture ``(3, height, width)`` of one that may have a fourth channel, how far it covers."""
    return pixels[:3] if len(pixels) == 3 else pixels[:3] * pixels[3:] + 1 - pixels[3:]


def photographs(data: Path, pipeline: str, names: list[str], count: int, steps: int | None) -> Figures:
    """Figures of photographs at half their size, made whole again."""
    from noiseform import image
    from noiseform.core.raster.resampling import resampled

    loaded = image.load(pipeline, steps=steps, upscale=True)

    def half(picture: Tensor) -> Tensor:
        return resampled(picture[None], picture.shape[1] // 2, picture.shape[2] // 2)[0].clamp(0, 1)

    real, plain, made = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        if data.is_file():
            with tarfile.open(data) as archive:
                archive.extractall(folder, filter="data")
        files = sorted((Path(folder) if data.is_file() else data).rglob("*"))
        found = [on_white(image.read(one).pixels) for one in files if any(fnmatch(one.stem, name) for name in names)]
    for picture in found[:count]:
        real.append(picture)
        plain.append(resampled(half(picture)[None], *picture.shape[1:])[0].clamp(0, 1))
        made.append(image.upscale(image.Image(half(picture)), loaded, seed=0).pixels)
    return told(("bicubic", pipeline), real, [plain, made], half)


def films(data: Path, pipeline: str, names: list[str], steps: int | None) -> Figures:
    """Figures of films with every second frame, or at half the size, made whole again: their new frames, or all."""
    from noiseform import video
    from noiseform.core.media import MediaSpec
    from noiseform.modalities.video.resampling import resampled

    loaded = video.load(pipeline, steps=steps, upscale=True)
    window = loaded.stages[-1].media
    factor = int((window.rates[0] or 1) / (loaded.takes.rates[0] or 1))
    size = window.shape[2] // loaded.takes.shape[2]
    real, plain, made = [], [], []
    for name in names:
        frames = video.read(data / f"{name}.mp4").frames
        edge = frames.shape[2] // (2 * size) * 2 * size
        frames = frames[: (len(frames) - 1) // factor * factor + 1, :, :edge, :edge]
        spec = MediaSpec((3, len(frames), edge, edge), (16.0, None, None), 0.0, 1.0)
        few = (len(frames) - 1) // factor + 1
        low = MediaSpec((3, few, edge // size, edge // size), (16.0 / factor, None, None), 0.0, 1.0)
        whole = frames.transpose(0, 1)[None]
        small = resampled(whole, spec, low).clamp(0, 1)
        large = video.upscale(video.Video(small[0].transpose(0, 1), 16.0 / factor), loaded, seed=0).frames
        blend = resampled(small, low, spec)[0].transpose(0, 1).clamp(0, 1)
        new = [number for number in range(len(frames)) if factor == 1 or number % factor]
        real += [frames[number] for number in new]
        plain += [blend[number] for number in new]
        made += [large[number] for number in new]
    return told(("blend" if factor > 1 else "bicubic", pipeline), real, [plain, made])


def main() -> None:
    """Print the figures of one kind of media."""
    parser = argparse.ArgumentParser(description="What super-resolution adds.")
    parser.add_argument("kind", choices=("speech", "vocoder", "photographs", "films"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pipeline", required=True)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--level", type=float, help="of noise-conditioning augmentation, for speech")
    parser.add_argument("--faulty", action="store_true", help="speech that has been a mel spectrogram before")
    parser.add_argument("--count", type=int, default=60, help="recordings, or pictures at most")
    parser.add_argument(
        "--names",
        nargs="+",
        help="of photographs or films, without ending; those held back if omitted; * stands for any",
    )
    choice = parser.parse_args()
    if choice.kind == "speech":
        figures = speech(choice.data, choice.pipeline, choice.count, choice.steps, choice.level, choice.faulty)
    elif choice.kind == "vocoder":
        figures = vocoder(choice.data, choice.pipeline, choice.count, choice.steps)
    elif choice.kind == "photographs":
        names = choice.names or ["kodim05", "kodim11", "kodim20"]
        figures = photographs(choice.data, choice.pipeline, names, choice.count, choice.steps)
    else:
        held = ["apple_red_1_axis2", "avocado_axis2", "cherry_axis2", "golden_2_axis2", "orange_axis2", "papaya_axis2"]
        figures = films(choice.data, choice.pipeline, choice.names or held, choice.steps)
    print(json.dumps(figures, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
