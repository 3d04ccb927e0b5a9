"""Files: whole or absent, checked when read: atomic writes, weights, model folders, training checkpoints."""
