"""A page on this machine that shows what a trained model makes of a file or of the microphone: the command `serve`."""
