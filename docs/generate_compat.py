"""Which parts work together, as a page: what ``noiseform compat`` prints of the built-in parts.

python docs/generate_compat.py            # minutes: every combination is run
python docs/generate_compat.py --check    # say whether the page is what it would write
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parent / "reference" / "compat.md"

HEAD = """\
# Which parts work together

Made by `docs/generate_compat.py` from `noiseform compat`, which runs every combination of process, objective, grid,
sampler and guidance on a small problem whose ideal network is known, in 6 steps. A cell says `works`, or how many of
its combinations do and why the others do not. The second and third table take pairs of process and objective that work.

"""


def page() -> str:
    """Return the page."""
    here = {**os.environ, "NOISEFORM_PLUGINS": "0", "COLUMNS": "400", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "noiseform.core.cli.main", "compat"]
    printed = subprocess.run(command, env=here, check=True, stdout=subprocess.PIPE, text=True).stdout
    return f"{HEAD}```text\n{printed.rstrip()}\n```\n"


def main() -> None:
    """Write the page, or check it."""
    made = page()
    if "--check" in sys.argv[1:]:
        if PAGE.read_text(encoding="utf-8") != made:
            sys.exit("docs/reference/compat.md is not what docs/generate_compat.py makes; run it and commit the result")
        return
    PAGE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
