"""Peers that have to be asked in a particular way."""

from __future__ import annotations

import importlib.util
import sys
import types

__all__ = ["k_diffusion_sampling"]


def k_diffusion_sampling() -> types.ModuleType | None:
    """Return k-diffusion's samplers, without the dozen packages that its own package imports; None where absent."""
    package = importlib.util.find_spec("k_diffusion")
    if package is None or not package.submodule_search_locations or not importlib.util.find_spec("tqdm"):
        return None
    lent = {name: types.ModuleType(name) for name in ("torchdiffeq", "torchsde", "k_diffusion", "k_diffusion.utils")}
    lent["torchdiffeq"].odeint = None
    lent["k_diffusion"].utils = lent["k_diffusion.utils"]
    lent["k_diffusion.utils"].append_dims = lambda x, ndim: x.reshape(*x.shape, *(1,) * (ndim - x.ndim))
    before = {name: sys.modules.get(name) for name in lent}
    sys.modules.update(lent)
    try:
        file = f"{package.submodule_search_locations[0]}/sampling.py"
        spec = importlib.util.spec_from_file_location("k_diffusion.sampling", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        for name, old in before.items():
            sys.modules.pop(name) if old is None else sys.modules.update({name: old})
    return module
