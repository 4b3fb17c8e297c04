"""Predictions of an exported model for files of one's own: the command `predict`, and `avpretext.load` in Python."""

MIN_SPEECH = 0.1
"""Share of a row that must be speech, unless said otherwise: one second of ten."""
