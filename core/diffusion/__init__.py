"""The mathematics: processes, predictions, objectives, denoiser, the one loop, keyed noise, and an exact test bench."""
