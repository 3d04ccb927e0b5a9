"""Forward and training step of our U-Nets and diffusers' of the same layout, with and without the switches.

They are what the command line sets for its process: that memory is kept, and that threads wait briefly. Each setting
has processes of its own, which take turns. Ours is measured in bfloat16 too, beside the peer's float32: as
`generate --dtype bfloat16` has it, and training by default where the processor multiplies it; and with the switches on
compiled, as `generate --compile` runs it. Each trains with the optimizer that its library's training uses.
"""

from __future__ import annotations

import copy
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from noiseform.core.machine.threads import wait_briefly
from timing import Row, rounds_of, row
from torch import nn

__all__ = ["networks"]

COMPILED = "noiseform compiled"
HALF = "noiseform in bfloat16"


@dataclass(frozen=True)
class Case:
    """A network at one size.

    Attributes:
        network: whose layout.
        channels: of an item.
        space: of an item.
        forward: goal of the forward pass, times as fast.
        half: the same in bfloat16.
        training: items of a training step; 0 where none is measured.
        step: goal of a training step, share of the time.
        rounds: share of the rounds, where one takes long.
    """

    network: str
    channels: int
    space: tuple[int, ...]
    forward: float
    half: float
    training: int = 0
    step: float = 0.0
    rounds: float = 1.0


CASES = {
    "unet-2d": Case("unet-2d", 3, (32, 32), 1.5, 1.5, training=8, step=0.75),
    "unet-1d": Case("unet-1d", 2, (4096,), 2.5, 3.0, training=8, step=0.5),
    "unet-1d short": Case("unet-1d", 2, (1024,), 2.5, 3.0),
    "unet-1d long": Case("unet-1d", 2, (16_384,), 2.5, 3.0, training=2, step=0.5, rounds=0.4),
    # What diffusers' layout is by default, that of Dance Diffusion: four seconds of 16 kHz.
    "unet-1d default": Case("unet-1d", 2, (65_536,), 2.5, 3.0, rounds=0.07),
    "unet-3d": Case("unet-3d", 4, (16, 16, 16), 1.8, 2.0, training=2, step=0.75),
}
WORDS, WORD = 8, 64  # places of the conditioning sequence and their width: diffusers' 3-D network works with one only


def ours(case: Case) -> nn.Module:
    from noiseform import build

    settings = {
        "unet-2d": {"channels": [32, 64, 128], "blocks": 2, "attention": [2], "embedding": 128},
        "unet-1d": {"channels": [32, 32, 64], "blocks": 3, "attention": [2], "embedding": 64},
        # Wider than theirs, whose transformers and fourfold temporal convolutions have more weights at equal widths.
        "unet-3d": {"channels": [48, 96, 160], "blocks": 2, "attention": [1, 2], "embedding": 128},
    }[case.network]
    host = {"sequence_width": WORD} if case.network == "unet-3d" else {}
    network = build("network", case.network, channels_in=case.channels, **settings, **host)
    return _unzeroed(network)


def theirs(case: Case) -> nn.Module:
    import diffusers

    if case.network == "unet-2d":
        return diffusers.UNet2DModel(
            sample_size=case.space[0],
            in_channels=3,
            out_channels=3,
            block_out_channels=(32, 64, 128),
            down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        )
    if case.network == "unet-3d":
        return diffusers.UNet3DConditionModel(
            sample_size=case.space[-1],
            block_out_channels=(32, 64, 128),
            down_block_types=("DownBlock3D", "CrossAttnDownBlock3D", "CrossAttnDownBlock3D"),
            up_block_types=("CrossAttnUpBlock3D", "CrossAttnUpBlock3D", "UpBlock3D"),
            cross_attention_dim=WORD,
            attention_head_dim=2,  # by which it means the number of heads
        )
    # Dance Diffusion's own widths: five-wide convolutions and attention at the lowest level and in the middle.
    return diffusers.UNet1DModel(
        sample_size=case.space[0],
        extra_in_channels=64,
        block_out_channels=(32, 32, 64),
        use_timestep_embedding=False,
    )


def _unzeroed(network: nn.Module) -> nn.Module:
    """Fill the layers that start at zero: arithmetic with zeros is not the work that is to be measured."""
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return network


def measure(name: str, rounds: int, *, compiled: bool) -> dict[str, object]:
    """Return seconds of forward and training step, ours and theirs, in turns; with ours compiled, or without."""
    case = CASES[name]
    torch.manual_seed(0)
    networks = {"noiseform": ours(case), "diffusers": theirs(case)}
    words = torch.randn(1, WORDS, WORD) if case.network == "unet-3d" else None

    def cond(x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {} if words is None else {"sequence": words.expand(len(x), -1, -1)}

    calls: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
        "noiseform": lambda x, t: networks["noiseform"](x, t, cond(x)),
        "diffusers": lambda x, t: networks["diffusers"](x, t, *cond(x).values()).sample,
    }
    x, t = torch.randn(1, case.channels, *case.space), torch.full((1,), 0.5)
    batch, times = torch.randn(case.training, case.channels, *case.space), torch.rand(case.training)
    rounds = max(1, round(rounds * case.rounds))

    half = copy.deepcopy(networks["noiseform"]).to(torch.bfloat16)

    def narrow(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        given = {name: value.to(torch.bfloat16) for name, value in cond(x).items()}
        return half(x.to(torch.bfloat16), t, given).to(x.dtype)

    calls[HALF] = narrow
    if compiled:
        from noiseform.core.pipeline.compiled import Compiler

        form = Compiler().of(networks["noiseform"])
        calls[COMPILED] = lambda x, t: form(x, t, cond(x))

    def forward(owner: str) -> Callable[[], object]:
        def run() -> object:
            with torch.no_grad():
                return calls[owner](x, t)

        return run

    def step(owner: str, *, half: bool = False) -> Callable[[], object]:
        fused = owner == "noiseform"  # as core/training/trainer.py has it; scripts of diffusers' take torch's default
        optimizer = torch.optim.AdamW(networks[owner].parameters(), lr=1e-5, fused=fused or None)

        def run() -> None:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss = calls[owner](batch, times).float().square().mean()
            loss.backward()
            optimizer.step()

        return run

    for network in (*networks.values(), half):  # as a model is loaded: nothing of it is learnt
        network.eval().requires_grad_(False)
    result: dict[str, object] = {f"{owner} parameters": _count(one) for owner, one in networks.items()}

    # Three networks take turns, and the compiled one in a second go: of four none would stay in the processor's cache.
    def turns(*owners: str) -> dict[str, list[float]]:
        return rounds_of({owner: forward(owner) for owner in owners}, rounds=rounds, warm=min(2, rounds))

    result["forward"] = turns("noiseform", HALF, "diffusers")
    if compiled:
        result["forward"][COMPILED] = turns(COMPILED, HALF, "diffusers")[COMPILED]
    with torch.no_grad():
        own = calls["noiseform"](x, t)
        off = {
            owner: (own - calls[owner](x, t)).abs().max() / own.abs().max()
            for owner in (HALF, COMPILED)
            if owner in calls
        }
    result["off"] = {owner: value.item() for owner, value in off.items()}
    # Last, since a compiled network's weights must not change any more.
    if case.training:
        for network in networks.values():
            network.train().requires_grad_(True)
        steps = {"noiseform": step("noiseform"), HALF: step("noiseform", half=True), "diffusers": step("diffusers")}
        result["training step"] = rounds_of(steps, rounds=max(3, rounds // 3))
    return result


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def networks(rounds: int, *, repeats: int = 3) -> Iterator[Row]:
    """Measure every case in processes with and without the switches."""
    plain = {name: value for name, value in os.environ.items() if name not in {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}}
    environments = {"off": plain, "on": dict(plain)}
    wait_briefly(environments["on"])
    for name, case in CASES.items():
        runs: dict[str, list[dict]] = {"off": [], "on": []}
        for _ in range(repeats):
            for switch, found in runs.items():
                command = [sys.executable, str(Path(__file__).with_name("networks.py")), name, str(rounds), switch]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environments[switch])
                found.append(json.loads(done.stdout))
        sizes = [runs["off"][0][f"{owner} parameters"] / 1e6 for owner in ("noiseform", "diffusers")]
        size = " x ".join(f"{n:,}" for n in (case.channels, *case.space))
        group = f"{case.network}, {size} ({sizes[0]:.2f} M, diffusers {sizes[1]:.2f} M)"
        for kind in ("forward", "training step")[: 2 if case.training else 1]:
            seconds = {
                (owner, switch): [second for run in found for second in run[kind].get(owner, ())]
                for owner in ("noiseform", HALF, COMPILED, "diffusers")
                for switch, found in runs.items()
            }
            reference = statistics.median(seconds["diffusers", "off"])
            for (owner, switch), taken in seconds.items():
                if not taken:
                    continue
                share, goal = statistics.median(taken) / reference, {}
                if owner != "diffusers" and switch == "on":
                    bound = 1 / (case.half if owner == HALF else case.forward) if kind == "forward" else case.step
                    goal = {"goal": f"<= {bound:.2f}", "met": share <= bound}
                label = f"{kind}, {owner}, switches {switch}"
                if kind == "forward" and owner in runs[switch][0]["off"]:
                    label += f" (off by {max(run['off'][owner] for run in runs[switch]):.0e})"
                told = {"ratio": share, "reference": "diffusers, switches off", **goal}
                yield row(group, label, taken, "ms", each=1e3, **told)


if __name__ == "__main__":
    on = sys.argv[3] == "on"
    if on:
        from noiseform.core.machine.memory import keep_large_blocks

        keep_large_blocks()
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), compiled=on)))
