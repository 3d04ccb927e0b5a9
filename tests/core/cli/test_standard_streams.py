"""The command line where a standard stream is closed or cannot be written to."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no descriptors to close")


def run(*words: str, streams: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "noiseform.core.cli.main", *words]
    shell = ["sh", "-c", f'exec "$@" {streams}', "sh", *command]
    return subprocess.run(shell, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("words", ["list sampler", "show sampler/ddim", "plugins list", "plugins doctor"])
@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_fault(words, streams):
    done = run(*words.split(), streams=streams)
    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) == (streams == "2>&-")


@pytest.mark.parametrize("streams", ["2>&-", "<&- >&- 2>&-"])
def test_everything_is_made_where_streams_are_closed(tiny_model, tiny_recipe, tones, tmp_path, streams):
    words = ["--label", "low", "--steps", "2", "-o"]
    done = run("generate", "audio", str(tiny_model), *words, str(tmp_path / "a.wav"), streams=streams)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.wav").read_bytes().startswith(b"RIFF")
    done = run(
        *("train", str(tiny_recipe), "--data", str(tones), "-o", str(tmp_path / "run"), "--until", "1"), streams=streams
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "manifest.json").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="has no /dev/full")
@pytest.mark.parametrize("words", ["list sampler", "list --json", "show sampler/ddim", "--help"])
def test_it_is_standard_output_that_is_full(words):
    done = run(*words.split(), streams=">/dev/full")
    assert done.returncode == 6
    assert done.stderr == "error: standard output: No space left on device; make room and try again\n"


def test_standard_output_that_takes_nothing_is_no_bug():
    done = run("list", "sampler", streams="1</dev/null")
    assert done.returncode == 6
    assert done.stderr.startswith("error: standard output: Bad file descriptor; ")
