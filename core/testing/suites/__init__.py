"""The suites: the checks of each kind of parts, and what may be claimed in them. Modalities take four modules."""
