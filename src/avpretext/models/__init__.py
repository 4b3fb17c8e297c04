"""The speech models: pure torch, no files."""
