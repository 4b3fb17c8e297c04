"""Videos to audio and frames."""
