"""Films through files: colours, rates, numbers of frames, sound and records come back; the bytes are the same."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import ColorRange, Colorspace
from noiseform import video
from noiseform.core.errors import ConfigError, MediaError
from noiseform.modalities.audio.clip import Audio
from noiseform.modalities.video.film import Video
from noiseform.modalities.video.reading import read, read_record
from noiseform.modalities.video.writing import write
from PIL import Image as PillowImage

FORMATS = ["mp4", "webm", "gif", "frames"]
COLOURS = [(0, 0, 0), (1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 0.5, 0.5), (1, 1, 0), (0.2, 0.6, 0.9)]


def flat(height: int = 16, width: int = 24) -> torch.Tensor:
    """Return a film that shows one colour after the other."""
    return torch.tensor(COLOURS)[:, :, None, None].expand(-1, 3, height, width).contiguous()


def tone(seconds: float = 1.0, rate: int = 16000, channels: int = 1) -> Audio:
    """Return a sound with a click at 0.5 s."""
    time = torch.arange(round(seconds * rate)) / rate
    wave = 0.1 * torch.sin(2 * torch.pi * 440 * time)
    wave[rate // 2 : rate // 2 + 40] = 0.9
    return Audio(wave.expand(channels, -1).clone(), rate)


@pytest.mark.parametrize("fps", [8.0, 25.0, 30000 / 1001, 12.5])
@pytest.mark.parametrize("ending", FORMATS)
def test_colours_rate_and_number_come_back(ending: str, fps: float, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    Video(flat(), fps, None, {"seed": 7}).save(path)
    back = video.read(path)
    assert back.frames.shape == (8, 3, 16, 24)
    assert (back.frames - flat()).abs().max() * 255 < 2.5
    hundredths = ending == "gif" and fps > 25
    assert back.fps == (pytest.approx(fps, abs=0.05) if hundredths else fps)
    assert back.audio is None
    assert back.record == {"seed": 7} == read_record(path)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_frames_come_back(ending: str, count: int, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    Video(flat()[:count], 10.0).save(path)
    back = read(path)
    assert len(back.frames) == count
    assert back.fps == 10
    assert back.record is None


@pytest.mark.parametrize("ending", FORMATS)
def test_what_stands_still_keeps_its_number_of_frames(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    Video(flat()[5:6].expand(7, -1, -1, -1), 8.0).save(path)
    assert len(read(path).frames) == 7


@pytest.mark.parametrize("ending", FORMATS)
def test_the_same_film_gives_the_same_bytes(ending: str, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    film = Video(torch.rand(4, 3, 32, 32, generator=generator), 8.0, tone() if ending in ("mp4", "webm") else None)
    contents = set()
    for number in range(3):
        path = tmp_path / f"{number}.{ending}"
        write(film, path, record={"a": 1})
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        contents.add(tuple(file.read_bytes() for file in files))
    assert len(contents) == 1


@pytest.mark.parametrize("ending", ["mp4", "webm"])
def test_coded_films_are_tagged_and_a_browser_can_begin_at_once(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    Video(flat(), 8.0, tone(1.0, 44100, 2), {"long": "y" * 100_000}).save(path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt) == ({"mp4": "h264", "webm": "vp9"}[ending], "yuv420p")
        assert (context.color_range, context.colorspace) == (ColorRange.MPEG, Colorspace.ITU709)
        assert (context.color_primaries, context.color_trc) == (1, 1)
        assert stream.average_rate == 8
        assert container.streams.audio[0].codec_context.name == {"mp4": "aac", "webm": "opus"}[ending]
        assert container.duration == pytest.approx(1e6, rel=0.02)
    data = path.read_bytes()
    if ending == "mp4":
        assert data.index(b"moov") < data.index(b"mdat")
    assert read(path).record == {"long": "y" * 100_000}


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 1), (44100, 2), (22050, 2), (10000, 1)])
@pytest.mark.parametrize("ending", ["mp4", "webm"])
def test_sound_comes_back_at_its_place(ending: str, rate: int, channels: int, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    Video(flat(), 8.0, tone(1.0, rate, channels)).save(path)
    heard = read(path).audio
    assert isinstance(heard, Audio)
    assert heard.channels == channels
    assert heard.seconds == pytest.approx(1.0, abs=0.003)
    assert heard.samples[0].abs().argmax() / heard.sample_rate == pytest.approx(0.5, abs=0.008)
    assert read(path, sound=False).audio is None


def test_sound_that_is_shorter_or_longer_than_the_film(tmp_path: Path) -> None:
    for seconds in (0.3, 2.0):
        path = tmp_path / f"{seconds}.mp4"
        Video(flat(), 8.0, Audio(tone(2.0).samples[:, : round(seconds * 16000)], 16000)).save(path)
        back = read(path)
        assert len(back.frames) == 8
        assert back.audio is not None
        assert back.audio.samples.shape[1] / back.audio.sample_rate == pytest.approx(seconds, abs=0.01)


def test_formats_without_sound_say_so(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="gif holds no sound"):
        Video(flat(), 8.0, tone()).save(tmp_path / "x.gif")


@pytest.mark.parametrize("ending", FORMATS)
def test_grey_films(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    grey = torch.linspace(0, 1, 8)[:, None, None, None].expand(-1, 1, 16, 16)
    Video(grey, 8.0).save(path)
    assert read(path).channels == (1 if ending == "frames" else 3)
    assert (read(path, channels=1).frames - grey).abs().max() * 255 < 2.5


def test_another_rate_on_reading(tmp_path: Path) -> None:
    for ending in FORMATS:
        path = tmp_path / f"x.{ending}"
        Video(flat(), 8.0).save(path)
        slow = read(path, fps=4.0)
        assert (slow.fps, len(slow.frames)) == (4.0, 4)
        assert (slow.frames - flat()[::2]).abs().max() * 255 < 2.5
        assert len(read(path, fps=16.0).frames) == 16
    with pytest.raises(ConfigError, match="fps: expected"):
        read(tmp_path / "x.mp4", fps=float("nan"))


def coded(frames: np.ndarray, rgb_to: str, tags: tuple[int, int] = (2, 0), pts: list[int] | None = None) -> bytes:
    """Return a Matroska film without loss (FFV1) of this pixel format, converted by FFmpeg itself."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=8)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], rgb_to
        stream.codec_context.time_base = Fraction(1, 1000)
        context = stream.codec_context
        context.colorspace, context.color_range = tags
        for number, array in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(array, format="rgba" if array.shape[-1] == 4 else "rgb24")
            matrix = Colorspace.ITU709 if tags[0] == 1 else Colorspace.ITU601
            kind = ColorRange.JPEG if tags[1] == 2 else ColorRange.MPEG
            frame = frame.reformat(format=rgb_to, dst_colorspace=matrix, dst_color_range=kind, threads=1)
            frame.colorspace, frame.color_range = tags
            frame.pts, frame.time_base = (pts or [125 * n for n in range(len(frames))])[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize("tags", [(2, 0), (1, 1), (1, 2), (6, 1), (5, 2)], ids=str)
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_matrix_and_range_of_the_file_are_heeded(pixels: str, tags: tuple[int, int], tmp_path: Path) -> None:
    frames = (flat() * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    (tmp_path / "x.mkv").write_bytes(coded(frames, pixels, tags))
    back = read(tmp_path / "x.mkv")
    assert (back.fps, len(back.frames)) == (8, 8)
    assert (back.frames - flat()).abs().max() * 255 < 4


def test_untagged_films_of_many_rows_are_bt_709(tmp_path: Path) -> None:
    frames = np.full((1, 720, 16, 3), (20, 200, 90), np.uint8)
    data = coded(frames, "yuv420p", (1, 1))
    tagged = data.index(bytes.fromhex("55b18101"))  # MatrixCoefficients = 1
    (tmp_path / "x.mkv").write_bytes(data[:tagged] + bytes.fromhex("55b18102") + data[tagged + 4 :])
    assert (read(tmp_path / "x.mkv").frames[0, :, 0, 0] * 255 - torch.tensor([20.0, 200, 90])).abs().max() < 4


def test_transparent_pixels_lie_on_the_background(tmp_path: Path) -> None:
    frame = np.zeros((2, 8, 8, 4), np.uint8)
    frame[..., 0], frame[:, :4, :, 3] = 255, 255
    (tmp_path / "x.mkv").write_bytes(coded(frame, "bgra"))
    white, black = read(tmp_path / "x.mkv").frames[0], read(tmp_path / "x.mkv", background="black").frames[0]
    assert white[:, 0, 0].tolist() == black[:, 0, 0].tolist() == [1, 0, 0]
    assert (white[:, 7, 7].tolist(), black[:, 7, 7].tolist()) == ([1, 1, 1], [0, 0, 0])


@pytest.mark.parametrize("turn", [90, -90, 180])
def test_films_of_telephones_stand_upright(turn: int, tmp_path: Path) -> None:
    upright = torch.zeros(3, 32, 64)
    upright[0, :16, :32] = 1  # red, top left
    turned = upright.rot90(-turn // 90, (1, 2))
    with av.open(str(tmp_path / "x.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.height, stream.width, stream.pix_fmt = turned.shape[1], turned.shape[2], "yuv420p"
        stream.set_display_rotation(turn)
        picture = (turned * 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))
    back = read(tmp_path / "x.mp4").frames[0]
    assert back.shape == upright.shape
    assert (back - upright).abs().mean() * 255 < 3


def test_white_ground_of_a_gif_stays_white(tmp_path: Path) -> None:
    frames = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    frames[:, :, :8] = 1
    Video(frames, 8.0).save(tmp_path / "x.gif")
    assert read(tmp_path / "x.gif").frames[:, :, :7].min() == 1


def test_varying_rates_become_the_mean_or_what_is_asked_for(tmp_path: Path) -> None:
    frames = (flat()[:4] * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    (tmp_path / "x.mkv").write_bytes(coded(frames, "bgr0", pts=[0, 100, 200, 700]))
    exact = read(tmp_path / "x.mkv", fps=10.0)
    assert torch.equal(exact.frames[:7, :, 0, 0], flat()[[0, 1, 2, 2, 2, 2, 2], :, 0, 0])
    assert 3 <= read(tmp_path / "x.mkv").fps <= 6


def test_gif_of_other_programs(tmp_path: Path) -> None:
    pictures = [PillowImage.new("RGB", (9, 7), colour) for colour in ("red", "lime", "blue")]
    save = {"save_all": True, "append_images": pictures[1:], "loop": 0, "disposal": 2}
    pictures[0].save(tmp_path / "even.gif", duration=40, **save)
    back = read(tmp_path / "even.gif")
    assert (back.fps, back.frames.shape) == (25, (3, 3, 7, 9))
    assert back.frames[:, :, 3, 3].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    pictures[0].save(tmp_path / "hasty.gif", duration=[10, 10, 10], **save)  # 1/100 s: shown at 1/10 s by all
    assert read(tmp_path / "hasty.gif").fps == 10
    pictures[0].save(tmp_path / "uneven.gif", duration=[100, 100, 400], **save)
    assert len(read(tmp_path / "uneven.gif", fps=10.0).frames) == 6


def test_folders_of_other_programs(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        PillowImage.new("L" if number == 2 else "RGB", (6, 4), (number * 20,) * (1 if number == 2 else 3)).save(
            tmp_path / f"{number}.png"
        )
    (tmp_path / "notes.txt").write_text("no frame")
    with pytest.raises(MediaError, match="do not tell their rate; give fps"):
        read(tmp_path)
    back = read(tmp_path, fps=12.0)
    assert (back.fps, back.frames.shape) == (12, (3, 3, 4, 6))
    assert (back.frames[:, 0, 0, 0] * 255).round().tolist() == [20, 40, 200]


def test_a_folder_is_replaced_only_if_it_holds_nothing_but_frames(tmp_path: Path) -> None:
    path = tmp_path / "x.frames"
    Video(flat(), 8.0).save(path)
    with pytest.raises(ConfigError, match="it exists"):
        Video(flat()[:2], 8.0).save(path)
    Video(flat()[:2], 8.0).save(path, overwrite=True)
    assert len(read(path).frames) == 2
    (path / "thesis.txt").write_text("years")
    with pytest.raises(ConfigError, match="other things than frames"):
        Video(flat(), 8.0).save(path, overwrite=True)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["x.frames"]
    assert (path / "thesis.txt").read_text() == "years"


def test_films_play_in_notebooks() -> None:
    shown = Video(flat(15, 17), 8.0, tone())._repr_html_()
    assert 'src="data:video/mp4;base64,' in shown
    assert "8 frames at 8 fps" in shown
    assert Video(torch.full((2, 3, 4, 4), float("nan")), 8.0)._repr_html_().startswith("<code>Video(2 x 3 x 4 x 4")
    assert repr(Video(flat(), 8.0, tone())) == "Video(8 x 3 x 16 x 24 at 8 fps, sound at 16000 Hz)"


@pytest.mark.parametrize("ending", ["mp4", "webm", "gif"])
def test_bytes_do_not_depend_on_what_lies_in_memory(tmp_path, ending):
    """Hold what x264's macroblock tree broke: small films that fade, coded between others and among garbage."""
    draw = torch.Generator().manual_seed(0)

    def fading(frames: int, size: int) -> Video:
        light = 0.5 + 0.4 * torch.sin(torch.arange(frames) / 3).reshape(-1, 1, 1, 1)
        return Video((light + 0.05 * torch.randn(frames, 1, size, size, generator=draw)).clamp(0, 1), 4.0, None, None)

    film, garbage, found = fading(30, 64), [], set()
    for number in range(8):
        film.save(tmp_path / f"film.{ending}", overwrite=True)
        found.add((tmp_path / f"film.{ending}").read_bytes())
        fading(3 + 5 * number, 8 * (1 + number)).save(tmp_path / f"other.{ending}", overwrite=True)
        garbage.append([torch.randn(1 + 997 * number * place, generator=draw) for place in range(9)])
    assert len(found) == 1
