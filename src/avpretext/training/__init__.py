"""Pre-training and fine-tuning; which speakers train, choose and test."""
