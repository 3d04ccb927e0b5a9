"""What every modality can be asked to do: generate, edit, upscale; and how a user's own media come into it."""
