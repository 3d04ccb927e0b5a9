"""The one door to the library that may be installed and yet not load: torchaudio."""

from __future__ import annotations

import importlib
from types import ModuleType

from .errors import PluginError

__all__ = ["torchaudio_module"]


def torchaudio_module(name: str = "torchaudio") -> ModuleType:
    """Return torchaudio, or a module of it such as ``torchaudio.functional``, imported at the first call.

    torchaudio's wheel is built for GPUs; beside a torch without CUDA its compiled extension raises OSError at import,
    although everything that noiseform uses of it is plain PyTorch.

    Raises:
        PluginError: it is missing, or does not load beside the torch that is installed.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise PluginError(_advice(error)) from error


def _advice(error: Exception) -> str:
    import torch

    version = torch.__version__.partition("+")[0]
    if isinstance(error, ModuleNotFoundError) and error.name == "torchaudio":
        return f"cannot load: torchaudio: not installed; run pip install torchaudio (made for torch {version})"
    if torch.version.cuda is None:
        return (
            f"cannot load: torchaudio: its compiled part is made for CUDA, but torch {torch.__version__} has none; "
            "install the wheel for CPUs (pip install --force-reinstall --no-deps torchaudio, with --index-url naming "
            "PyTorch's index of CPU wheels), or remove the files torchaudio/lib/*.so: nothing here needs them"
        )
    return (
        f"cannot load: torchaudio: it does not fit torch {version} with CUDA {torch.version.cuda} "
        f"({' '.join(str(error).split())[:120]}); install the torchaudio made for this torch, with --index-url naming "
        f"PyTorch's index of wheels for CUDA {torch.version.cuda}"
    )
