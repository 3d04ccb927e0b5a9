"""The generated pages say what the code says."""

from __future__ import annotations

from .conftest import script


def test_generated_pages_are_up_to_date(capsys):
    assert script("generate_reference.py").main(["--check"]) == 0, capsys.readouterr().out
