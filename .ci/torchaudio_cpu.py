"""Make torchaudio importable beside a torch without CUDA: remove its compiled files, which nothing here needs.

torchaudio's wheel is built for CUDA, and its extension fails to load beside a torch for CPUs; the rest of it is plain
PyTorch. This touches the environment of the running interpreter only, does nothing where torch has CUDA, and may be
run again at any time: ``.venv/bin/python .ci/torchaudio_cpu.py``.
"""

from __future__ import annotations

import importlib.metadata
import sys
import sysconfig
from pathlib import Path


def compiled_files() -> list[Path]:
    """Return the compiled extension files of torchaudio inside this interpreter's own environment."""
    own = Path(sysconfig.get_path("platlib")).resolve()
    listed = importlib.metadata.files("torchaudio") or []
    found = [Path(str(file.locate())).resolve() for file in listed if file.parent.parts == ("torchaudio", "lib")]
    return [file for file in found if file.is_file() and file.is_relative_to(own) and file.suffix in {".so", ".pyd"}]


def main() -> int:
    """Remove the files where they cannot load; print one line."""
    import torch

    try:
        version = importlib.metadata.version("torchaudio")
    except importlib.metadata.PackageNotFoundError:
        print("torchaudio: not installed")
        return 1
    if torch.version.cuda is not None or torch.version.hip is not None:
        print(f"torchaudio {version}: left as it is, since torch {torch.__version__} has a GPU")
        return 0
    removed = compiled_files()
    for file in removed:
        file.unlink()
    names = ", ".join(file.name for file in removed) or "nothing (done before)"
    print(f"torchaudio {version}: beside torch {torch.__version__} removed {names}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
