"""Predictions of an exported model for files of one's own: the command `predict`, and `avpretext.load` in Python."""
