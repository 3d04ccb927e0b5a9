"""Standard streams that were closed before the start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import os, sys
from noiseform.core.machine.standard_streams import open_closed_streams
open_closed_streams()
assert None not in (sys.stdin, sys.stdout, sys.stderr)
assert sys.stdin.read() == ""
for stream in (sys.stdout, sys.stderr):
    if stream.name == os.devnull:
        print("\\udcff", file=stream, flush=True)  # as names of files have it that are not UTF-8
print("told")
print("told", file=sys.stderr, flush=True)
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.system("echo told; echo told >&2")  # a child has them too
os.write(file, str(file).encode())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no descriptors to close")
@pytest.mark.parametrize("closed", ["", "<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path, closed: str) -> None:
    file = tmp_path / "opened"
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", CODE, str(file)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert int(file.read_text()) > 2
    assert done.stdout == ("" if " >&-" in f" {closed}" else "told\ntold\n")
    assert done.stderr == ("" if "2>&-" in closed else "told\ntold\n")
