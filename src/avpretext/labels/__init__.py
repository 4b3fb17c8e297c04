"""Features to pseudo-labels."""
