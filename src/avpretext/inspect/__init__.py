"""One clip to look at: its face with the landmarks, and every signal and pseudo-label on one clock."""
