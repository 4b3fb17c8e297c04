"""What is measured of the face: landmarks, head pose, motion, small pictures."""
