"""The modality-agnostic core: the mathematics of diffusion, its plugin system, and what runs it."""
