"""The device that is none: it answers what a GPU answers, with the numbers of the CPU, and refuses what one refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from noiseform.core.testing.tried_on.another_device import another_device, lies_on, moved
from noiseform.core.testing.tried_on.pretended_device import pretended_device
from noiseform.testing import Finding
from torch import autocast, nn, tensor
from torch.nn import functional

X = torch.arange(6.0).reshape(2, 3)
FIRST = torch.tensor([0])


def put(x, place, values):
    """Write values into a copy."""
    x = x.clone()
    x[place] = values
    return x


def turned(x, method, *given):
    """Change a copy's form in place, and take it apart by its strides."""
    x = x.clone()
    return getattr(x, method)(*given).split(1)[0] + 0


def learnt(x, module):
    """Return the gradient of what a module makes."""
    x = x if x.requires_grad else x.clone().requires_grad_()
    module.to(x.device)(x).square().sum().backward()
    return x.grad


def halved(x):
    with autocast(x.device.type, torch.bfloat16):
        return x / 2


SAME = {
    "new_tensor": lambda x: x.new_tensor([1.0, 2.0, 3.0]) + x,
    "as_tensor": lambda x: torch.as_tensor([1.0, 2.0, 3.0], device=x.device) + x,
    "asarray": lambda x: torch.asarray(np.ones(3, np.float32), device=x.device) + x,
    "tensor, of another name": lambda x: tensor([1.0, 2.0, 3.0], device=x.device) + x,
    "tensor of tensors": lambda x: tensor([x[0, 1], x[1, 1], 2.0], device=x.device) + x,
    "as_tensor of one that lies there": lambda x: torch.as_tensor(x) + torch.as_tensor(x, device=x.device),
    "a leaf": lambda x: learnt(tensor([1.0, 2.0], device=x.device, requires_grad=True), nn.Tanh()),
    "tolist": lambda x: x * x.tolist()[1][2],
    "a format": lambda x: x * float(f"{x.sum():.3g}"),
    "numpy of a copy on the CPU": lambda x: x + torch.from_numpy(x.cpu().numpy()).to(x.device),
    "numpy by force": lambda x: x + torch.from_numpy(x.numpy(force=True)).to(x.device),
    "unsqueeze_": lambda x: turned(x, "unsqueeze_", 0),
    "squeeze_": lambda x: turned(x[:1], "squeeze_", 0),
    "t_": lambda x: turned(x, "t_"),
    "transpose_": lambda x: turned(x, "transpose_", 0, 1),
    "resize_": lambda x: turned(x, "resize_", 3),
    "stft": lambda x: torch.stft(
        x.flatten(), 4, 2, window=torch.hann_window(4, device=x.device), return_complex=True
    ).abs(),
    "numbers of the CPU": lambda x: x * tensor(2.0) + torch.where(x > 0, x, tensor(0.0)),
    "a number in the place of others": lambda x: x.masked_fill(x > 2, tensor(7.0)) + put(x, FIRST, tensor(5.0)),
    "places of the CPU": lambda x: x[FIRST] + put(x, FIRST, x[1:])[0],
    "a copy from the CPU": lambda x: put(x, 0, torch.ones(3)),
    "a generator of the device": lambda x: (
        x + torch.randn(3, generator=torch.Generator(x.device).manual_seed(3), device=x.device)
    ),
    "autocast": halved,
    "a gradient": lambda x: learnt(x, nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3)).requires_grad_(False)),
}
"""What a GPU does as well."""

REFUSED = {
    "a sum": lambda x: x + torch.ones(3),
    "a sum into the CPU": lambda x: torch.zeros(()).add_(x[0, 0]),
    "values of the CPU": lambda x: put(x, FIRST, torch.ones(1, 3)),
    "a number beside another": lambda x: torch.stack([x[0, 0], tensor(1.0)]),
    "index_select by a number": lambda x: x.index_select(0, tensor(0)),
    "embedding of a number": lambda x: functional.embedding(tensor(1), x),
    "searchsorted of a number": lambda x: torch.searchsorted(x[0].contiguous(), tensor(1.0)),
    "randn by a generator of the CPU": lambda x: torch.randn(3, generator=torch.Generator(), device=x.device),
    "normal_ by a generator of the CPU": lambda x: x.clone().normal_(generator=torch.Generator()),
    "a generator of the device, on the CPU": lambda x: torch.randn(3, generator=torch.Generator(x.device)),
    "numpy": lambda x: x.numpy(),
    "np.asarray": lambda x: np.asarray(x),
}
"""What a GPU refuses."""


@pytest.mark.parametrize("made", SAME.values(), ids=SAME)
def test_what_a_gpu_does_as_well(made):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        expected = made(X)
        torch.manual_seed(0)
        with pretended_device() as device:
            there = made(X.to(device))
            lies_on(device, there, "it")
            assert there.device.type == device
            assert torch.equal(there.cpu(), expected)
            assert there.stride() == expected.stride()


@pytest.mark.parametrize("made", REFUSED.values(), ids=REFUSED)
@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU words it its own way")
def test_what_a_gpu_refuses(made):
    with pytest.raises(Finding, match="another device"), another_device() as device:
        made(moved(X, device))


def test_nothing_stays_behind():
    generator, begin = torch.Generator, torch.autocast.__init__
    with pretended_device():
        pass
    assert (torch.Generator, torch.autocast.__init__) == (generator, begin)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, at the first derivative of the kind
def test_forward_mode_derivatives_are_left_out():
    """Torch would end the process: a part that takes them is not tried."""
    with pretended_device() as device:
        x = torch.randn(2, 3).to(device)
        with pytest.raises(RuntimeError, match="forward-mode"):
            torch.func.jvp(lambda a: a * 2, (x,), (x,))
