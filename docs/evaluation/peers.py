"""The peers of equal_time.py: lucidrains' denoising-diffusion-pytorch and diffusers' recipe, each with its defaults.

Both take batches of 16 pictures, half of them mirrored, and shorten gradients to a norm of 1. Their networks halve a
side three to five times, so pictures are padded to 32 x 32 with background.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PACKAGES = {
    "lucidrains": "denoising-diffusion-pytorch==2.3.4",
    "diffusers": "diffusers==0.42.1",
    "diffusers-small": "diffusers==0.42.1",
}
BATCH = 16
SIDE = 32


class Peer(Protocol):
    """Another library: a network, how it learns and how it draws."""

    network: nn.Module

    def step(self, pictures: Tensor) -> float:
        """Update on pictures (16, 1, 32, 32) in [0, 1]; return the loss."""
        ...

    def draw(self, count: int) -> Tensor:
        """Return pictures (count, 1, 32, 32) in [0, 1]."""
        ...


class Lucidrains:
    """The Unet of its README, with the defaults of GaussianDiffusion and Trainer.

    Args:
        steps: of DDIM, its own.
    """

    def __init__(self, steps: int) -> None:
        from denoising_diffusion_pytorch import GaussianDiffusion, Unet
        from ema_pytorch import EMA

        self.network = Unet(dim=64, dim_mults=(1, 2, 4, 8), channels=1)
        self.diffusion = GaussianDiffusion(self.network, image_size=SIDE, sampling_timesteps=steps)
        self.optimizer = torch.optim.Adam(self.diffusion.parameters(), lr=1e-4, betas=(0.9, 0.99))
        self.average = EMA(self.diffusion, beta=0.995, update_every=10)

    def step(self, pictures: Tensor) -> float:
        loss = self.diffusion(pictures)
        loss.backward()
        nn.utils.clip_grad_norm_(self.diffusion.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update()
        return loss.item()

    def draw(self, count: int) -> Tensor:
        self.average.ema_model.eval()
        return self.average.ema_model.sample(batch_size=count)


class Diffusers:
    """The network of examples/unconditional_image_generation, or one of our size, with that script's defaults.

    Args:
        steps: of its DDIM.
        channels: of the network's levels.
        attention: which level has it.
        groups: of the group norms.
        epoch: batches in one; the learning rate falls over a hundred of them.
    """

    def __init__(self, steps: int, *, channels: tuple[int, ...], attention: int, groups: int, epoch: int) -> None:
        from diffusers import DDPMScheduler, UNet2DModel
        from diffusers.optimization import get_scheduler
        from diffusers.training_utils import EMAModel

        kinds = ["Attn" if level == attention else "" for level in range(len(channels))]
        self.network = UNet2DModel(
            sample_size=SIDE,
            in_channels=1,
            out_channels=1,
            layers_per_block=2,
            block_out_channels=channels,
            down_block_types=[f"{kind}DownBlock2D" for kind in kinds],
            up_block_types=[f"{kind}UpBlock2D" for kind in reversed(kinds)],
            norm_num_groups=groups,
        )
        self.scheduler, self.steps = DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear"), steps
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8
        )
        self.rate = get_scheduler(
            "cosine", optimizer=self.optimizer, num_warmup_steps=500, num_training_steps=100 * epoch
        )
        self.average = EMAModel(
            self.network.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=3 / 4
        )

    def step(self, pictures: Tensor) -> float:
        clean = pictures * 2 - 1
        noise = torch.randn_like(clean)
        times = torch.randint(0, 1000, (len(clean),))
        loss = F.mse_loss(self.network(self.scheduler.add_noise(clean, noise, times), times).sample, noise)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.rate.step()
        self.optimizer.zero_grad()
        self.average.step(self.network.parameters())
        return loss.item()

    def draw(self, count: int) -> Tensor:
        from diffusers import DDIMPipeline, DDIMScheduler

        self.average.copy_to(self.network.parameters())
        pipeline = DDIMPipeline(self.network.eval(), DDIMScheduler.from_config(self.scheduler.config))
        drawn = pipeline(batch_size=count, num_inference_steps=self.steps, output_type="np").images
        return torch.from_numpy(drawn).permute(0, 3, 1, 2)


def peer_named(name: str, *, steps: int, pictures: int) -> Peer:
    """Return an untrained peer that will draw in so many steps of DDIM, to learn from so many pictures.

    Raises:
        SystemExit: its library is not installed.
    """
    epoch = -(-pictures // BATCH)
    try:
        if name == "lucidrains":
            return Lucidrains(steps)
        if name == "diffusers":
            channels = (128, 128, 256, 256, 512, 512)
            return Diffusers(steps, channels=channels, attention=4, groups=32, epoch=epoch)
        return Diffusers(steps, channels=(48, 96, 128), attention=2, groups=16, epoch=epoch)
    except ImportError as error:
        raise SystemExit(f"{name}: {error}; pip install {PACKAGES[name]}") from error
