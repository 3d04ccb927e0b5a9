"""Pixels: what pictures and the frames of films share, values of 8 bits and how they get the model's size."""
