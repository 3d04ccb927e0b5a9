"""The modalities of noiseform: what turns tensors into media that people hear and see, and back."""
