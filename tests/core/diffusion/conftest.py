"""The peers that our samplers and grids are held against."""

from __future__ import annotations

import importlib.util
import sys
import types

import pytest

from .peers import SHAPE


@pytest.fixture(scope="module")
def diffusers():
    return pytest.importorskip("diffusers", reason="diffusers, a peer, is not installed (pip install noiseform[dev])")


@pytest.fixture(scope="module")
def k_diffusion():
    """Return k-diffusion's samplers alone: its package imports a dozen others, none of which they need."""
    package = importlib.util.find_spec("k_diffusion")
    if package is None:
        pytest.skip("k-diffusion, a peer, is not installed (pip install --no-deps k-diffusion==0.1.1)")
    pytest.importorskip("tqdm", reason="k-diffusion's samplers import tqdm")
    lent = {name: types.ModuleType(name) for name in ("torchdiffeq", "torchsde", "k_diffusion", "k_diffusion.utils")}
    lent["torchdiffeq"].odeint = None
    lent["k_diffusion"].utils = lent["k_diffusion.utils"]
    lent["k_diffusion.utils"].append_dims = lambda x, ndim: x.reshape(*x.shape, *(1,) * (ndim - x.ndim))
    before = {name: sys.modules.get(name) for name in lent}
    sys.modules.update(lent)
    try:
        spec = importlib.util.spec_from_file_location(
            "k_diffusion.sampling", f"{package.submodule_search_locations[0]}/sampling.py"
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        for name, old in before.items():
            sys.modules.pop(name) if old is None else sys.modules.update({name: old})
    return module


@pytest.fixture
def start(normal):
    return normal(*SHAPE)
