"""Facial action units: measured from landmarks or frames, or read from files."""
