"""How threads wait for each other is the program's to say, and the user's to overrule."""

import os
import subprocess
import sys

import pytest
from noiseform.core.machine.threads import wait_briefly


def test_threads_wait_briefly(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    environment = {}
    wait_briefly(environment)
    assert environment == {"GOMP_SPINCOUNT": "4000"}


def test_another_openmp_is_told_to_sleep(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    environment = {}
    wait_briefly(environment)
    assert environment == {"OMP_WAIT_POLICY": "PASSIVE"}


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
def test_what_the_user_has_said_stays(name):
    environment = {name: "7"}
    wait_briefly(environment)
    assert environment == {name: "7"}


SAID = """
import os, sys
from noiseform.core.cli.main import main
main(["list", "sampler"])
print(os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="GNU OpenMP's variable")
def test_the_command_line_says_so_before_torch_and_the_library_never():
    environment = {name: value for name, value in os.environ.items() if "OMP_" not in name}
    run = {"env": environment, "capture_output": True, "text": True, "check": True}
    told = subprocess.run([sys.executable, "-c", SAID], **run).stdout
    assert told.splitlines()[-1] == "4000 False"
    alone = "import os, torch, noiseform; noiseform.audio; print([name for name in os.environ if 'OMP_' in name])"
    assert subprocess.run([sys.executable, "-c", alone], **run).stdout.strip() == "[]"
