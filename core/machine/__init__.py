"""The machine: its memory, its devices, what happens when it runs full or is interrupted."""
