"""Archives of data that are damaged anywhere: listed, or refused in one line."""

from __future__ import annotations

import io
import random
import sys
import tarfile
import time
from pathlib import Path

import pytest
from noiseform.core.data.dataset import DataConfig, list_items
from noiseform.core.data.source import open_source
from noiseform.core.errors import ConfigError, MediaError

sys.path.insert(0, str(Path(__file__).parent))
from mutation import mutate  # the script beside this file is run by itself too


def archive(mode: str, layout: int) -> bytes:
    """Return a small archive of files and a table of their labels."""
    buffer = io.BytesIO()
    draw = random.Random(0)
    names = [f"d{index}/{'x' * index * 60}.wav" for index in range(6)]
    table = "file,label\n" + "".join(f"{name},label {index}\n" for index, name in enumerate(names))
    with tarfile.open(fileobj=buffer, mode=mode, format=layout) as file:  # type: ignore[call-overload]
        for name in (*names, "labels.csv"):
            data = table.encode() if name == "labels.csv" else draw.randbytes(300)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def survives(count: int, first: int, folder: Path) -> tuple[int, int]:
    """Return how many damaged archives were listed and how many refused; anything else is raised."""
    layouts = (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)
    files = [archive(mode, layout) for mode in ("w", "w", "w", "w:gz", "w:bz2", "w:xz") for layout in layouts]
    configs = [DataConfig(), DataConfig(labels="csv", csv="labels.csv")]
    read, messages = 0, []
    for number in range(first, first + count):
        draw = random.Random(number)
        path = folder / "x.tar"
        path.write_bytes(mutate(draw.choice(files), draw.choice(files), draw))
        started = time.perf_counter()
        try:
            for item in list_items(open_source(path), configs[number % 2], ("*.wav",)).items:
                item.entry.open().read()
            read += 1
        except (MediaError, ConfigError) as error:
            messages.append(str(error))
        assert time.perf_counter() - started < 10
    assert all(message.isprintable() for message in messages)
    return read, len(messages)


def test_damaged_archives_never_do_harm(tmp_path: Path) -> None:
    read, refused = survives(500, 0, tmp_path)
    print(f"damaged archives: tried {read + refused} / failed 0")
    assert read > 20


@pytest.mark.soak
def test_many_damaged_archives_never_do_harm(tmp_path: Path) -> None:
    read, refused = survives(20_000, 1000, tmp_path)
    print(f"damaged archives: tried {read + refused} / failed 0")
