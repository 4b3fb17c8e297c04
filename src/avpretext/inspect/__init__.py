"""A picture or film of one clip: its face with the landmarks, its signals and pseudo-labels on one time axis."""
