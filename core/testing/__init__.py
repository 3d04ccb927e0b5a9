"""The conformance kit: suites that hold a part to the contract of its kind. Public as ``noiseform.testing``."""
