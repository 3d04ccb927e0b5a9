"""Codecs: shapes as declared, there and back within the bound of each."""

from __future__ import annotations

import math

import pytest
import torch
from noiseform import build
from noiseform.core.errors import ConfigError
from noiseform.core.media import MediaSpec

RATE = 8000
LENGTHS = (6144, 6000, 999)


def spec(samples: int, channels: int = 1) -> MediaSpec:
    return MediaSpec((channels, samples), (float(RATE),), -1.0, 1.0)


def chirp(samples: int, channels: int = 1, rows: int = 2) -> torch.Tensor:
    """Return swept tones with overtones, loud enough to be heard and short of full scale."""
    t = torch.arange(samples) / RATE
    pitch = torch.tensor([120.0, 210.0])[:rows, None, None] * (1 + torch.arange(channels)[None, :, None])
    phase = 2 * math.pi * (pitch * t + 90 * t**2)
    return 0.3 * torch.sin(phase) + 0.15 * torch.sin(2 * phase) + 0.05 * torch.sin(3 * phase)


CODECS = [
    ("identity", {}),
    *((name, {"layout": layout}) for name in ("stft", "mel") for layout in ("axis", "channels")),
]


@pytest.mark.parametrize(("name", "settings"), CODECS)
@pytest.mark.parametrize("samples", LENGTHS)
@pytest.mark.parametrize("channels", [1, 2])
def test_shapes_are_as_declared(name: str, settings: dict[str, str], samples: int, channels: int) -> None:
    codec = build("codec", name, media=spec(samples, channels), **settings)
    sound = chirp(samples, channels)
    latent = codec.encode(sound)
    assert latent.shape[1:] == codec.shape(sound.shape[1:])
    assert codec.decode(latent, sound.shape[1:]).shape == sound.shape


@pytest.mark.parametrize("settings", [{}, {"scale": 4.0}, {"companding": 255.0}, {"companding": 50.0, "scale": 2.0}])
def test_identity_comes_back(settings: dict[str, float]) -> None:
    sound = chirp(999)
    codec = build("codec", "identity", media=spec(999), **settings)
    torch.testing.assert_close(codec.decode(codec.encode(sound), (1, 999)), sound, atol=1e-6, rtol=1e-5)


def test_identity_brings_any_range_to_unit_range() -> None:
    pixels = MediaSpec((3, 4, 4), (None, None), 0.0, 1.0)
    codec = build("codec", "identity", media=pixels)
    assert codec.encode(torch.tensor([0.0, 0.5, 1.0])).tolist() == [-1.0, 0.0, 1.0]
    assert codec.decode(torch.tensor([-3.0, 0.0, 1.0]), (3,)).tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("layout", ["axis", "channels"])
@pytest.mark.parametrize("samples", LENGTHS)
@pytest.mark.parametrize("power", [0.5, 1.0])
def test_stft_comes_back_exactly(layout: str, samples: int, power: float) -> None:
    sound = chirp(samples, channels=2)
    codec = build("codec", "stft", media=spec(samples, 2), layout=layout, power=power, scale=3.0)
    torch.testing.assert_close(codec.decode(codec.encode(sound), sound.shape[1:]), sound, atol=2e-6, rtol=0)


@pytest.mark.parametrize("window", [256, 384, 512])
def test_mel_comes_back_as_the_same_mel(window: int) -> None:
    sound = chirp(6144)
    codec = build("codec", "mel", media=spec(6144), window=window)
    latent = codec.encode(sound)
    again = codec.encode(codec.decode(latent, (1, 6144)))
    loud = latent > latent.max() - math.log(10)  # within 20 dB of the loudest
    decibels = 20 / math.log(10) * (again - latent)[loud].abs()
    assert decibels.mean() < 1.0
    assert decibels.median() < 0.6


@pytest.mark.parametrize("samples", [1, 2, 128, 129, 255, 256, 300])
def test_what_is_shorter_than_half_a_window_comes_back_too(samples: int) -> None:
    sound = chirp(samples, channels=2)
    exact = build("codec", "stft", media=spec(samples, 2))
    torch.testing.assert_close(exact.decode(exact.encode(sound), sound.shape[1:]), sound, atol=2e-6, rtol=0)
    whole = chirp(4096, channels=2)
    assert lost_by_mel(sound) < 2 * lost_by_mel(whole)


def lost_by_mel(sound: torch.Tensor) -> float:
    """Return by how much the mels of a sound change when it is decoded and encoded again."""
    codec = build("codec", "mel", media=spec(sound.shape[-1], sound.shape[1]), bins=32)
    latent = codec.encode(sound)
    return float((codec.encode(codec.decode(latent, tuple(sound.shape[1:]))) - latent).abs().mean())


def test_mel_is_deterministic_and_draws_nothing() -> None:
    codec = build("codec", "mel", media=spec(6144))
    latent = codec.encode(chirp(6144))
    state = torch.random.get_rng_state()
    assert torch.equal(codec.decode(latent, (1, 6144)), codec.decode(latent, (1, 6144)))
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("layout", ["axis", "channels"])
@pytest.mark.parametrize("samples", LENGTHS)
def test_a_sound_is_fitted_to_a_mel(layout: str, samples: int) -> None:
    codec = build("codec", "mel", layout=layout, window=384, floor=1e-4, media=spec(samples, 2))
    wanted = chirp(samples, 2)
    latent = codec.encode(wanted)
    # The right phases, and magnitudes that are wrong by an envelope and a filter.
    wrong = wanted * torch.linspace(0.3, 2.5, samples) + 0.5 * wanted.roll(1, -1)
    errors = []
    for iterations in (1, 4, 16):
        made = codec.fitted(wrong, latent, iterations)
        assert made.shape == wanted.shape
        errors.append((codec.encode(made) - latent).square().mean().item())
    before = (codec.encode(wrong) - latent).square().mean().item()
    assert before > errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.1 * before
    assert (made - wanted).square().mean() < 0.01 * (wrong - wanted).square().mean()


def test_a_sound_that_has_the_mel_stays() -> None:
    codec = build("codec", "mel", window=384, floor=1e-6, media=spec(6144))
    sound = chirp(6144)
    torch.testing.assert_close(codec.fitted(sound, codec.encode(sound), 4), sound, atol=1e-3, rtol=0)


def test_silence_fitted_to_silence_is_silence() -> None:
    codec = build("codec", "mel", media=spec(6144))
    latent = codec.encode(torch.zeros(1, 1, 6144))
    assert not codec.fitted(torch.zeros(1, 1, 6144), latent, 4).any()
    assert codec.fitted(0.2 * torch.randn(1, 1, 6144), latent, 4).abs().max() < 0.01


def test_mel_of_silence_is_silence() -> None:
    codec = build("codec", "mel", media=spec(1000))
    silence = torch.zeros(1, 1, 1000)
    assert not bool(codec.decode(codec.encode(silence), (1, 1000)).any())


def test_mel_agrees_with_torchaudio() -> None:
    from noiseform.core.libraries import torchaudio_module

    settings = {
        "sample_rate": RATE,
        "n_fft": 512,
        "hop_length": 128,
        "n_mels": 64,
        "power": 1.0,
        "pad_mode": "constant",
    }
    peer = torchaudio_module("torchaudio.transforms").MelSpectrogram(**settings)
    sound = chirp(6144)
    ours = build("codec", "mel", media=spec(6144), bins=64, floor=1e-4).encode(sound)
    theirs = peer(sound)[..., :48].clamp(min=1e-4).log()
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["stft", "mel"])
def test_pictures_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="takes sound"):
        build("codec", name, media=MediaSpec((3, 8, 8), (None, None), 0.0, 1.0))


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"window": 255}, "even"), ({"window": 128, "hop": 100}, "2 hops"), ({"bins": 1000}, "too many")],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, int], why: str) -> None:
    with pytest.raises(ConfigError, match=why), _quiet():
        build("codec", "mel", media=spec(6144), **settings)


def _quiet():  # type: ignore[no-untyped-def]
    import warnings

    return warnings.catch_warnings(action="ignore")
