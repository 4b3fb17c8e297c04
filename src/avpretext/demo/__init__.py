"""The synthetic corpus: a voice, a face, six emotions."""
