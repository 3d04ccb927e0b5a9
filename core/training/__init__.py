"""Training: from a recipe and a folder of media to a model folder.

Order of data, randomness and state are keyed by step and item, never by process, so that a run can be interrupted
and resumed, or later be spread over processes, without a change in what it computes.
"""
