"""Parts that are wrong in one way each: what the suites must catch, so that whoever trusts them can see that they do.

Each module holds a right part of its kind, the original, and mutants of it. A suite passes on the original and fails on
every mutant, in the check that is named; which others notice too is a table of the docs.
"""
