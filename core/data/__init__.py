"""Training data as files: where they are, which of them count, and what they are called."""
