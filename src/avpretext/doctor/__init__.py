"""Is everything there that a configuration needs? What is not, with the one command that mends it."""
