"""Round trips through the formats of sound: the samples, the record, and the same bytes each time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from noiseform.core.errors import ConfigError, MediaError
from noiseform.modalities.audio import convert
from noiseform.modalities.audio.clip import Audio
from noiseform.modalities.audio.reading import read, read_record
from noiseform.modalities.audio.writing import write

FORMATS = ["wav", "flac", "ogg", "mp3"]
LOSSLESS = ["wav", "flac"]


def sound(channels: int = 1, frames: int = 9000, rate: int = 16000) -> Audio:
    phase = torch.arange(frames) * 2 * torch.pi / rate
    waves = [0.4 * torch.sin((300 + 170 * channel) * phase) for channel in range(channels)]
    return Audio(torch.stack(waves), rate, {"seed": 7})


RECORD = {
    "prompt": "Grüße, \"quoted\", 'single', back\\slash, tab\t, line\nbreak, \u2028, 音, 🎵, <b>&amp;</b>, \x1b[31m",
    "numbers": [0, -1, 2**53, 1e-300, 0.1, True, None],
    "nested": {"": {"a": []}},
    "long": "".join(chr(33 + (i * i) % 94) for i in range(10_000)),
}


@pytest.mark.parametrize("ending", LOSSLESS)
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("frames", [1, 100, 65_536, 65_537])
def test_lossless_formats_keep_samples_to_half_a_step(ending: str, channels: int, frames: int, tmp_path: Path) -> None:
    audio = sound(channels, frames)
    path = tmp_path / f"x.{ending}"
    audio.save(path)
    back = read(path)
    assert back.sample_rate == audio.sample_rate
    assert back.samples.dtype == torch.float32
    torch.testing.assert_close(back.samples, audio.samples, atol=0.5 / 32768 + 1e-9, rtol=0)


@pytest.mark.parametrize("ending", LOSSLESS)
def test_sixteen_bit_samples_survive_any_number_of_round_trips(ending: str, tmp_path: Path) -> None:
    audio = Audio(torch.arange(-32768, 32768).float()[None] / 32768, 8000)
    audio.save(tmp_path / f"a.{ending}")
    first = read(tmp_path / f"a.{ending}")
    assert torch.equal(first.samples, audio.samples)
    first.save(tmp_path / f"b.{ending}")
    assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


@pytest.mark.parametrize("ending", LOSSLESS)
def test_samples_beyond_full_scale_are_held_to_it(ending: str, tmp_path: Path) -> None:
    Audio(torch.tensor([[1.5, 1.0, -1.0, -7.0]]), 8000).save(tmp_path / f"x.{ending}")
    assert read(tmp_path / f"x.{ending}").samples.tolist() == [[32767 / 32768, 32767 / 32768, -1.0, -1.0]]


@pytest.mark.parametrize(("ending", "worst"), [("ogg", 0.06), ("mp3", 0.06)])
@pytest.mark.parametrize("channels", [1, 2])
def test_lossy_formats_keep_length_and_are_near(ending: str, worst: float, channels: int, tmp_path: Path) -> None:
    audio = sound(channels, 20_000)
    audio.save(tmp_path / f"x.{ending}")
    back = read(tmp_path / f"x.{ending}")
    assert back.samples.shape == audio.samples.shape
    assert float((back.samples - audio.samples).abs()[:, 2000:-2000].max()) < worst
    assert float(back.samples.abs().max()) <= 1


@pytest.mark.parametrize("ending", FORMATS)
def test_record_comes_back_as_it_was(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    write(sound(), path, record=RECORD)
    assert read(path).record == RECORD
    assert read_record(path) == RECORD
    assert read(path).samples.shape == (1, 9000)


@pytest.mark.parametrize("ending", FORMATS)
def test_record_can_be_left_out(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    sound().save(path, record=False)
    assert read(path).record is None
    assert b"noiseform" not in path.read_bytes()


@pytest.mark.parametrize("ending", FORMATS)
def test_comment_of_others_is_no_record(ending: str, tmp_path: Path) -> None:
    import soundfile

    names = {"wav": "WAV", "flac": "FLAC", "ogg": "OGG", "mp3": "MP3"}
    with soundfile.SoundFile(tmp_path / f"x.{ending}", "w", 16000, 1, format=names[ending]) as file:
        file.comment = "made elsewhere"
        file.write([0.1] * 2000)
    assert read_record(tmp_path / f"x.{ending}") is None


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
def test_same_sound_gives_the_same_bytes_each_time(ending: str, channels: int, tmp_path: Path) -> None:
    audio = sound(channels, 70_000)
    digests = set()
    for number in range(20):
        path = tmp_path / f"{number}.{ending}"
        write(audio, path, record=RECORD)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    print(f"repeated writing, {ending}: tried 20 / failed {len(digests) - 1}")
    assert len(digests) == 1


SCRIPT = """
import sys, torch
from noiseform.modalities.audio.clip import Audio
for ending in ("wav", "flac", "ogg", "mp3"):
    Audio((torch.arange(30000) % 200 / 400 - 0.2)[None], 16000, {"a": 1}).save(f"{sys.argv[1]}.{ending}")
"""


def test_another_process_gives_the_same_bytes(tmp_path: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for name in ("a", "b"):
        subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path / name)], check=True, env=environment)
    for ending in FORMATS:
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


def test_checksums_of_ogg_pages_are_right() -> None:
    from noiseform.modalities.audio.ogg import page_checksum

    # CRC-32 with polynomial 0x04C11DB7, start 0, no reflection, no final inversion, bit by bit.
    page = bytes(range(256)) + b"OggS"
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    assert page_checksum(page) == value


def test_existing_file_is_kept_unless_overwriting_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    sound(frames=100).save(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="exists"):
        sound(frames=200).save(path)
    assert path.read_bytes() == before
    sound(frames=200).save(path, overwrite=True)
    assert read(path).samples.shape == (1, 200)


@pytest.mark.parametrize(("given", "wanted"), [(16000, 8000), (44100, 16000), (8000, 48000), (22050, 24000)])
def test_resampling_keeps_a_tone(given: int, wanted: int, tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    sound(1, given, given).save(path)  # one second
    back = read(path, sample_rate=wanted)
    assert back.sample_rate == wanted
    assert back.samples.shape == (1, wanted)
    torch.testing.assert_close(
        back.samples[:, 500:-500], sound(1, wanted, wanted).samples[:, 500:-500], atol=5e-3, rtol=0
    )


@pytest.mark.parametrize(("given", "wanted"), [(44100, 8000), (8000, 44100), (3000, 2000)])
def test_resampling_in_pieces_changes_nothing(given: int, wanted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = torch.randn(2, 30_000, generator=torch.Generator().manual_seed(0))
    whole = convert.resample(samples, given, wanted)
    for piece in (1, 1000, 9999):
        monkeypatch.setattr(convert, "PIECE", piece)
        torch.testing.assert_close(convert.resample(samples, given, wanted), whole, atol=1e-6, rtol=0)


def test_channels_are_converted_by_the_table() -> None:
    left, right = torch.tensor([0.5, -0.5]), torch.tensor([0.1, 0.3])
    stereo = torch.stack([left, right])
    torch.testing.assert_close(convert.convert_channels(stereo, 1), torch.tensor([[0.3, -0.1]]))
    torch.testing.assert_close(convert.convert_channels(left[None], 2), torch.stack([left, left]))
    assert convert.convert_channels(stereo, 2) is stereo
    surround = torch.zeros(6, 1)
    surround[2] = 1.0  # the centre goes to both sides, 3 dB down, and everything is scaled so that nothing clips
    expected = 0.5**0.5 / (1 + 2 * 0.5**0.5)
    torch.testing.assert_close(convert.convert_channels(surround, 2), torch.full((2, 1), expected))
    assert float(convert.convert_channels(torch.ones(6, 1), 2).max()) <= 1 + 1e-6
    with pytest.raises(MediaError, match="5 given, 2 wanted"):
        convert.convert_channels(torch.zeros(5, 1), 2)


@pytest.mark.parametrize(("given", "wanted"), [(1, 2), (2, 1), (6, 2), (6, 1), (3, 3)])
def test_reading_converts_channels(given: int, wanted: int, tmp_path: Path) -> None:
    sound(given).save(tmp_path / "x.wav")
    expected = convert.convert_channels(sound(given).samples, wanted)
    torch.testing.assert_close(read(tmp_path / "x.wav", channels=wanted).samples, expected, atol=2e-5, rtol=0)


def test_length_is_limited(tmp_path: Path) -> None:
    sound(1, 16000).save(tmp_path / "x.flac")
    assert read(tmp_path / "x.flac", max_seconds=1.0).seconds == 1.0
    with pytest.raises(MediaError, match=r"more than 0\.5 s"):
        read(tmp_path / "x.flac", max_seconds=0.5)


def test_sound_shows_itself_in_a_notebook() -> None:
    audio = sound(2)
    assert repr(audio) == "Audio(2 x 9000 at 16000 Hz, 0.562 s)"
    bundle = audio._repr_mimebundle_()
    assert bundle["text/plain"] == repr(audio)
    assert "data:audio/wav;base64,UklGR" in bundle["text/html"]  # RIFF
    assert "data:image/png;base64,iVBOR" in bundle["text/html"]  # PNG
    broken = Audio(torch.full((1, 10), float("nan")), 8000)
    assert broken._repr_html_() == f"<code>{broken!r}</code>"


def test_reading_and_writing_need_no_torchaudio(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['torchaudio'] = None\n"
        "from noiseform.modalities.audio.clip import Audio\n"
        "from noiseform.modalities.audio.reading import read\n"
        "import torch\n"
        "path = sys.argv[1]\n"
        "Audio(torch.zeros(1, 800), 8000).save(path)\n"
        "assert read(path).seconds == 0.1\n"
        "from noiseform.core.errors import PluginError\n"
        "try:\n    read(path, sample_rate=16000)\n"
        "except PluginError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "x.wav")], capture_output=True, text=True, check=True
    )
    assert "torchaudio" in done.stdout


def test_names_of_the_package_are_functions_each_time() -> None:
    from noiseform.modalities import audio

    for _ in range(2):
        assert callable(audio.read)
        assert callable(audio.write)
        assert callable(audio.read_record)
