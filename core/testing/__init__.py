"""The conformance kit: suites that hold a part to the contract of its kind. Public as ``noiseform.testing``.

``suites`` has one for each kind of parts, and ``inherited`` what they build on. ``tried_on`` is what parts are given,
and where they are called. ``mutants`` are wrong parts, which suites must catch. Beside these rooms stands what every
suite is made of, and ``running``, which runs one without pytest.
"""
