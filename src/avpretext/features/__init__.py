"""Speech descriptors, landmarks, motion and action units."""
